"""MLflow's model registry: aliases, tags and versions of a registered model, and copies of their files."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow.entities import LifecycleStage, ViewType
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from pipeline.conversion.record import ONNX_TAG, check_answers
from pipeline.errors import UnreachableError
from pipeline.network import masked
from pipeline.tracking.long_tags import joined
from pipeline.tracking.mlflow_client import GuardedClient, NotThereError, guarded
from pipeline.tracking.mlflow_model import DATA, answer_apart
from pipeline.tracking.run_log import ModelVersion, RunRecord

PAGE = 200


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended. parent: the id of the run that it is nested in, or empty. artifacts: the address of its files."""

    id: str
    ended: datetime
    parent: str
    tags: Mapping[str, str]
    artifacts: str


class MlflowRegistry:
    """The part of a Tracker that names, finds and marks registered versions, and runs that are over. Every failure is a TrackingError."""

    _client: GuardedClient
    experiment_id: str

    def ended_runs(self, *, in_trash: bool = False) -> list[EndedRun]:
        """The runs of this experiment that have ended; those in MLflow's trash or all others."""
        view = ViewType.DELETED_ONLY if in_trash else ViewType.ACTIVE_ONLY
        found: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs([self.experiment_id], "", view, page_token=token)
            found += page
            token = page.token
            if not token:
                return [_as_ended(run) for run in found if run.info.end_time]

    def move_to_trash(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Move a run to MLflow's trash, with tags that say so."""
        for key, value in tags.items():
            self._client.set_tag(run_id, key, value)
        self._client.delete_run(run_id)

    def tag_model(self, model_name: str, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._client.set_registered_model_tag(model_name, key, value)

    def untag_model(self, model_name: str, key: str) -> None:
        with suppress(NotThereError):
            self._client.delete_registered_model_tag(model_name, key)

    def set_alias(self, model_name: str, alias: str, version: str | None) -> None:
        if version is None:
            self._client.delete_registered_model_alias(model_name, alias)
        else:
            self._client.set_registered_model_alias(model_name, alias, version)

    def version(self, model_name: str, number: str) -> ModelVersion | None:
        try:
            found = as_version(self._client.get_model_version(model_name, number))
        except NotThereError:
            return None
        if (found.name, found.version) != (model_name, number):
            raise self._incomplete(f"{model_name} version {number}")
        return found

    def all_versions(self, model_name: str) -> list[ModelVersion]:
        found = self._search_versions(f"name = {_quoted(model_name)}")
        return sorted((version for version in found if version.name == model_name), key=lambda version: int(version.version))

    def versions_of_run(self, run_id: str) -> list[ModelVersion]:
        return [version for version in self._search_versions(f"run_id = '{run_id}'") if version.run_id == run_id]

    def read_run(self, run_id: str) -> RunRecord | None:
        try:
            run = self._client.get_run(run_id)
        except NotThereError:
            return None
        steps = {metric.key: int(metric.step) for metric in run.data._metric_objs}
        page = f"#/experiments/{run.info.experiment_id}/runs/{run_id}"
        return RunRecord(
            run_id,
            str(run.info.run_name),
            str(run.info.status),
            dict(run.data.tags),
            dict(run.data.params),
            dict(run.data.metrics),
            steps,
            page,
            run.info.lifecycle_stage == LifecycleStage.DELETED,
        )

    def model_names(self) -> list[str]:
        names: list[str] = []
        token = None
        while True:
            page = self._client.search_registered_models(max_results=PAGE, page_token=token)
            names += [str(model.name) for model in page]
            token = page.token
            if not token:
                return sorted(names)

    def answer(self, version: ModelVersion, images: Sequence[bytes]) -> list[dict[str, float]]:
        """As in the protocol; of a version with an ONNX file also raises TrackingError if TensorFlow answers otherwise."""
        answers = answer_apart(self._client.uri, self._address(version), images)
        if ONNX_TAG in version.tags:
            check_answers(answers, answer_apart(self._client.uri, self._address(version), images, "tensorflow"))
        return answers

    def fetch(self, version: ModelVersion, folder: Path) -> Path:
        return self._fetch(self._address(version), f"{version.name} version {version.version}", DATA, folder)

    def fetch_all(self, version: ModelVersion, folder: Path) -> Path:
        """All files of a registered version, with its code, copied into `folder`: the folder that has them."""
        return self._fetch(self._address(version), f"{version.name} version {version.version}", "", folder)

    def fetch_logged(self, model_id: str, folder: Path) -> Path:
        """All files of a model that a run has logged, registered or not, copied into `folder`: the folder that has them."""
        return self._fetch(f"models:/{model_id}", f"the model {model_id}", "", folder)

    def _fetch(self, address: str, shown: str, part: str, folder: Path) -> Path:
        with guarded(self._client.uri, f"download {shown}"):
            files = get_artifact_repository(address, tracking_uri=self._client.uri)
            return Path(files.download_artifacts(part, str(folder)))  # type: ignore[no-untyped-call]

    def log_export(self, version: ModelVersion, folder: Path, place: str) -> str:
        """Log a folder as artifacts of the run of a version, at a place of its own, so that nothing logged before is replaced; returns the place."""
        self._client.log_artifacts(version.run_id, str(folder), place)
        return place

    def fetch_file(self, run_id: str, name: str, folder: Path) -> Path | None:
        above = PurePosixPath(name).parent
        listed = self._client.list_artifacts(run_id, None if above == PurePosixPath() else str(above))
        if name not in {item.path for item in listed}:
            return None
        return Path(self._client.download_artifacts(run_id, name, str(folder)))

    def _search_versions(self, condition: str) -> list[ModelVersion]:
        found: list[ModelVersion] = []
        token = None
        while True:
            page = self._client.search_model_versions(condition, max_results=PAGE, page_token=token)
            found += [as_version(entity) for entity in page]
            token = page.token
            if not token:
                return found

    def _address(self, version: ModelVersion) -> str:
        """Where MLflow loads a version from: the logged model, if it knows it, which is also found after the project was moved."""
        source = str(self._client.get_model_version(version.name, version.version).source)
        return source if source.startswith("models:/m-") else f"models:/{version.name}/{version.version}"

    def _incomplete(self, subject: str) -> UnreachableError:
        return UnreachableError(f"MLflow at {masked(self._client.uri)} gave an incomplete answer about {subject}. Try again.")


def _as_ended(run: Any) -> EndedRun:
    tags = dict(run.data.tags)
    ended = datetime.fromtimestamp(run.info.end_time / 1000, UTC)
    return EndedRun(run.info.run_id, ended, tags.get("mlflow.parentRunId", ""), tags, str(run.info.artifact_uri))


def as_version(entity: Any) -> ModelVersion:
    """A registered version, as MLflow gives it."""
    made = datetime.fromtimestamp(int(entity.creation_timestamp or 0) / 1000, UTC)
    return ModelVersion(str(entity.name), str(entity.version), joined(entity.tags or {}), made, str(entity.run_id or ""))


def _quoted(name: str) -> str:
    """A name in MLflow's search language, which has no way to escape a quote."""
    return f'"{name}"' if "'" in name else f"'{name}'"
