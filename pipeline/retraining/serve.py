"""Where the flow runs: once or on a schedule, on the Prefect server that is configured, or on one started for it.

Prefect reads its settings as it is imported, so each of the two functions first sees that it can be.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.errors import BusyError, StorageError
from pipeline.paths import Paths
from pipeline.retraining.prefect_home import prepare_prefect
from pipeline.unattended.timezones import schedule_timezone


def run_once(paths: Paths, lock_timeout_seconds: float, stage_timeout_seconds: float | None = None, *, if_worth_it: bool = False) -> str:
    """Run the flow in this process; why nothing was done, if `if_worth_it` was asked and it was not.

    Raises StageError with the message of the stage that failed, Stopped by Ctrl-C or SIGTERM.
    """
    prepare_prefect(paths.root)
    from pipeline.retraining.single_run import run_flow

    return run_flow(paths, lock_timeout_seconds, stage_timeout_seconds, if_worth_it=if_worth_it)


def serve(
    paths: Paths, cron: str | None, timezone: str | None, settle_seconds: float | None, parameters: Mapping[str, Any], port: int | None
) -> None:
    """Run the flow on a cron schedule, and when new files have settled, until Stopped by Ctrl-C or SIGTERM; every process of it is then stopped.

    cron, settle_seconds: None for runs that do not start so. parameters: of each run.
    port: for the Prefect server, where none is configured; by default 4200, or another where that is taken.
    Raises ConfigError for a schedule that never fires, a zone that is none, a source that cannot be watched; BusyError where this project is
    being served already.
    """
    zone = schedule_timezone(timezone) if cron is not None else ""
    prepare_prefect(paths.root)
    from pipeline.retraining.schedule import Plan, checked_schedule, run_by_plan
    from pipeline.retraining.source_watch import local_source

    schedule = checked_schedule(cron, zone) if cron is not None else None
    if settle_seconds is not None:
        local_source(paths)
    with _only_one(paths):
        run_by_plan(paths, Plan(schedule, settle_seconds, parameters), port)


@contextlib.contextmanager
def _only_one(paths: Paths) -> Iterator[None]:
    """Lock out other processes that serve this project: with two runners, one would pause the other's schedule as it ends."""
    note = paths.scratch / "serve.pid"
    try:
        paths.scratch.mkdir(parents=True, exist_ok=True)
        with FileLock(paths.scratch / "serve.lock", timeout=0):
            note.write_text(f"{os.getpid()}\n", encoding="utf-8")
            yield
    except Timeout:
        raise BusyError(
            f"This project's schedule is already being served, by {_process_in(note)}. Stop it first, with Ctrl-C or SIGTERM."
        ) from None
    except PermissionError as error:
        raise StorageError(f"{error.filename} is not writable: {error.strerror}. The lock of a served schedule is kept there.") from None


def _process_in(note: Path) -> str:
    try:
        return f"PID {int(note.read_text(encoding='utf-8'))}"
    except (OSError, ValueError):
        return "another process"
