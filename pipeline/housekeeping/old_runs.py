"""MLflow runs past their age that led to no registered version: first to MLflow's trash, and out of it a month later."""

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.errors import TrackingError
from pipeline.paths import Paths
from pipeline.processes import run
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.mlflow_registry import EndedRun

TRASH_TAG = "moved_to_trash_by_clean"
DAYS_IN_TRASH = 30
RUNS_PER_COMMAND = 200


@dataclass(frozen=True)
class OldRuns:
    """to_trash: runs to move to MLflow's trash. to_remove: runs that this project put there long ago."""

    to_trash: Sequence[EndedRun]
    to_remove: Sequence[EndedRun]


def old_runs(log: MlflowLog, days: float | None, now: datetime | None = None) -> OldRuns:
    """The runs that ended `days` ago or earlier, and have no registered version, nor have the runs that they are nested in. Raises TrackingError.

    days: None for no runs; those that are in the trash are found all the same.
    """
    now = now or datetime.now(UTC)
    active, deleted = log.ended_runs(), log.ended_runs(in_trash=True)
    above = {run.id: run.parent for run in [*active, *deleted]}
    needed = {version.run_id for name in log.model_names() for version in log.all_versions(name)}
    for run_id in list(needed):
        while run_id := above.get(run_id, ""):
            needed.add(run_id)
    free = [run for run in active if not _is_needed(run.id, above, needed) and TRASH_TAG not in run.tags]  # that tag: a person took it back
    gone = [run for run in deleted if not _is_needed(run.id, above, needed) and run.tags.get(TRASH_TAG)]
    return OldRuns(
        [] if days is None else [run for run in free if _end_of_all(run, free) <= now - timedelta(days=days)],
        [run for run in gone if datetime.fromisoformat(run.tags[TRASH_TAG]) <= now - timedelta(days=DAYS_IN_TRASH)],
    )


def move_to_trash(log: MlflowLog, runs: Sequence[EndedRun], now: datetime | None = None) -> None:
    """Move runs to MLflow's trash, each marked with the date: `mlflow runs restore --run-id ID` brings one back."""
    for ended in runs:
        log.move_to_trash(ended.id, {TRASH_TAG: (now or datetime.now(UTC)).isoformat(timespec="seconds")})


def remove_for_good(paths: Paths, runs: Sequence[EndedRun]) -> None:
    """Remove runs that are in the trash of the project's own store, with their files, by `mlflow gc`. Raises TrackingError."""
    database = f"sqlite:///{paths.mlruns / 'mlflow.db'}"
    for start in range(0, len(runs), RUNS_PER_COMMAND):
        ids = ",".join(run.id for run in runs[start : start + RUNS_PER_COMMAND])
        command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", database, "--run-ids", ids]
        lines: list[str] = []
        if run(command, lines.append, cwd=paths.root, env={**os.environ, "MLFLOW_TRACKING_URI": database}):
            raise TrackingError(f"mlflow gc: {lines[-1] if lines else 'it failed and said nothing'}")
    for folder in filter(None, map(folder_of, runs)):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()  # which MLflow has emptied


def folder_of(ended: EndedRun) -> str:
    """The local folder with the files of a run; empty if it is on a server."""
    address = urlsplit(ended.artifacts)
    return unquote(address.path).removesuffix("/artifacts") if address.scheme == "file" else ""


def _is_needed(run_id: str, above: dict[str, str], needed: set[str]) -> bool:
    while run_id:
        if run_id in needed:
            return True
        run_id = above.get(run_id, "")
    return False


def _end_of_all(ended: EndedRun, runs: Sequence[EndedRun]) -> datetime:
    """When a run and those nested in it, or that it is nested in, had all ended: a row of the list stays whole."""
    top = ended.parent or ended.id
    return max(other.ended for other in runs if top in (other.id, other.parent) or other.id == ended.id)
