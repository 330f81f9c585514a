"""The registered model as MLflow loads it: what cannot be used is MLflow's own kind of error, so that its server answers with 400 and one line."""

from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST

from pipeline.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.serving.served_model import ServedModel


class Refused(MlflowException):
    """Images that cannot be used. MLflow's server sets `message` to one that begins with the data; this one keeps its own."""

    def __init__(self, line: str) -> None:
        self._line = line
        super().__init__(line, error_code=BAD_REQUEST)

    @property
    def message(self) -> str:
        """One line."""
        return self._line

    @message.setter
    def message(self, value: str) -> None:
        pass


class ForMlflow:
    """A served model whose errors MLflow understands."""

    def __init__(self, served: "ServedModel") -> None:
        self.served = served

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> "pd.DataFrame":
        """As ServedModel does. Raises Refused with the row of an input that is not an image."""
        try:
            return self.served.predict(model_input, params)
        except SourceError as error:
            raise Refused(str(error)) from None
