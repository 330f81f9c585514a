"""What a stage may ask of the tracker, whoever keeps it: runs with parameters, metrics, tags and files; a registry of models.

MLflow implements it in `mlflow_log.py`; tests implement it by hand. What it holds is never a stage's input: decisions read files or the registry.
Every method that asks the tracker raises TrackingError where it fails; of a run under way, entries that are not taken wait until `settle`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

Scalar = str | int | float | bool
Status = Literal["FINISHED", "FAILED", "KILLED"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Dataset:
    """The images of a run: `digest` is the sha256 over every image's content, label and split."""

    name: str
    source: str
    digest: str


@dataclass(frozen=True)
class ModelVersion:
    """A registered model: `tags` hold where it came from. `made`: when it was registered."""

    name: str
    version: str
    tags: Mapping[str, str]
    made: datetime = EPOCH


@dataclass(frozen=True)
class Registered:
    """What the registry says of a model by name: the version with the alias `champion`, and the model's own tags."""

    name: str
    champion: ModelVersion | None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RegistryState:
    """`version`: that of the model decided on, None where the registry does not have it. `is_current`: whether decision.json says what is true now.

    `model`, `verdict`: lines for people. `page`: the address of the runs in MLflow's UI.
    """

    version: str | None
    is_current: bool
    model: str
    verdict: str
    page: str


class Run(Protocol):
    """One open or finished run. Logging the same parameter twice with another value is an error of the caller."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def tags(self) -> Mapping[str, str]: ...
    @property
    def params(self) -> Mapping[str, str]: ...
    @property
    def page(self) -> str:
        """Where the tracker's UI shows the run, as an address within it."""

    def log_params(self, params: Mapping[str, Scalar]) -> None: ...
    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None: ...
    def log_file(self, path: Path, folder: str = "") -> None:
        """Copy a file into the run's artifacts, under `folder`."""

    def log_dataset(self, dataset: Dataset) -> None: ...
    def set_tags(self, tags: Mapping[str, str]) -> None: ...
    def describe(self, text: str) -> None:
        """Set the description that people read, in Markdown."""

    def rename(self, name: str) -> None: ...
    def check_artifacts(self, file: Path) -> None:
        """Copy a file into the run's artifacts now. Raises TrackingError where they cannot be written."""

    def owe(self, reason: str) -> None:
        """Note that a run beneath this one has entries that were not taken."""

    def settle(self) -> None:
        """Offer once more what was not taken. Raises TrackingError where that fails."""

    def finish(self, status: Status = "FINISHED") -> None:
        """End the run; with FINISHED it is settled, too."""


class OwedRun:
    """A run that could not be started, since the tracker does not answer: it takes everything and keeps nothing.

    Used for a fold only. The run above it owes what is missing, and the same command, run again, logs it from the results that are kept.
    """

    id = ""
    name = ""
    page = ""
    tags: Mapping[str, str] = MappingProxyType({})
    params: Mapping[str, str] = MappingProxyType({})

    def log_params(self, params: Mapping[str, Scalar]) -> None: ...
    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None: ...
    def log_file(self, path: Path, folder: str = "") -> None: ...
    def log_dataset(self, dataset: Dataset) -> None: ...
    def set_tags(self, tags: Mapping[str, str]) -> None: ...
    def describe(self, text: str) -> None: ...
    def rename(self, name: str) -> None: ...
    def check_artifacts(self, file: Path) -> None: ...
    def owe(self, reason: str) -> None: ...
    def settle(self) -> None: ...
    def finish(self, status: Status = "FINISHED") -> None: ...


class Tracker(Protocol):
    """The tracker of one project."""

    def start_run(self, name: str, tags: Mapping[str, str], parent: Run | None = None) -> Run: ...
    def resume_run(
        self, tags: Mapping[str, str], parent: Run | None = None, *, finished: bool = False, known: str | None = None
    ) -> Run | None:
        """The newest run with all of `tags` (beneath `parent`) that was broken off, open again; with `finished` one that was not, too.

        `known`: the id of a run whose process is known to have ended, though it is marked as running. It takes each metric once per step: what it
        has is not logged again.
        """

    def reopen(self, run: Run) -> Run:
        """A run that has ended, open again."""

    def find_runs(self, tags: Mapping[str, str]) -> list[Run]:
        """The runs that carry all of `tags`, newest first; deleted ones are left out."""

    def children(self, run: Run) -> list[Run]: ...
    def adopt(self, child: Run, parent: Run) -> None:
        """Hang a run beneath another one."""

    def delete(self, run: Run) -> None:
        """Move a run to MLflow's trash."""

    def find_version(self, model_name: str, tags: Mapping[str, str]) -> ModelVersion | None:
        """The newest registered version that carries all of `tags`; None only where the registry says that there is none."""

    def registered(self, model_name: str) -> Registered | None:
        """What the registry says of a model; None only where it says that there is none of this name."""

    def log_model(self, run: Run, files: list[Path]) -> None:
        """Log the model as people call it, made of `files`, unless the run has one already, with its files."""

    def register(self, model_name: str, run: Run, tags: Mapping[str, str]) -> ModelVersion:
        """Make a version of the model that the run has logged."""

    def promote(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Point the alias `champion` at a version, then tag the model with `tags`."""

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
        """The version with more tags."""

    def describe_version(self, version: ModelVersion, text: str) -> None: ...
    def describe_model(self, model_name: str, text: str) -> None: ...
    def has_files(self, version: ModelVersion) -> bool:
        """Whether the files of a registered model are where the registry says."""

    def predict(self, version: ModelVersion, batches: Iterable[Sequence[bytes]]) -> Iterator[list[str]]:
        """The class names that a registered model gives to batches of encoded images, by its own code and files.

        Raises TrackingError where it cannot be loaded.
        """
