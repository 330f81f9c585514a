"""Processes that end together: a command in its own session, a stage that never outlives its run, one stage at a time.

A command's whole session is stopped with it, and waited for, whatever ends the caller: DVC killed alone leaves the stage writing, and what
is written late lands in the outs of the next run, where DVC caches it. Knows nothing of Prefect or of what a stage does.
"""

import contextlib
import hashlib
import math
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

import psutil
from filelock import FileLock, Timeout

from pipeline.errors import FULL_DISK, BusyError, StorageError
from pipeline.output_lines import lines_of

POLITELY = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.25
ENDED_WITH_PARENT = 143


class Stopped(KeyboardInterrupt):
    """A signal asks this process to stop. Raised once; a second Ctrl-C must not interrupt the shutdown."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


_stops: list[int] = []  # signals that asked this process to stop; signals are one per process, and so is this


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """In this block the first SIGINT or SIGTERM raises Stopped, and later ones do nothing. No effect outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.signal(number, _stop_once) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            if not _stops:
                signal.signal(number, handler)


def _stop_once(signal_number: int, _frame: FrameType | None) -> None:
    _stops.append(signal_number)
    if len(_stops) == 1:
        raise Stopped(signal_number)


def raise_if_stopped() -> None:
    """Raise Stopped again if a signal asked this process to stop and the exception was caught."""
    if _stops:
        raise Stopped(_stops[0])


def run(
    command: Sequence[str],
    on_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
) -> int:
    """The exit code of a command whose output, both streams merged, went to `on_line` line by line as it came.

    Bytes that are no UTF-8 are replaced; of a progress bar that overwrites its line, one state per 5 s is passed on, and its last.
    Nothing that the command started is left when this returns or raises. Raises TimeoutError if it takes longer than it may.
    """
    deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds

    def on_poll() -> None:
        raise_if_stopped()
        if time.monotonic() > deadline:
            raise TimeoutError

    with session(command, stdout=subprocess.PIPE, cwd=cwd, env=env) as process:
        # What a signal handler raises is lost if it hits a destructor or a callback from C, so raise_if_stopped is asked, too
        for line in lines_of(process, on_poll):
            on_line(line)
        return process.wait()


@contextlib.contextmanager
def session(
    command: Sequence[str],
    *,
    stdout: int | IO[bytes] | None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    grace_seconds: float = GRACE_SECONDS,
    signals: Sequence[signal.Signals] = POLITELY,
) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a session of its own, which ends with the block: a Ctrl-C in the terminal reaches it through its caller only."""
    process = subprocess.Popen(
        list(command), cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield process
    finally:
        with _undisturbed():
            stop_session(process, grace_seconds, signals)


def stop_session(
    process: subprocess.Popen[bytes], grace_seconds: float = GRACE_SECONDS, signals: Sequence[signal.Signals] = POLITELY
) -> None:
    """End every process of the session that `process` leads, with one signal after the other, and wait for it.

    The wait matters as much as the signal: a killed process that nobody waits for keeps its number, and DVC takes it for alive.
    """
    for number in signals:
        if _send_until_gone(process, number, grace_seconds):
            break
    process.wait()
    if process.stdout:
        process.stdout.close()


def _send_until_gone(leader: subprocess.Popen[bytes], number: signal.Signals, grace_seconds: float) -> bool:
    told: set[int] = set()
    deadline = time.monotonic() + grace_seconds
    while members := _members(leader.pid):
        for member in members:
            if member.pid not in told:
                with contextlib.suppress(psutil.Error):
                    member.send_signal(number)
                told.add(member.pid)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
        leader.poll()
    return True


def _members(session_id: int) -> list[psutil.Process]:
    """The living processes of a session: a process group is narrower, as a shell gives each of its jobs one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == session_id and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """In this block SIGINT and SIGTERM do nothing: a second Ctrl-C during the shutdown of a session would leave half of it running."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def exit_with(*pids: int) -> None:
    """From now on, this process and its children end within half a second of the end of any of `pids`, even by SIGKILL."""
    watched = [_find(pid) for pid in pids]
    threading.Thread(target=_watch, args=(watched,), name="exit-with-parents", daemon=True).start()


def callers() -> list[int]:
    """The processes that this one works for: its parent, and whatever a shell between them hides."""
    found = []
    for process in psutil.Process().parents():
        found.append(process.pid)
        if process.name() not in ("sh", "dash", "bash", "zsh", "ksh", "fish"):
            break
    return found


def _find(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _watch(watched: list[psutil.Process | None]) -> None:
    while all(process and _lives(process) for process in watched):
        time.sleep(POLL_SECONDS)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()
    os._exit(ENDED_WITH_PARENT)


def _lives(process: psutil.Process) -> bool:
    """False also for a zombie, and where another process has got the number since."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def one_at_a_time(name: str, workspace: Path, scratch: Path, timeout_seconds: float = 30.0) -> Iterator[None]:
    """Lock out other processes of this workspace that run `name`. Raises BusyError after `timeout_seconds`.

    A stage holds it, so that a new run waits until an orphan of the previous one has ended.
    """
    lock = FileLock(lock_file(name, workspace, scratch), timeout=timeout_seconds)
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"{name} is still being run by another process in {workspace}; waited {timeout_seconds:g} s. Wait for it, or stop it."
        ) from None
    except OSError as error:
        if error.errno in FULL_DISK:
            raise StorageError(
                f"The disk is full: {lock.lock_file} could not be written. Free some space, then run the same command again."
            ) from None
        raise StorageError(
            f"{error.filename or lock.lock_file} cannot be used: {error.strerror}. The locks of running stages are kept in {scratch}, "
            "which must be a writable folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


def lock_file(name: str, workspace: Path, scratch: Path) -> Path:
    """The file whose lock the process of a workspace that runs `name` holds."""
    return scratch / f"{name}-{hashlib.sha256(str(workspace).encode()).hexdigest()[:12]}.lock"


def bound_command(module: str, *arguments: str) -> list[str]:
    """A command that runs a Python module which ends when this process does, even by SIGKILL. -P: a `pipeline.py` in the folder is not imported."""
    return [sys.executable, "-P", "-m", "pipeline.processes", str(os.getpid()), module, *arguments]


def _run_bound(pid: int, module: str, arguments: Sequence[str]) -> None:
    exit_with(pid)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run_bound(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
