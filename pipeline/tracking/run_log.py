"""The interface between stages and the tracker: runs with parameters, metrics, tags and files, and a model registry.

`mlflow_log.py` implements it on MLflow, tests by hand. Runs are never a stage's input: decisions read files or the registry. Methods that ask the
tracker raise TrackingError if they fail; entries that a running run could not log are queued until `settle`.
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
    """The data set of a run. `digest`: sha256 over the content, label and split of every image."""

    name: str
    source: str
    digest: str


@dataclass(frozen=True)
class ModelVersion:
    """A registered model version. `tags`: its provenance. `made`: when it was registered. `run_id`: the run that logged the model."""

    name: str
    version: str
    tags: Mapping[str, str]
    made: datetime = EPOCH
    run_id: str = ""


@dataclass(frozen=True)
class Registered:
    """A registered model by name: the version with the alias `champion`, the tags of the model itself, and the version of each alias."""

    name: str
    champion: ModelVersion | None
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """An ended run as it was logged. metrics: the last value of each; steps: the step of that value. is_deleted: it is in MLflow's trash."""

    id: str
    name: str
    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    steps: Mapping[str, int]
    page: str
    is_deleted: bool = False


@dataclass(frozen=True)
class RegistryState:
    """The model of decision.json as the registry has it now.

    `version`: its version, None if it is not registered. `is_current`: whether decision.json still agrees with the registry. `model`, `verdict`:
    lines to print. `page`: the address of the runs in MLflow's UI.
    """

    version: str | None
    is_current: bool
    model: str
    verdict: str
    page: str


class Run(Protocol):
    """An open or finished run. Logging a parameter again with another value is an error of the caller."""

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
        """The address of the run within the tracker's UI."""

    def log_params(self, params: Mapping[str, Scalar]) -> None: ...
    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None: ...
    def log_file(self, path: Path, folder: str = "") -> None:
        """Copy a file into the run's artifacts, under `folder`."""

    def log_dataset(self, dataset: Dataset) -> None: ...
    def set_tags(self, tags: Mapping[str, str]) -> None: ...
    def describe(self, text: str) -> None:
        """Set the description, in Markdown."""

    def rename(self, name: str) -> None: ...
    def check_artifacts(self, file: Path) -> None:
        """Copy a file into the run's artifacts now. Raises TrackingError if they cannot be written."""

    def owe(self, reason: str) -> None:
        """Note that a nested run has entries that could not be logged."""

    def settle(self) -> None:
        """Log the queued entries. Raises TrackingError if that fails."""

    def finish(self, status: Status = "FINISHED") -> None:
        """End the run; FINISHED also settles it."""


class OwedRun:
    """Discards everything: the run of a fold that could not be started because the tracker does not answer.

    Its parent run owes the missing entries; running the same command again logs them from the saved results.
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
        """The newest interrupted run with all of `tags` (nested in `parent`), reopened; with `finished` also one that had finished.

        known: the id of a run that is marked as running although its process has ended. Metrics that the run already has at a step are not logged
        again.
        """

    def reopen(self, run: Run) -> Run:
        """An ended run, reopened."""

    def find_runs(self, tags: Mapping[str, str]) -> list[Run]:
        """The runs with all of `tags`, newest first, without deleted ones."""

    def children(self, run: Run) -> list[Run]: ...
    def adopt(self, child: Run, parent: Run) -> None:
        """Nest a run in another one."""

    def delete(self, run: Run) -> None:
        """Move a run to MLflow's trash."""

    def find_version(self, model_name: str, tags: Mapping[str, str]) -> ModelVersion | None:
        """The newest registered version with all of `tags`; None only if the registry says that there is none."""

    def registered(self, model_name: str) -> Registered | None:
        """The registered model of this name; None only if the registry says that there is none."""

    def log_model(self, run: Run, files: list[Path], *, to_serve: bool = True) -> None:
        """Log the model made of `files`, unless the run already has it and its files exist; one `to_serve` with an ONNX file, if it can have one."""

    def register(self, model_name: str, run: Run, tags: Mapping[str, str]) -> ModelVersion:
        """Register the model that the run has logged as a new version."""

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
        """The version, with `tags` added."""

    def tag_model(self, model_name: str, tags: Mapping[str, str]) -> None:
        """Add tags to a registered model, in their order."""

    def untag_model(self, model_name: str, key: str) -> None:
        """Take a tag from a registered model, if it is there."""

    def set_alias(self, model_name: str, alias: str, version: str | None) -> None:
        """Set an alias on a version; None removes it."""

    def version(self, model_name: str, number: str) -> ModelVersion | None:
        """A version by its number; None only if the registry says that there is none."""

    def all_versions(self, model_name: str) -> list[ModelVersion]:
        """All versions of a model, the oldest first."""

    def versions_of_run(self, run_id: str) -> list[ModelVersion]:
        """The versions whose model a run has logged, of all registered models."""

    def read_run(self, run_id: str) -> RunRecord | None:
        """A run, also a deleted one; None only if the tracker says that there is none."""

    def model_names(self) -> list[str]:
        """The names of all registered models, in alphabetical order."""

    def describe_version(self, version: ModelVersion, text: str) -> None: ...
    def describe_model(self, model_name: str, text: str) -> None: ...
    def has_files(self, version: ModelVersion) -> bool:
        """Whether the files of a registered version exist."""

    def fetch(self, version: ModelVersion, folder: Path) -> Path:
        """The network of a registered version and what it says of its images, without its code, copied into `folder`: the folder that has them."""

    def fetch_file(self, run_id: str, name: str, folder: Path) -> Path | None:
        """A file among the artifacts of a run, copied into `folder`; None only if the artifact store says that there is none."""

    def predict(self, version: ModelVersion, batches: Iterable[Sequence[bytes]]) -> Iterator[list[str]]:
        """The class names that a registered version predicts for batches of encoded images, with its own code and files.

        Raises TrackingError if it cannot be loaded.
        """

    def answer(self, version: ModelVersion, images: Sequence[bytes]) -> list[dict[str, float]]:
        """The probabilities by class name that a version gives to encoded images, in a fresh process, as MLflow serves it.

        Raises TrackingError if it cannot be loaded or does not answer.
        """
