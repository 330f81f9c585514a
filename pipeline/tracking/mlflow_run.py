"""A run in MLflow. If the store stops answering during a fit, that costs one warning and no time; missing entries are reported at the end."""

import sys
import time
import warnings
from collections.abc import Callable, Mapping, Set
from pathlib import Path

from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param

from pipeline.errors import TrackingError, UnreachableError
from pipeline.tracking.mlflow_client import GuardedClient, guarded
from pipeline.tracking.run_log import Dataset, Scalar, Status

DIGEST_LENGTH = 36  # MLflow's limit for the digest of a data set
LONGEST_VALUE = 6000  # characters of a parameter
NOTE_TAG = "mlflow.note.content"
"""The tag that MLflow's UI shows as the description of a run."""


class MlflowRun:
    """A Run in MLflow. Entries that cannot be logged are queued and retried, in order.

    `logged`: the (metric, step) pairs logged by an earlier process. `parent`: the run to which missing entries are reported.
    """

    def __init__(
        self, client: GuardedClient, run_id: str, logged: Set[tuple[str, int]] = frozenset(), parent: "MlflowRun | None" = None
    ) -> None:
        self._client = client
        self.id = run_id
        self._logged = logged
        self._parent = parent
        self._waiting: list[Callable[[], object]] = []
        self._failure = ""
        self._owed_by_children = ""

    @property
    def tags(self) -> Mapping[str, str]:
        return dict(self._client.get_run(self.id).data.tags)

    @property
    def params(self) -> Mapping[str, str]:
        return dict(self._client.get_run(self.id).data.params)

    @property
    def name(self) -> str:
        return str(self._client.get_run(self.id).info.run_name)

    @property
    def page(self) -> str:
        return f"#/experiments/{self._client.get_run(self.id).info.experiment_id}/runs/{self.id}"

    def log_params(self, params: Mapping[str, Scalar]) -> None:
        entries = [Param(key, str(value)[:LONGEST_VALUE]) for key, value in params.items()]
        self._offer(lambda: self._client.log_batch(self.id, params=entries))

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        now_ms = int(time.time() * 1000)
        entries = [Metric(key, float(value), now_ms, step) for key, value in metrics.items() if (key, step) not in self._logged]
        if entries:
            self._offer(lambda: self._client.log_batch(self.id, metrics=entries))

    def log_file(self, path: Path, folder: str = "") -> None:
        self._offer(lambda: self._client.log_artifact(self.id, str(path), folder or None))

    def log_dataset(self, dataset: Dataset) -> None:
        with warnings.catch_warnings(), guarded(self._client.uri, "describe the data set"):
            warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted in multiple ways")
            source = resolve_dataset_source(dataset.source)
            entity = MetaDataset(source, name=dataset.name, digest=dataset.digest[:DIGEST_LENGTH])._to_mlflow_entity()  # type: ignore[abstract]
        context = InputTag("mlflow.data.context", "training")
        self._offer(lambda: self._client.log_inputs(self.id, datasets=[DatasetInput(entity, [context])]))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._offer(lambda key=key, value=value: self._client.set_tag(self.id, key, value))  # type: ignore[misc]

    def describe(self, text: str) -> None:
        self.set_tags({NOTE_TAG: text})

    def rename(self, name: str) -> None:
        self._offer(lambda: self._client.update_run(self.id, name=name))

    def check_artifacts(self, file: Path) -> None:
        try:
            self._client.log_artifact(self.id, str(file))
        except TrackingError as error:
            raise type(error)(
                f"{error} Nothing has been computed yet: the run's artifacts cannot be stored. Make MLflow's artifact store writable or set its "
                "credentials, then run the same command again."
            ) from None

    def owe(self, reason: str) -> None:
        self._owed_by_children = self._owed_by_children or reason

    def settle(self) -> None:
        if self._waiting:
            self._client.try_again()
            self._flush()
        reason = self._failure if self._waiting else self._owed_by_children
        if not reason:
            return
        if self._parent is not None:
            self._parent.owe(reason)
            return
        raise UnreachableError(
            f"MLflow is missing some entries of this run. {reason.rstrip('.')}. All results are saved. When MLflow is available again, run the "
            "same command again: it logs the missing entries and recomputes nothing."
        )

    def finish(self, status: Status = "FINISHED") -> None:
        self._client.try_again()
        self._offer(lambda: self._client.set_terminated(self.id, status), quietly=status != "FINISHED")
        if status == "FINISHED":
            self.settle()

    def _offer(self, entry: Callable[[], object], *, quietly: bool = False) -> None:
        self._waiting.append(entry)
        self._flush(quietly)

    def _flush(self, quietly: bool = False) -> None:
        """Log the queued entries, in order, until one fails."""
        try:
            while self._waiting:
                self._waiting[0]()
                self._waiting.pop(0)
        except TrackingError as error:
            self._failure = str(error)
            if not (quietly or self._client.has_warned):
                print(f"warning: {error} The run continues; entries are kept and logged later.", file=sys.stderr, flush=True)
            self._client.has_warned = True
