"""The tracker on MLflow: runs and the model registry.

If MLFLOW_TRACKING_URI is unset or points to it, the project's own store (mlflow_store.py) is used, whatever the current folder. Runs are addressed
by id through the client; MLflow's active run and experiment, which come from the environment, are ignored.
"""

import contextlib
import getpass
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import ViewType

from pipeline.conversion.record import ONNX_TAG
from pipeline.errors import ModelError, TrackingError, UnreachableError
from pipeline.files import sha256_file
from pipeline.network import check_network, masked
from pipeline.paths import Paths
from pipeline.tracking.long_tags import in_parts
from pipeline.tracking.mlflow_client import AlreadyThereError, GuardedClient, NotThereError
from pipeline.tracking.mlflow_model import log_served_model, predict_apart
from pipeline.tracking.mlflow_registry import MlflowRegistry, as_version
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.mlflow_store import EXPERIMENT, artifacts, open_own_store
from pipeline.tracking.run_log import ModelVersion, Registered, Run
from pipeline.tracking.run_owner import Owner, read_owner, this_process
from pipeline.tracking.tracking_server import check_reachable, given_uri, is_own_store, is_server, tracking_uri

CHAMPION = "champion"
MODEL_ID_TAG = "model_id"
MODEL_FILES_TAG = "model_files_sha256"
PAGE = 200
LONGEST_SEARCHED = 250
LONGEST_DESCRIPTION = 5000  # of a version or a model; PostgreSQL refuses a longer one
QUIET = {"mlflow": logging.WARNING, "alembic": logging.WARNING, "urllib3": logging.ERROR}
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class MlflowLog(MlflowRegistry):
    """A Tracker on MLflow's tracking store and model registry. `owner`: this process, with which its runs are tagged."""

    def __init__(self, client: GuardedClient, experiment_id: str, owner: Owner) -> None:
        self._client = client
        self._owner = owner
        self.experiment_id = experiment_id

    @classmethod
    def connect(cls, paths: Paths, stage: str = "") -> "MlflowLog":
        """The project's tracker, created if missing. stage: the one whose lock this process holds. Raises TrackingError if it cannot be used."""
        uri = tracking_uri(paths)
        for name, level in QUIET.items():
            logging.getLogger(name).setLevel(level)
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        given = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(uri)
        if given is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)  # set_tracking_uri sets it, as if the user had
        own = not given_uri() or is_own_store(uri, paths)
        if own:
            open_own_store(paths)
        if is_server(uri):
            check_network()
        check_reachable(uri)
        client = GuardedClient(uri)
        location = None if is_server(uri) else artifacts(paths).as_uri()
        return cls(client, _experiment(client, location), this_process(stage, paths, shares_locks=own))

    def start_run(self, name: str, tags: Mapping[str, str], parent: Run | None = None) -> MlflowRun:
        self._close_abandoned()
        source = {"mlflow.user": _user(), "mlflow.source.name": "pipeline"}
        nested = {"mlflow.parentRunId": parent.id} if parent else {}
        run = self._client.create_run(self.experiment_id, run_name=name, tags={**tags, **self._owner.tags, **source, **nested})
        return MlflowRun(self._client, run.info.run_id, parent=_own(parent))

    def resume_run(
        self, tags: Mapping[str, str], parent: Run | None = None, *, finished: bool = False, known: str | None = None
    ) -> MlflowRun | None:
        self._close_abandoned()
        wanted = {**tags, **({"mlflow.parentRunId": parent.id} if parent else {})}
        for found in self._search(wanted):
            open_elsewhere = found.info.status == "RUNNING" and parent is None and found.info.run_id != known
            if not open_elsewhere and (finished or found.info.status != "FINISHED"):
                return self._reopen(found, _own(parent))
        return None

    def reopen(self, run: Run) -> MlflowRun:
        return self._reopen(self._client.get_run(run.id), None)

    def find_runs(self, tags: Mapping[str, str]) -> list[Run]:
        return [MlflowRun(self._client, run.info.run_id) for run in self._search(tags)]

    def children(self, run: Run) -> list[Run]:
        return self.find_runs({"mlflow.parentRunId": run.id})

    def adopt(self, child: Run, parent: Run) -> None:
        self._client.set_tag(child.id, "mlflow.parentRunId", parent.id)

    def delete(self, run: Run) -> None:
        self._client.delete_run(run.id)

    def find_version(self, model_name: str, tags: Mapping[str, str]) -> ModelVersion | None:
        if self.registered(model_name) is None:
            return None
        versions = (as_version(found) for found in self._versions(tags) if found.name == model_name)
        matching = (version for version in versions if all(version.tags.get(key) == value for key, value in tags.items()))
        return max(matching, key=lambda version: int(version.version), default=None)

    def registered(self, model_name: str) -> Registered | None:
        try:
            model = self._client.get_registered_model(model_name)
        except NotThereError:
            return None
        if model.name != model_name:
            raise _incomplete(self._client.uri, f"the model {model_name!r}")
        champion = None
        if number := dict(model.aliases).get(CHAMPION):
            champion = as_version(self._client.get_model_version(model_name, str(number)))
            if (champion.name, champion.version) != (model_name, str(number)):
                raise _incomplete(self._client.uri, f"{model_name} version {number}")
        return Registered(model_name, champion, dict(model.tags), {alias: str(number) for alias, number in dict(model.aliases).items()})

    def register(self, model_name: str, run: Run, tags: Mapping[str, str]) -> ModelVersion:
        model_id = run.tags[MODEL_ID_TAG]
        with contextlib.suppress(AlreadyThereError):
            self._client.create_registered_model(model_name)
        made = self._client.create_model_version(model_name, f"models:/{model_id}", run.id, tags=in_parts(tags), model_id=model_id)
        return as_version(made)

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
        stored = self._client.get_model_version(version.name, version.version).tags
        for key, value in in_parts(tags, stored).items():
            self._client.set_model_version_tag(version.name, version.version, key, value)
        return replace(version, tags={**version.tags, **tags})

    def describe_version(self, version: ModelVersion, text: str) -> None:
        self._client.update_model_version(version.name, version.version, _fitting(text))

    def describe_model(self, model_name: str, text: str) -> None:
        self._client.update_registered_model(model_name, _fitting(text))

    def predict(self, version: ModelVersion, batches: Iterable[Sequence[bytes]]) -> Iterator[list[str]]:
        entity = self._client.get_model_version(version.name, version.version)
        source = str(entity.source)
        model_uri = source if source.startswith("models:/m-") else f"models:/{version.name}/{version.version}"
        try:
            yield from predict_apart(self._client.uri, model_uri, batches)
        except ModelError as error:
            raise ModelError(f"{version.name} version {version.version} cannot be loaded: {error}") from None

    def has_files(self, version: ModelVersion) -> bool:
        source = str(self._client.get_model_version(version.name, version.version).source)
        return not source.startswith("models:/m-") or self._is_whole(source.removeprefix("models:/"))

    def log_model(self, run: Run, files: list[Path], *, to_serve: bool = True) -> None:
        model_id, digest = run.tags.get(MODEL_ID_TAG), f"{_digest(files)}{'' if to_serve else ' not to serve'}"
        same = run.tags.get(MODEL_FILES_TAG) == digest
        if model_id is None or not same or not self._is_whole(model_id):
            model_id, onnx_sha256 = log_served_model(
                self._client, self.experiment_id, run.id, files, model_id if same else None, to_serve=to_serve
            )
            run.set_tags({**({ONNX_TAG: onnx_sha256} if onnx_sha256 else {}), MODEL_ID_TAG: model_id})
            run.set_tags({MODEL_FILES_TAG: digest})

    def _is_whole(self, model_id: str) -> bool:
        """Whether the files of a logged model exist. For one deleted in MLflow that is unknown; registered versions keep their files."""
        try:
            return any(item.path == "MLmodel" for item in self._client.list_logged_model_artifacts(model_id))
        except NotThereError:
            return True

    def _reopen(self, found: Any, parent: MlflowRun | None) -> MlflowRun:
        run_id = found.info.run_id
        self._client.update_run(run_id, "RUNNING")
        for key, value in self._owner.tags.items():
            self._client.set_tag(run_id, key, value)
        return MlflowRun(self._client, run_id, self._logged(run_id), parent)

    def _search(self, tags: Mapping[str, str]) -> list[Any]:
        """The runs of this experiment with all of `tags`, newest first, without deleted ones."""
        conditions = " and ".join(f"tags.`{key}` = {quoted}" for key, value in tags.items() if (quoted := _quoted(value)))
        newest_first = ["attributes.start_time DESC"]
        found = self._client.search_runs([self.experiment_id], conditions, ViewType.ACTIVE_ONLY, order_by=newest_first)
        return [run for run in found if all(run.data.tags.get(key) == value for key, value in tags.items())]

    def _versions(self, tags: Mapping[str, str]) -> Iterator[Any]:
        """The versions of all models with all of `tags`, page by page; more of them if a value cannot be quoted."""
        conditions = " and ".join(f"tags.`{key}` = {quoted}" for key, value in tags.items() if (quoted := _quoted(value)))
        token = None
        while True:
            page = self._client.search_model_versions(conditions or None, max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _logged(self, run_id: str) -> set[tuple[str, int]]:
        """The (metric, step) pairs that a run already has."""
        names = self._client.get_run(run_id).data.metrics
        return {(name, metric.step) for name in names for metric in self._client.get_metric_history(run_id, name)}

    def _close_abandoned(self) -> None:
        """Mark running runs as killed if their process is known to have ended."""
        for run in self._client.search_runs([self.experiment_id], "attributes.status = 'RUNNING'"):
            owner = read_owner(run.data.tags)
            if owner and self._owner.knows_ended(owner):
                self._client.set_terminated(run.info.run_id, "KILLED")


def _experiment(client: GuardedClient, artifact_location: str | None) -> str:
    """The id of the project's experiment, created if missing. Raises TrackingError if it has been deleted."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "").strip() or EXPERIMENT
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location))
        except AlreadyThereError:  # another process was faster
            found = client.get_experiment_by_name(name)
    if found is None or found.name != name:
        raise _incomplete(client.uri, f"the experiment {name!r}")
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"MLflow's experiment {name!r} has been deleted. Restore it (`mlflow experiments restore --experiment-id {found.experiment_id}` with "
            f"MLFLOW_TRACKING_URI={masked(client.uri)}), or set MLFLOW_EXPERIMENT_NAME to log to another one."
        )
    return str(found.experiment_id)


def _digest(files: Sequence[Path]) -> str:
    """sha256 over names and content."""
    return hashlib.sha256(json.dumps([(file.name, sha256_file(file)) for file in files]).encode()).hexdigest()


def _incomplete(uri: str, subject: str) -> UnreachableError:
    return UnreachableError(f"MLflow at {masked(uri)} gave an incomplete answer about {subject}. Try again.")


def _user() -> str:
    """The user's name, or the user id if there is no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def _own(run: Run | None) -> MlflowRun | None:
    return run if isinstance(run, MlflowRun) else None


def _quoted(value: str) -> str:
    """A string in MLflow's search language; empty if the language cannot express it, or if it is long."""
    if len(value) > LONGEST_SEARCHED:
        return ""
    quote = next((mark for mark in "'\"" if mark not in value), "")
    return f"{quote}{value}{quote}" if quote and "\\" not in value else ""


def _fitting(description: str) -> str:
    return description if len(description) <= LONGEST_DESCRIPTION else f"{description[: LONGEST_DESCRIPTION - 1]}…"
