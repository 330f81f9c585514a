"""Which process a run in the tracker belongs to, and whether that process is known to have ended.

A host name and a process number are not enough: machines made from one image, and containers, share both. What counts is the start of the system,
its space of process numbers, and the time at which the process started. In the project's own store also the lock that a stage holds while it runs.
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from pipeline.paths import Paths
from pipeline.processes import lock_file

OWNER_TAG = "owner"
LOCK_TAG = "lock"


@dataclass(frozen=True)
class Owner:
    """`system`: this start of this machine, or of this container. `lock`: the file in `locks` that the process holds, or nothing.

    `locks`: the folder of locks, where those of all processes that log to this store are in it; else None.
    """

    system: str
    pid: int
    started: str
    lock: str = ""
    locks: Path | None = None

    @property
    def tags(self) -> dict[str, str]:
        """What marks a run as this process's."""
        lock = {LOCK_TAG: self.lock} if self.lock else {}
        return {OWNER_TAG: f"{self.system}/{self.pid}/{self.started}", "process": f"{socket.gethostname()}:{self.pid}", **lock}

    def knows_ended(self, other: "Owner") -> bool:
        """Whether this process can tell that another one, as its tags describe it, has ended."""
        if other.system == self.system:
            return (other.pid, other.started) != (self.pid, self.started) and _start(other.pid) != other.started
        if not (self.locks and other.lock):
            return False
        return other.lock == self.lock or _is_free(self.locks / other.lock)


def this_process(stage: str, paths: Paths, *, shares_locks: bool) -> Owner:
    """The process that asks. stage: the one whose lock it holds, if any. shares_locks: whether all who use the store have their locks here."""
    lock = lock_file(stage, paths.root, paths.scratch).name if stage else ""
    return Owner(_system(), os.getpid(), _start(os.getpid()), lock, paths.scratch if shares_locks else None)


def read_owner(tags: Mapping[str, str]) -> Owner | None:
    """The process that a run's tags name; nothing where they don't."""
    system, _, process = tags.get(OWNER_TAG, "").partition("/")
    pid, _, started = process.partition("/")
    return Owner(system, int(pid), started, tags.get(LOCK_TAG, "")) if pid.isdecimal() else None


def _system() -> str:
    """This start of the machine, with its space of process numbers where it has several."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    with contextlib.suppress(OSError):
        return f"{boot.read_text(encoding='ascii').strip()}-{Path('/proc/self/ns/pid').stat().st_ino}"
    return f"{socket.gethostname()}-{psutil.boot_time():.0f}"


def _start(pid: int) -> str:
    """When a process started; empty where there is none of this number."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        stat = Path(f"/proc/{pid}/stat")  # in ticks since the system started: a clock that is set changes nothing
        return (
            stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
            if stat.exists()
            else f"{process.create_time():.2f}"
        )
    except (psutil.Error, OSError):
        return ""


def _is_free(lock: Path) -> bool:
    """Whether nobody holds a lock."""
    if not lock.exists():
        return True
    try:
        with FileLock(lock, timeout=0):
            return True
    except (Timeout, OSError):
        return False
