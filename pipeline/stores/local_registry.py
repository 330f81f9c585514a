"""Whether the project's own registry is as data/register/decision.json says, read straight from MLflow's database: without loading MLflow.

Reads; a database that it cannot read is left to the commands that use it.
"""

import sqlite3
from contextlib import closing
from urllib.parse import quote

from pipeline.paths import Paths
from pipeline.stores.decision import read_decision

CHAMPION = "champion"
MODEL_TAG = "model_sha256"


def registry_problem(paths: Paths) -> str:
    """What differs, in a few words; empty where nothing does, or nothing has been decided."""
    decision = read_decision(paths)
    database = paths.mlruns / "mlflow.db"
    if not decision:
        return ""
    if not database.is_file():
        return f"mlruns/ does not have the model {decision['model_name']} of data/register/decision.json"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=2)) as connection:
            return _difference(connection, decision["model_name"], decision["model_sha256"], (decision["champion"] or {}).get(MODEL_TAG))
    except sqlite3.Error:
        return ""


def _difference(connection: sqlite3.Connection, name: str, model: str, champion: str | None) -> str:
    if _one(connection, "select version from model_version_tags where name = ? and key = ? and value = ?", name, MODEL_TAG, model) is None:
        return f"the registry does not have the model {name} of data/register/decision.json"
    version = _one(connection, "select version from registered_model_aliases where name = ? and alias = ?", name, CHAMPION)
    found = _one(connection, "select value from model_version_tags where name = ? and version = ? and key = ?", name, version, MODEL_TAG)
    if found == champion:
        return ""
    now = f"version {version} is champion" if version is not None else "no version is champion"
    return f"{now}, which data/register/decision.json does not say"


def _one(connection: sqlite3.Connection, query: str, *values: object) -> object:
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None
