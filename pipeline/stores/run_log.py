"""What a stage may ask of the log book, whoever keeps it: runs with parameters, metrics, tags and files; a registry of models.

MLflow implements it in `mlflow_log.py`; tests implement it by hand. A log book is never a stage's input: decisions read files or the registry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Scalar = str | int | float | bool
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
    def register(self, model_name: str, model_folder: Path, run: Run, tags: Mapping[str, str]) -> ModelVersion:
        """Log the served model's folder to the run and make a version of it."""

    def promote(self, version: ModelVersion) -> None:
        """Point the alias `champion` at a version."""
