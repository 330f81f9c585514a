"""What a stage may ask of the log book, whoever keeps it: runs with parameters, metrics, tags and files; a registry of models.

MLflow implements it in `mlflow_log.py`; tests implement it by hand. A log book is never a stage's input: decisions read files or the registry.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Scalar = str | int | float | bool
Predictor = Callable[[Sequence[bytes]], list[str]]
"""From encoded images to class names."""
Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class Dataset:
    """The images of a run: `digest` is the sha256 over every image's content, label and split."""

    name: str
    source: str
    digest: str


@dataclass(frozen=True)
class ModelVersion:
    """A registered model: `tags` hold where it came from."""

    name: str
    version: str
    tags: Mapping[str, str]


class Run(Protocol):
    """One open or finished run. Logging the same parameter twice with another value is an error of the caller."""

    @property
    def id(self) -> str: ...
    @property
    def tags(self) -> Mapping[str, str]: ...
    def log_params(self, params: Mapping[str, Scalar]) -> None: ...
    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None: ...
    def log_file(self, path: Path, folder: str = "") -> None:
        """Copy a file into the run's artifacts, under `folder`."""

    def log_dataset(self, dataset: Dataset) -> None: ...
    def set_tags(self, tags: Mapping[str, str]) -> None: ...
    def finish(self, status: Status = "FINISHED") -> None: ...


class Tracker(Protocol):
    """The log book of one project."""

    def start_run(self, name: str, tags: Mapping[str, str], parent: Run | None = None) -> Run: ...
    def resume_run(self, tags: Mapping[str, str], parent: Run | None = None, *, finished: bool = False) -> Run | None:
        """The newest run with all of `tags` (beneath `parent`) that was broken off, open again; with `finished` one that was not, too.

        It takes each metric once per step: what it has is not logged again.
        """

    def find_runs(self, tags: Mapping[str, str]) -> list[Run]:
        """The runs that carry all of `tags`, newest first; deleted ones are left out."""

    def children(self, run: Run) -> list[Run]: ...
    def adopt(self, child: Run, parent: Run) -> None:
        """Hang a run beneath another one."""

    def delete(self, run: Run) -> None:
        """Move a run to MLflow's trash."""

    def find_version(self, model_name: str, tags: Mapping[str, str]) -> ModelVersion | None:
        """The newest registered version that carries all of `tags`."""

    def champion(self, model_name: str) -> ModelVersion | None: ...
    def log_model(self, run: Run, files: list[Path]) -> None:
        """Log the model as people call it, made of `files`, unless the run has one already."""

    def register(self, model_name: str, run: Run, tags: Mapping[str, str]) -> ModelVersion:
        """Make a version of the model that the run has logged."""

    def promote(self, version: ModelVersion) -> None:
        """Point the alias `champion` at a version."""

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
        """The version with more tags."""

    def load_predictor(self, version: ModelVersion) -> Predictor:
        """The registered model itself. Raises TrackingError where it cannot be loaded."""
