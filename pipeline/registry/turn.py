"""One at a time: who moves aliases of a registered model waits for whoever began before, so that nobody moves one that has just been moved.

MLflow has no lock and no compare-and-set, but each of its calls is done as a whole. So tags of the model are the registers of Lamport's bakery
algorithm (1974): a process says that it is choosing, takes a number above all that it sees, and waits for those that are choosing or have a lower
one. Its tag goes when it is done. That of a process that was killed goes too: at once if it was on this machine, else after a while.
"""

import contextlib
import hashlib
import os
import platform
import secrets
import sys
import time
from collections.abc import Iterator, Mapping

import psutil

from pipeline.errors import TrackingError
from pipeline.tracking.run_log import Tracker

KEY = "turn "
CHOOSING = 0
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 180.0
"""A turn takes some seconds; on another machine, a process that has not moved on for so long was killed."""
_HERE = hashlib.sha256(f"{platform.node()} {psutil.boot_time():.0f}".encode()).hexdigest()[:12]
_LIVING: set[str] = set()
"""The tags of this process, which may begin anew after an error."""


@contextlib.contextmanager
def turn(tracker: Tracker, model_name: str) -> Iterator[None]:
    """Only one process at a time is in this block. Raises TrackingError if the registry fails, and then nothing was done."""
    mine = f"{KEY}{_HERE} {os.getpid()} {secrets.token_hex(4)}"
    _LIVING.add(mine)
    try:
        tracker.tag_model(model_name, {mine: str(CHOOSING)})
        number = 1 + max(_taken(tracker, model_name, mine).values(), default=CHOOSING)
        tracker.tag_model(model_name, {mine: str(number)})
        _wait(tracker, model_name, mine, number)
        yield
    finally:
        _LIVING.discard(mine)
        with contextlib.suppress(
            TrackingError
        ):  # a registry that fails now is told by whoever needs it; the tag goes as that of a killed process does
            tracker.untag_model(model_name, mine)


def _taken(tracker: Tracker, model_name: str, mine: str) -> dict[str, int]:
    """The numbers of the others."""
    registered = tracker.registered(model_name)
    tags: Mapping[str, str] = registered.tags if registered else {}
    return {key: int(value) for key, value in tags.items() if key.startswith(KEY) and key != mine and value.isdecimal()}


def _wait(tracker: Tracker, model_name: str, mine: str, number: int) -> None:
    """Return once nobody is before this process."""
    seen: dict[str, tuple[int, float]] = {}
    told = False
    while True:
        taken = _taken(tracker, model_name, mine)
        before = [key for key, value in taken.items() if value == CHOOSING or (value, key) < (number, mine)]
        if not before:
            return
        now = time.monotonic()
        seen = {key: seen[key] if key in seen and seen[key][0] == taken[key] else (taken[key], now) for key in before}
        gone = [key for key in before if _was_killed(key) or now - seen[key][1] > PATIENCE_SECONDS]
        for key in gone:
            tracker.untag_model(model_name, key)
        if gone:
            continue
        if not told:
            print(f"{model_name}: waiting for another process, which moves its aliases", file=sys.stderr, flush=True)
            told = True
        time.sleep(POLL_SECONDS)


def _was_killed(key: str) -> bool:
    """Whether a tag is of a process of this machine that has ended; of others nothing is known."""
    here, pid, _ = key.removeprefix(KEY).split(" ")
    if here != _HERE:
        return False
    return key not in _LIVING if int(pid) == os.getpid() else not psutil.pid_exists(int(pid))
