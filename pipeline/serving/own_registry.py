"""Which registered version is meant and where its files are, read from the project's own database: importing MLflow takes longer than the answer.

Each answer comes from the database as it is now. It is given only where nothing is in doubt; else MLflow is asked, which also says what is wrong.
"""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pipeline.errors import ConfigError
from pipeline.paths import Paths
from pipeline.registry.decision import read_decision
from pipeline.registry.reference import parts_of
from pipeline.tracking.long_tags import joined
from pipeline.tracking.tracking_server import is_own_store, registry_uri, tracking_uri

SCHEMA = "dc11669786a5"
"""The revision of MLflow's tables that this reads; with another one MLflow is asked."""
LOGGED_AS = "MLmodel"
WAIT_SECONDS = 2


@dataclass(frozen=True)
class Known:
    """A registered version: its tags, and the folder with its files."""

    name: str
    version: str
    tags: dict[str, str]
    files: Path


def look_up(reference: str, paths: Paths) -> Known | None:
    """The version that a reference names; None where the database does not say so beyond doubt."""
    database = paths.mlruns / "mlflow.db"
    is_own = is_own_store(tracking_uri(paths), paths) and is_own_store(registry_uri(paths), paths)
    if not is_own or os.environ.get("MLFLOW_WORKSPACE") or not database.is_file():
        return None
    try:
        name, number, alias = parts_of(reference.strip().removeprefix("models:/"))
        name = name or str(read_decision(paths).get("model_name", ""))
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=WAIT_SECONDS)) as connection:
            connection.execute("begin")  # one state of the database for all questions
            return _known(connection, name, number or _number(connection, name, alias), paths)
    except (ConfigError, sqlite3.Error):
        return None


def _number(connection: sqlite3.Connection, name: str, alias: str) -> str:
    """The number of the version with an alias; empty if there is none."""
    query = "select version from registered_model_aliases where workspace = 'default' and name = ? and alias = ?"
    rows = connection.execute(query, (name, alias)).fetchall()
    return str(rows[0][0]) if len(rows) == 1 else ""


def _known(connection: sqlite3.Connection, name: str, number: str, paths: Paths) -> Known | None:
    if connection.execute("select version_num from alembic_version").fetchall() != [(SCHEMA,)]:
        return None
    of_version = "where workspace = 'default' and name = ? and version = ?"
    query = f"select source, storage_location, current_stage, status from model_versions {of_version}"  # noqa: S608
    found = connection.execute(query, (name, number)).fetchall()
    if len(found) != 1 or found[0][2:] != ("None", "READY") or not str(found[0][0]).startswith("models:/m-"):
        return None
    address = urlsplit(str(found[0][1]))
    files = Path(unquote(address.path))
    if address.scheme != "file" or not files.is_relative_to(paths.mlruns / "artifacts") or not (files / LOGGED_AS).is_file():
        return None
    tags = dict(connection.execute(f"select key, value from model_version_tags {of_version}", (name, number)).fetchall())  # noqa: S608
    return Known(name, number, joined(tags), files)
