"""Where the flow runs: once or on a schedule, on the Prefect server that is configured, or on one started for it.

Prefect reads its settings as it is imported, so each of the two functions first sees that it can be.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import BusyError, StorageError
from pipeline.paths import Paths
from pipeline.retraining.prefect_home import prepare_prefect
from pipeline.retraining.timezones import schedule_timezone


def run_once(paths: Paths, lock_timeout_seconds: float) -> None:
    """Run the flow in this process. Raises StageError with the message of the stage that failed, Stopped by Ctrl-C or SIGTERM."""
    prepare_prefect(paths.root)
    from pipeline.retraining.single_run import run_flow

    run_flow(paths, lock_timeout_seconds)


def serve(paths: Paths, cron: str, timezone: str | None, port: int | None) -> None:
    """Run the flow on a cron schedule until Stopped by Ctrl-C or SIGTERM; every process that this started is then stopped.

    port: for the Prefect server, where none is configured; by default 4200, or another where that is taken.
    Raises ConfigError for a schedule that never fires or a zone that is none, BusyError where this project is being served already.
    """
    zone = schedule_timezone(timezone)
    prepare_prefect(paths.root)
    from pipeline.retraining.schedule import checked_schedule, run_by_schedule

    schedule = checked_schedule(cron, zone)
    with _only_one(paths):
        run_by_schedule(paths, schedule, port)


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
