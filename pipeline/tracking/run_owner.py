"""The process that a run in the tracker belongs to, and whether it is known to have ended.

Host name and process id are not enough: machines created from one image, and containers, share both. A process is identified by the boot id of the
system, its pid namespace and the time at which the process started; in the project's own store also by the lock that a stage holds while it runs.
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
    """`system`: boot id and pid namespace. `lock`: the name of the lock file that the process holds, or empty.

    `locks`: the folder with the locks of all processes that log to this store; None if they do not share one.
    """

    system: str
    pid: int
    started: str
    lock: str = ""
    locks: Path | None = None

    @property
    def tags(self) -> dict[str, str]:
        """The tags that mark a run as belonging to this process."""
        lock = {LOCK_TAG: self.lock} if self.lock else {}
        return {OWNER_TAG: f"{self.system}/{self.pid}/{self.started}", "process": f"{socket.gethostname()}:{self.pid}", **lock}

    def knows_ended(self, other: "Owner") -> bool:
        """Whether this process can tell that another one has ended."""
        if other.system == self.system:
            return (other.pid, other.started) != (self.pid, self.started) and _start(other.pid) != other.started
        if not (self.locks and other.lock):
            return False
        return other.lock == self.lock or _is_free(self.locks / other.lock)


def this_process(stage: str, paths: Paths, *, shares_locks: bool) -> Owner:
    """The current process. stage: the one whose lock it holds, if any. shares_locks: whether all users of the store keep their locks here."""
    lock = lock_file(stage, paths.root, paths.scratch).name if stage else ""
    return Owner(_system(), os.getpid(), _start(os.getpid()), lock, paths.scratch if shares_locks else None)


def read_owner(tags: Mapping[str, str]) -> Owner | None:
    """The process that a run's tags name, or None."""
    system, _, process = tags.get(OWNER_TAG, "").partition("/")
    pid, _, started = process.partition("/")
    return Owner(system, int(pid), started, tags.get(LOCK_TAG, "")) if pid.isdecimal() else None


def _system() -> str:
    """Boot id of the machine and pid namespace; elsewhere than on Linux, host name and boot time."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    with contextlib.suppress(OSError):
        return f"{boot.read_text(encoding='ascii').strip()}-{Path('/proc/self/ns/pid').stat().st_ino}"
    return f"{socket.gethostname()}-{psutil.boot_time():.0f}"


def _start(pid: int) -> str:
    """When a process started; empty if there is no such process."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        stat = Path(f"/proc/{pid}/stat")  # in ticks since boot: unaffected by changes of the clock
        return (
            stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
            if stat.exists()
            else f"{process.create_time():.2f}"
        )
    except (psutil.Error, OSError):
        return ""


def _is_free(lock: Path) -> bool:
    """Whether no process holds a lock."""
    if not lock.exists():
        return True
    try:
        with FileLock(lock, timeout=0):
            return True
    except (Timeout, OSError):
        return False
