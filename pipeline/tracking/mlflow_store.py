"""The project's own MLflow store: `mlruns/mlflow.db` (SQLite), with all artifacts and models in `mlruns/artifacts/`.

MLflow writes absolute paths into its database; for its experiment 0, those of the folder in which the database was created. When the store is
opened, paths that lead elsewhere are rewritten, and models stored elsewhere are brought into `mlruns/artifacts/`. Nothing outside the project is
written or removed.
"""

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from pipeline.errors import BusyError, StorageError
from pipeline.paths import Paths
from pipeline.tracking.mlflow_client import guarded
from pipeline.tracking.tracking_server import tracking_uri

LOCK_SECONDS = 120
EXPERIMENT = "image-classifier"
MODELS = "models"
PATH_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
MODEL_TABLES = ("logged_models", "logged_model_params", "logged_model_tags", "logged_model_metrics")


def artifacts(paths: Paths) -> Path:
    """The folder with the artifacts of the project's runs."""
    return paths.mlruns / "artifacts"


def open_own_store(paths: Paths) -> None:
    """Create the store if it is missing, and update its paths.

    Under a lock: processes that create MLflow's database at the same time corrupt it. Raises StorageError, BusyError or TrackingError.
    """
    database = paths.mlruns / "mlflow.db"
    try:
        paths.mlruns.mkdir(parents=True, exist_ok=True)
        with FileLock(paths.mlruns / ".lock", timeout=LOCK_SECONDS), guarded(tracking_uri(paths), "open"):
            _create(database, artifacts(paths))
            _use_write_ahead_log(database)
            _bring_home(database, paths.mlruns)
    except Timeout:
        raise BusyError(
            f"{paths.mlruns / '.lock'} is locked by another process; waited {LOCK_SECONDS} s. Wait for that process or stop it."
        ) from None
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise StorageError(
            f"{error.filename or paths.mlruns} cannot be written: {error.strerror}. MLflow keeps its runs in {paths.mlruns}."
        ) from None


def _create(database: Path, artifact_root: Path) -> None:
    """Create MLflow's tables, all or none: killed during its migrations, MLflow leaves a file that it cannot use later."""
    if database.exists():
        return
    beside = database.with_name(".mlflow.db.partial")
    for leftover in beside.parent.glob(f"{beside.name}*"):
        leftover.unlink()
    store = SqlAlchemyStore(f"sqlite:///{beside}", artifact_root.as_uri())  # type: ignore[no-untyped-call]
    store.engine.dispose()
    beside.replace(database)


def _use_write_ahead_log(database: Path) -> None:
    """Readers no longer wait for writers: 6 processes logging at once took 5 s instead of 14 s."""
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        if connection.execute("pragma journal_mode").fetchone() != ("wal",):
            connection.execute("pragma journal_mode=wal")


def _bring_home(database: Path, mlruns: Path) -> None:
    """Bring the models that the project has logged into `mlruns/artifacts`, and rewrite paths that lead out of `mlruns`."""
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        lost = [model[0] for model in _models_elsewhere(connection, mlruns) if not _bring_model(connection, mlruns, *model)]
        with connection:
            moved = _rewrite_paths(connection, mlruns)
    for before in moved:
        print(f"mlruns: the project was in {before}; paths in MLflow's database were rewritten.", file=sys.stderr)
    if lost and moved:
        print(
            f"warning: mlruns: the files of {len(lost)} logged models were not found: {', '.join(lost[:3])}{', …' if len(lost) > 3 else ''}. "
            f"These models cannot be loaded. If you have a copy of the project, restore them into {mlruns / 'artifacts' / MODELS}.",
            file=sys.stderr,
        )


def _rewrite_paths(connection: sqlite3.Connection, mlruns: Path) -> list[str]:
    """Rewrite all paths of the project's former locations to the same files here; returns these locations."""
    places = _former_places(connection, mlruns)
    for before in places:
        for table, column in PATH_COLUMNS:
            _replace_prefix(connection, table, column, before, mlruns.as_uri())
    return sorted({str(Path(_local(before)).parent) for before in places})


def _former_places(connection: sqlite3.Connection, mlruns: Path) -> set[str]:
    """The `…/mlruns` folders, as URI or plain path, in which experiments of this store were once kept.

    An experiment kept elsewhere on purpose is left alone: those of other programs count only if their folder no longer exists.
    """
    found = set()
    for experiment_id, name, location in connection.execute("select experiment_id, name, artifact_location from experiments").fetchall():
        place, _, rest = str(location).rpartition("/mlruns/")
        before = f"{place}/mlruns"
        laid_out = rest in ("artifacts", f"artifacts/{experiment_id}", str(experiment_id))
        own = rest == "artifacts" or name in ("Default", EXPERIMENT)
        if place and laid_out and before != mlruns.as_uri() and _local(before) and (own or not Path(_local(before)).is_dir()):
            found.add(before)
    return found


def _replace_prefix(connection: sqlite3.Connection, table: str, column: str, before: str, after: str) -> None:
    """Replace `before`/… by `after`/…, which is a URI also if `before` is a plain path."""
    rows = connection.execute(
        f"select rowid, {column} from {table} where substr({column}, 1, ?) = ?",  # noqa: S608 (names of PATH_COLUMNS)
        (len(before) + 1, before + "/"),
    ).fetchall()
    for row, path in rows:
        rest = path[len(before) :]
        text = after + (rest if before.startswith("file:") else Path(rest).as_uri().removeprefix("file://"))
        connection.execute(f"update {table} set {column} = ? where rowid = ?", (text, row))  # noqa: S608


def _models_elsewhere(connection: sqlite3.Connection, mlruns: Path) -> list[tuple[str, str, str]]:
    """(model id, recorded location, experiment id) of the models of this project's runs that are not in `mlruns/artifacts`."""
    home = f"{mlruns.as_uri()}/artifacts"
    return connection.execute(
        """select m.model_id, m.artifact_location, e.experiment_id from logged_models m
           left join runs r on r.run_uuid = m.source_run_id join experiments e on e.experiment_id = coalesce(r.experiment_id, m.experiment_id)
           where e.artifact_location like 'file:///%/mlruns/artifacts' and substr(m.artifact_location, 1, ?) != ?""",
        (len(home) + 1, home + "/"),
    ).fetchall()


def _bring_model(connection: sqlite3.Connection, mlruns: Path, model_id: str, location: str, experiment_id: str) -> bool:
    """Move or copy a model into `mlruns/artifacts`, from wherever it is; False if its files are not found.

    Files outside `mlruns` are copied and stay there.
    """
    target = mlruns / "artifacts" / MODELS / model_id / "artifacts"
    if not target.is_dir():
        source = next((folder for folder in _places_of_model(mlruns, location) if folder.is_dir()), None)
        if source is None:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_relative_to(mlruns):
            source.rename(target)
        else:
            beside = target.with_name(".artifacts.partial")
            shutil.rmtree(beside, ignore_errors=True)
            shutil.copytree(source, beside)
            beside.rename(target)
    with connection:
        connection.execute("update logged_models set artifact_location = ? where model_id = ?", (target.as_uri(), model_id))
        connection.execute("update model_versions set storage_location = ? where source = ?", (target.as_uri(), f"models:/{model_id}"))
        for table in MODEL_TABLES:
            connection.execute(f"update {table} set experiment_id = ? where model_id = ?", (experiment_id, model_id))  # noqa: S608
    return True


def _places_of_model(mlruns: Path, location: str) -> Iterator[Path]:
    """The places where a model's files may be: first those inside the project, then the recorded one."""
    recorded = _local(location)
    if recorded:
        yield mlruns / recorded.rpartition("/mlruns/")[2]
        folders = Path(recorded).parts
        below = len(Path("mlruns/0/models/m/artifacts").parts)
        for i in range(1, len(folders) - below):  # created by a command in a sub-folder of the project
            yield mlruns.parent.joinpath(*folders[i:])
        yield Path(recorded)


def _local(location: str) -> str:
    """The local path of a location written plainly or as a URI; empty if it is not on this machine."""
    address = urlsplit(location)
    if address.scheme == "file":
        return unquote(address.path)
    return location if location.startswith("/") else ""
