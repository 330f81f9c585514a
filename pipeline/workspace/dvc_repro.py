"""One stage brought up to date by DVC, as a command of its own: `dvc repro --single-item NAME`.

In: a stage's name and the workspace. Out: whether it ran, was unchanged or came from DVC's cache, by DVC's own words. A lock that another
DVC command holds is waited for. Knows nothing of Prefect.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import psutil

from pipeline.environment import SETTINGS
from pipeline.errors import BusyError, ConfigError, PassingError, StageError
from pipeline.paths import Paths
from pipeline.processes import run
from pipeline.progress import read_record
from pipeline.workspace.dvc_faults import explain
from pipeline.workspace.dvc_lock import keep_lock, put_lock_back

Outcome = Literal["Ran", "Unchanged", "Restored"]
MAY_PASS = 75
"""The exit code of a stage of the flow whose error may pass: EX_TEMPFAIL of sysexits.h."""
FLOW_PID = "PIPELINE_FLOW_PID"  # tells a stage which run it belongs to, so that it ends with that run
RETRY_SECONDS = 5.0
ZOMBIE_SECONDS = 3.0
GONE_SECONDS = 10.0

_HINT = re.compile(
    r"\s*$|To track the changes with git|\s+git add |To enable auto staging|\s+dvc config core\.autostage|Use `dvc push`"
    r"|(Updating|Generating) lock file|Data and pipelines are up to date"
)
_BUSY = re.compile(r"is busy, it is being blocked by|Unable to acquire lock")
_HOLDER = re.compile(r"\s*\(PID (\d+)\): (.*)")
_DVC_FAILURE = re.compile(r"ERROR: (?:failed to reproduce '[^']*': )?(.*)")
_EXIT_CODE = re.compile(r"exited with (-?\d+)$")


def reproduce(
    stage: str,
    paths: Paths,
    log: Callable[[str], None],
    lock_timeout_seconds: float,
    *,
    force: bool = False,
    timeout_seconds: float | None = None,
) -> Outcome:
    """What DVC did with the stage; its output goes to `log` as it comes, without DVC's hints. `force` runs it even if nothing has changed.

    Raises StageError with the stage's own message, also if it takes longer than `timeout_seconds`; PassingError if the same may work later;
    BusyError where another command has held DVC's lock for longer than the timeout.
    """
    put_lock_back(paths)
    keep_lock(paths)
    _refuse_outs_elsewhere(stage, paths)
    started = time.monotonic()
    reported = False
    while True:
        lines, exit_code = _repro(stage, paths, log, force, timeout_seconds)
        if exit_code == 0:
            return _outcome(lines)
        if not any(map(_BUSY.search, lines)):
            raise (PassingError if may_pass(lines) else StageError)(f"{stage}: {_reason(lines, exit_code)}")
        holders = _holders(lines, paths)
        if not reported and holders:
            log(f"DVC is busy: waiting for {_describe(holders)}")
            reported = True
        _wait_for(holders, started, lock_timeout_seconds)


def dvc_environment() -> dict[str, str]:
    """The environment for DVC: its stages call `python`, which must be this one even where .venv is not activated."""
    bin_folder = str(Path(sys.executable).parent)
    own = {"PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "PYTHONUNBUFFERED": "1", FLOW_PID: str(os.getpid())}
    return {**SETTINGS, **os.environ, **own}


def may_pass(lines: Sequence[str]) -> bool:
    """Whether the stage has ended with the exit code that says so."""
    failures = [found[1] for line in lines if (found := _DVC_FAILURE.match(line))]
    code = _EXIT_CODE.search(failures[-1]) if failures else None
    return code is not None and int(code[1]) == MAY_PASS


def _repro(stage: str, paths: Paths, log: Callable[[str], None], force: bool, timeout_seconds: float | None) -> tuple[list[str], int]:
    lines: list[str] = []

    def take(line: str) -> None:
        if read_record(line):
            log(line)
        elif not _HINT.match(line):
            lines.append(line)
            if not any(map(_BUSY.search, lines)):
                log(line)

    dvc = Path(sys.executable).with_name("dvc")
    if not dvc.exists():
        raise ConfigError(f"DVC is not installed beside {sys.executable}. Run `make install`.")
    options = ["--single-item", *(["--force"] if force else [])]
    command = [sys.executable, str(dvc), "repro", *options, stage]
    try:
        return lines, run(command, take, cwd=paths.root, env=dvc_environment(), timeout_seconds=timeout_seconds)
    except TimeoutError:
        raise StageError(
            f"{stage}: still running after {timeout_seconds:g} s (--stage-timeout), so it was ended, with all its processes. "
            "Run the same command again: it goes on from what the stage has saved."
        ) from None


def _refuse_outs_elsewhere(stage: str, paths: Paths) -> None:
    """Raise StageError for a link that leads out of the project: DVC would run the whole stage, and then refuse what it wrote."""
    folder = paths.stage(stage)
    if not folder.resolve().is_relative_to(paths.root.resolve()):
        raise StageError(
            f"{stage}: {paths.relative(folder)} is in {folder.resolve()}: it or a folder above it is a link. DVC tracks only files "
            "inside the project: replace the link with the folder itself. (.dvc/cache and mlruns may be links.)"
        )


def _outcome(lines: list[str]) -> Outcome:
    for line in lines:
        if line.startswith("Running stage '"):
            return "Ran"
        if "is cached - skipping run, checking out outputs" in line:
            return "Restored"
        if line.endswith("didn't change, skipping"):
            return "Unchanged"
    return "Unchanged"


def _reason(lines: list[str], exit_code: int) -> str:
    """Why the stage failed: its own message, or else its exit code and its last line."""
    own = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if own:
        return "\n".join(own)
    failures = [found[1] for line in lines if (found := _DVC_FAILURE.match(line))]
    said = [line.strip() for line in lines if not _DVC_FAILURE.match(line) and not line.startswith(("Running stage '", "> "))]
    if (not failures or not _EXIT_CODE.search(failures[-1])) and (explained := explain(lines)):
        return explained
    failure = failures[-1] if failures else f"DVC exited with {exit_code}"
    code = _EXIT_CODE.search(failure)
    if code is None:
        return failure
    if code[1] in ("-9", "137"):
        return "killed by the system, probably because memory ran out. Close other programs, or lower train.batch_size."
    return f"exited with {code[1]}: {said[-1]}" if said else failure


def _holders(lines: list[str], paths: Paths) -> dict[int, str]:
    """The processes that hold DVC's locks, pid and command: named by DVC, or, for the lock of the whole repository, written in its file."""
    named = {int(found[1]): found[2] for line in lines if (found := _HOLDER.match(line))}
    if named:
        return named
    try:
        pid = int((paths.root / ".dvc" / "tmp" / "lock").read_text(encoding="utf-8").strip())
        return {pid: " ".join(psutil.Process(pid).cmdline())}
    except (OSError, ValueError, psutil.Error):
        return {}


def _wait_for(holders: dict[int, str], started: float, timeout_seconds: float) -> None:
    """Return when it is worth trying again: as soon as a holder has ended, or after a while. Raises BusyError after the timeout.

    Holders that have all ended, or of which nothing is known, are no reason to give up within a moment, whatever the timeout. A zombie is waited for
    for a moment only: DVC takes it for alive as long as its parent does, which may be forever.
    """
    retry_at = time.monotonic() + RETRY_SECONDS
    while True:
        waited = time.monotonic() - started
        states = [_status(pid) for pid in holders]
        if states and set(states) == {psutil.STATUS_ZOMBIE} and waited > min(ZOMBIE_SECONDS, timeout_seconds):
            raise BusyError(
                f"DVC's lock is held by {_describe(holders)}, which has ended, but its parent has not reaped it. "
                "End that parent, or delete .dvc/tmp/rwlock."
            )
        if waited > (timeout_seconds if any(states) else max(timeout_seconds, GONE_SECONDS)):
            raise BusyError(
                f"DVC's lock is held by {_describe(holders)}; waited {timeout_seconds:g} s. Wait for it or stop it, "
                "then run the same command again (--lock-timeout waits longer)."
            )
        if None in states or (not states and waited <= GONE_SECONDS) or time.monotonic() > retry_at:
            return
        time.sleep(0.1)


def _status(pid: int) -> str | None:
    try:
        return str(psutil.Process(pid).status())
    except psutil.NoSuchProcess:
        return None


def _describe(holders: dict[int, str]) -> str:
    return " and ".join(f"PID {pid} ({command})" for pid, command in holders.items()) or "another DVC command"
