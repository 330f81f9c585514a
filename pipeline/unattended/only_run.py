"""One run of a project at a time: by schedule, by hand or on a worker. The system frees the lock of a run that is killed; the note of it stays.

Knows nothing of Prefect or of what a run does.
"""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from pipeline.errors import BusyError
from pipeline.files import write_json
from pipeline.paths import Paths
from pipeline.processes import lock_file, one_at_a_time

RUN = "run"
MOMENT_SECONDS = 1.0
"""For so long the lock may be held by a process that has not written its note yet, or only looks whether there is a run."""


@contextlib.contextmanager
def only_run(paths: Paths, about: Mapping[str, str], timeout_seconds: float, log: Callable[[str], None]) -> Iterator[dict[str, Any] | None]:
    """Lock out other runs of this workspace, and yield the note of the run before, if its process has ended, whichever way.

    about: is noted, to name this run to others. Raises BusyError with the holder after the timeout.
    """
    timeout_seconds = max(timeout_seconds, MOMENT_SECONDS)
    if is_running(paths):
        log(f"waiting for {_holder(paths)}")
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(one_at_a_time(RUN, paths.root, paths.scratch, timeout_seconds))
        except BusyError:
            raise BusyError(
                f"{_holder(paths)} is at work in {paths.root}; waited {timeout_seconds:g} s. Wait for it or stop it, then run the same "
                "command again (--lock-timeout waits longer)."
            ) from None
        before = _noted(paths)
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        write_json(_note(paths), {**about, **_this_process(), "started": started})
        yield before if before and not _lives(before) else None


def is_running(paths: Paths) -> bool:
    """Whether a run of this workspace is at work."""
    lock = FileLock(lock_file(RUN, paths.root, paths.scratch), timeout=0)
    try:
        paths.scratch.mkdir(parents=True, exist_ok=True)
        with lock:
            return False
    except Timeout:
        return True
    except OSError:
        return False  # the run itself says what is wrong with the folder


def _this_process() -> dict[str, Any]:
    return {"machine": socket.gethostname(), "pid": os.getpid(), "born": psutil.Process().create_time()}


def _lives(note: Mapping[str, Any]) -> bool:
    """Whether the process of a note is alive; of one on another machine the lock is all that is known."""
    try:
        return note.get("machine") == socket.gethostname() and psutil.Process(int(note["pid"])).create_time() == note["born"]
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def _note(paths: Paths) -> Path:
    return Path(lock_file(RUN, paths.root, paths.scratch)).with_suffix(".json")


def _noted(paths: Paths) -> dict[str, Any] | None:
    try:
        note = json.loads(_note(paths).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def _holder(paths: Paths) -> str:
    note = _noted(paths) or {}
    name, pid, started = (note.get(key, "") for key in ("name", "pid", "started"))
    return f"the run {name} (PID {pid}, since {str(started)[:16].replace('T', ' ')})" if name and pid else "another run"
