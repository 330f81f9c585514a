"""Whether the project's own registry agrees with data/register/decision.json, read from MLflow's database without loading MLflow.

Read-only; errors of the database are left to the commands that use it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pipeline.paths import Paths
from pipeline.registry.decision import read_decision

CHAMPION = "champion"
MODEL_TAG = "model_sha256"


def registry_problem(paths: Paths) -> str | None:
    """The difference, in a few words; empty if there is none, None if the registry does not have the model yet, as in a new clone."""
    decision, database = read_decision(paths), paths.mlruns / "mlflow.db"
    if not decision or not database.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=2)) as connection:
            if _has_moved(connection, paths):
                return f"{paths.mlruns} was made in another folder, so MLflow finds no model in it until its paths are rewritten"
            return _difference(connection, decision["model_name"], decision["model_sha256"], (decision["champion"] or {}).get(MODEL_TAG))
    except sqlite3.Error:
        return None


def _has_moved(connection: sqlite3.Connection, paths: Paths) -> bool:
    rows = connection.execute("select artifact_location from experiments where artifact_location like '%/mlruns/artifacts'").fetchall()
    return bool(rows) and (paths.mlruns / "artifacts").as_uri() not in {row[0] for row in rows}


def _difference(connection: sqlite3.Connection, name: str, model: str, champion: str | None) -> str | None:
    if _one(connection, "select version from model_version_tags where name = ? and key = ? and value = ?", name, MODEL_TAG, model) is None:
        return None
    version = _one(connection, "select version from registered_model_aliases where name = ? and alias = ?", name, CHAMPION)
    found = _one(connection, "select value from model_version_tags where name = ? and version = ? and key = ?", name, version, MODEL_TAG)
    if found != champion:
        now = f"version {version} is champion" if version is not None else "no version is champion"
        return f"{now}, which differs from data/register/decision.json"
    location = _one(connection, "select storage_location from model_versions where name = ? and version = ?", name, version)
    if isinstance(location, str) and location.startswith("file:///") and not (Path(unquote(urlsplit(location).path)) / "MLmodel").is_file():
        return f"the files of version {version}, the champion, are gone; it cannot be loaded"
    return ""


def _one(connection: sqlite3.Connection, query: str, *values: object) -> object:
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None
