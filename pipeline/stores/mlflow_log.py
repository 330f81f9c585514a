"""The log book kept by MLflow: the only module that imports it.

Without MLFLOW_TRACKING_URI the store is `mlruns/mlflow.db` (SQLite) with artifacts in `mlruns/artifacts/`, always those of the project, whatever
folder a command is run in. MLflow writes absolute paths into its database, so when the project has moved they are rewritten as the store is opened.
Runs are addressed by id through the client; MLflow's active run, which is per thread and inherited from the environment, plays no part.
"""

import getpass
import logging
import os
import socket
import sqlite3
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Set
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote

import mlflow
import pandas as pd
import psutil
from filelock import FileLock
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, ViewType
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Map
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import StorageError, TrackingError
from pipeline.paths import Paths
from pipeline.stores.run_log import Dataset, ModelVersion, Predictor, Run, Scalar, Status
from pipeline.stores.tracking_server import check_reachable, tracking_uri

EXPERIMENT = "image-classifier"
CHAMPION = "champion"
SERVING_PACKAGES = ("mlflow", "keras", "tensorflow", "numpy", "pandas", "pillow")
DIGEST_LENGTH = 36  # MLflow keeps no more of a data set's digest
PATH_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


class MlflowLog:
    """A Tracker on MLflow's tracking store and model registry."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self._client = client
        self._experiment_id = experiment_id

    @classmethod
    def connect(cls, paths: Paths) -> "MlflowLog":
        """The project's log book, created where it is missing. Raises TrackingError where the server cannot be reached."""
        uri, given = tracking_uri(paths), "MLFLOW_TRACKING_URI" in os.environ
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        mlflow.set_tracking_uri(uri)
        if not given:
            os.environ.pop("MLFLOW_TRACKING_URI", None)  # set_tracking_uri sets it, which would hide what the user said
        try:
            if not given:
                return _connect_local(paths, uri)
            check_reachable(uri)
            client = MlflowClient(uri)
            return cls(client, _experiment(client, None))
        except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
            raise TrackingError(f"MLflow's store at {uri} cannot be used: {_first_line(error)}") from error

    def start_run(self, name: str, tags: Mapping[str, str], parent: Run | None = None) -> "MlflowRun":
        self._close_abandoned()
        process = {"process": _this_process(), "mlflow.user": getpass.getuser(), "mlflow.source.name": "pipeline"}
        nested = {"mlflow.parentRunId": parent.id} if parent else {}
        info = self._client.create_run(self._experiment_id, run_name=name, tags={**tags, **process, **nested}).info
        return MlflowRun(self._client, info.run_id)

    def resume_run(self, tags: Mapping[str, str], parent: Run | None = None, *, finished: bool = False) -> Run | None:
        self._close_abandoned()
        nested = {"mlflow.parentRunId": parent.id} if parent else {}
        states = "" if finished else " and attributes.status != 'FINISHED'"
        found = self._search(f"{_having({**tags, **nested})} and attributes.status != 'RUNNING'{states}")
        if not found:
            return None
        self._client.update_run(found[0].id, "RUNNING")
        self._client.set_tag(found[0].id, "process", _this_process())
        return MlflowRun(self._client, found[0].id, self._logged(found[0].id))

    def find_runs(self, tags: Mapping[str, str]) -> list[Run]:
        return self._search(_having(tags))

    def children(self, run: Run) -> list[Run]:
        return self._search(f"tags.`mlflow.parentRunId` = '{run.id}'")

    def adopt(self, child: Run, parent: Run) -> None:
        self._client.set_tag(child.id, "mlflow.parentRunId", parent.id)

    def delete(self, run: Run) -> None:
        self._client.delete_run(run.id)

    def find_version(self, model_name: str, tags: Mapping[str, str]) -> ModelVersion | None:
        try:
            found = self._client.search_model_versions(f"name = '{model_name}'", max_results=1000)
        except MlflowException:
            return None
        matching = [v for v in found if all(v.tags.get(key) == value for key, value in tags.items())]
        return _version(max(matching, key=lambda v: int(v.version))) if matching else None

    def champion(self, model_name: str) -> ModelVersion | None:
        try:
            return _version(self._client.get_model_version_by_alias(model_name, CHAMPION))
        except MlflowException:
            return None

    def register(self, model_name: str, run: Run, tags: Mapping[str, str]) -> ModelVersion:
        model_id = run.tags["model_id"]
        try:
            self._client.create_registered_model(model_name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"models:/{model_id}"
        return _version(self._client.create_model_version(model_name, source, run.id, tags=dict(tags), model_id=model_id))

    def promote(self, version: ModelVersion) -> None:
        self._client.set_registered_model_alias(version.name, CHAMPION, version.version)

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
        for key, value in tags.items():
            self._client.set_model_version_tag(version.name, version.version, key, value)
        return replace(version, tags={**version.tags, **tags})

    def load_predictor(self, version: ModelVersion) -> Predictor:
        try:
            model = mlflow.pyfunc.load_model(f"models:/{version.name}/{version.version}")
        except (MlflowException, OSError, ImportError, ValueError) as error:
            raise TrackingError(f"{version.name} version {version.version} cannot be loaded: {_first_line(error)}") from error
        return lambda images: list(model.predict(pd.DataFrame({"image": list(images)}))["label"])

    def log_model(self, run: Run, files: list[Path]) -> None:
        if "model_id" in run.tags:
            return
        with tempfile.TemporaryDirectory() as folder:
            for file in files:
                (Path(folder) / file.name).write_bytes(file.read_bytes())
            run.set_tags({"model_id": _log_served_model(run.id, folder)})

    def _search(self, conditions: str) -> list[Run]:
        found = self._client.search_runs([self._experiment_id], conditions, ViewType.ACTIVE_ONLY, order_by=["attributes.start_time DESC"])
        return [MlflowRun(self._client, run.info.run_id) for run in found]

    def _logged(self, run_id: str) -> set[tuple[str, int]]:
        """The (metric, step) pairs that a run has."""
        names = self._client.get_run(run_id).data.metrics
        return {(name, metric.step) for name in names for metric in self._client.get_metric_history(run_id, name)}

    def _close_abandoned(self) -> None:
        """Mark runs of this machine as killed whose process is no longer there."""
        for run in self._client.search_runs([self._experiment_id], "attributes.status = 'RUNNING'"):
            host, _, pid = run.data.tags.get("process", "").rpartition(":")
            if host == socket.gethostname() and not psutil.pid_exists(int(pid)):
                self._client.set_terminated(run.info.run_id, "KILLED")


class MlflowRun:
    """A Run in MLflow. A store that fails in the middle of a fit costs a warning, not the fit; what was not taken is offered again later.

    `logged`: the (metric, step) pairs that it has from an earlier process.
    """

    def __init__(self, client: MlflowClient, run_id: str, logged: Set[tuple[str, int]] = frozenset()) -> None:
        self._client = client
        self.id = run_id
        self._logged = logged
        self._waiting: list[Callable[[], object]] = []

    @property
    def tags(self) -> Mapping[str, str]:
        return dict(self._client.get_run(self.id).data.tags)

    def log_params(self, params: Mapping[str, Scalar]) -> None:
        entries = [Param(key, str(value)) for key, value in params.items()]
        self._offer(lambda: self._client.log_batch(self.id, params=entries))

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        now_ms = int(time.time() * 1000)
        entries = [Metric(key, float(value), now_ms, step) for key, value in metrics.items() if (key, step) not in self._logged]
        if entries:
            self._offer(lambda: self._client.log_batch(self.id, metrics=entries))

    def log_file(self, path: Path, folder: str = "") -> None:
        self._offer(lambda: self._client.log_artifact(self.id, str(path), folder or None))

    def log_dataset(self, dataset: Dataset) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted in multiple ways")
            source = resolve_dataset_source(dataset.source)
        entity = MetaDataset(source, name=dataset.name, digest=dataset.digest[:DIGEST_LENGTH])._to_mlflow_entity()  # type: ignore[abstract]
        context = InputTag("mlflow.data.context", "training")
        self._offer(lambda: self._client.log_inputs(self.id, datasets=[DatasetInput(entity, [context])]))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._offer(lambda key=key, value=value: self._client.set_tag(self.id, key, value))  # type: ignore[misc]

    def finish(self, status: Status = "FINISHED") -> None:
        self._offer(lambda: self._client.set_terminated(self.id, status))
        if self._waiting:
            print(f"warning: MLflow did not take {len(self._waiting)} entries of run {self.id}; they stand in data/.", file=sys.stderr)

    def _offer(self, entry: Callable[[], object]) -> None:
        """Log an entry and those that wait before it, in order."""
        self._waiting.append(entry)
        try:
            while self._waiting:
                self._waiting[0]()
                self._waiting.pop(0)
        except (MlflowException, OSError) as error:
            if len(self._waiting) == 1:
                print(f"warning: MLflow cannot be used now ({_first_line(error)}). The work goes on; entries are kept.", file=sys.stderr)


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _having(tags: Mapping[str, str]) -> str:
    """The search condition for runs with all of `tags`."""
    return " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())


def _connect_local(paths: Paths, uri: str) -> MlflowLog:
    """The project's own store, made and mended under a lock: several processes that create it at once break it for good."""
    try:
        paths.mlruns.mkdir(parents=True, exist_ok=True)
        with FileLock(paths.mlruns / ".lock", timeout=120):
            _create_database(paths.mlruns / "mlflow.db")
            client = MlflowClient(uri)
            location = (paths.mlruns / "artifacts").as_uri()
            experiment_id = _experiment(client, location)
            database = paths.mlruns / "mlflow.db"
            _use_write_ahead_log(database)
            _relocate(database, paths.mlruns)
    except PermissionError as error:
        raise StorageError(f"{paths.mlruns} is not writable: {error.strerror}. MLflow keeps its runs there.") from None
    return MlflowLog(client, experiment_id)


def _experiment(client: MlflowClient, artifact_location: str | None) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name, artifact_location))


def _create_database(database: Path) -> None:
    """Make MLflow's tables, all or none: its migrations, killed half way, leave a file that no later start can use."""
    if database.exists():
        return
    beside = database.with_name(".mlflow.db.partial")
    for leftover in beside.parent.glob(f"{beside.name}*"):
        leftover.unlink()
    MlflowClient(f"sqlite:///{beside}").search_experiments()
    beside.replace(database)


def _use_write_ahead_log(database: Path) -> None:
    """Readers no longer wait for writers: 6 processes logging at once took 5 s instead of 14 s."""
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        if connection.execute("pragma journal_mode").fetchone() != ("wal",):
            connection.execute("pragma journal_mode=wal")


def _relocate(database: Path, mlruns: Path) -> None:
    """Rewrite the absolute paths in the database where the project's folder is no longer where they say."""
    here = mlruns.as_uri()
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        rows = connection.execute("select artifact_location from experiments where artifact_location like 'file:///%/mlruns/artifacts'")
        for before in {location.removesuffix("/artifacts") for (location,) in rows} - {here}:
            for table, column in PATH_COLUMNS:
                connection.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) where substr({column}, 1, ?) = ?",  # noqa: S608
                    (here, len(before) + 1, len(before) + 1, before + "/"),
                )
            print(f"mlruns: the project moved from {unquote(before)}; paths in MLflow's database were rewritten.", file=sys.stderr)


def _log_served_model(run_id: str, folder: str) -> str:
    """Log the files in `folder` as a model that takes images as people have them; returns MLflow's id of it."""
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema(
            [ColSpec(DataType.string, "label"), ColSpec(DataType.double, "probability"), ColSpec(Map(DataType.double), "probabilities")]
        ),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*An input example was not provided")
        info = Model.log(
            None,
            name="model",
            flavor=mlflow.pyfunc,
            run_id=run_id,
            loader_module="pipeline.served_model",
            data_path=folder,
            # The code that decodes and resizes travels with the model
            code_paths=[str(Path(__file__).parent.parent)],
            signature=signature,
            # Given, because finding them out takes MLflow five seconds
            pip_requirements=[f"{name}=={version(name)}" for name in SERVING_PACKAGES],
        )
    return str(info.model_id)


def _version(entity: object) -> ModelVersion:
    return ModelVersion(entity.name, str(entity.version), dict(entity.tags))  # type: ignore[attr-defined]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
