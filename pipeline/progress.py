"""Progress and time left: a bar on a terminal, otherwise a plain line every few seconds.

Within `pipeline run` a stage has no terminal, but the run may have one: then each state is printed as a record, from which the run draws the bar.
"""

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 15.0
SECONDS_BETWEEN_RECORDS = 0.5
WANTS_RECORDS = "PIPELINE_PROGRESS_RECORDS"  # set by a run that draws the bar
RECORD = "::progress "


@dataclass(frozen=True)
class ProgressRecord:
    """The state of one bar: `done` of `total` units, `skipped` of them done by an earlier run; `is_over` removes the bar."""

    label: str
    done: int
    total: int
    skipped: int
    unit: str
    is_over: bool = False

    def line(self) -> str:
        return RECORD + json.dumps(asdict(self))


def read_record(line: str) -> ProgressRecord | None:
    """The record in a line, or None for any other line."""
    if not line.startswith(RECORD):
        return None
    try:
        return ProgressRecord(**json.loads(line.removeprefix(RECORD)))
    except (ValueError, TypeError):
        return None


class Progress:
    """Shows the progress of `total` units of work on standard error; use it as a context manager."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._done = self._skipped = 0
        self._started = self._last_line = time.monotonic()
        self._records = bool(os.environ.get(WANTS_RECORDS)) and not sys.stderr.isatty()
        self._bar = tqdm(total=total, desc=label, unit=f" {unit}", leave=False, dynamic_ncols=True) if sys.stderr.isatty() else None

    def advance(self, count: int) -> None:
        """Count `count` more units as done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._records:
            self._record_now_and_then()
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES and self._done < self._total:
            self._last_line = time.monotonic()
            self._print(self._describe())

    def skip(self, count: int) -> None:
        """Count `count` units as done by an earlier run: they do not affect the estimate of the time left."""
        self._skipped += count
        self._done += count
        if self._bar is not None:
            self._bar.initial += count
            self._bar.update(count)

    def note(self, text: str) -> None:
        """Print a line that stays, with the time left if it is known and no bar shows it."""
        if self._bar is not None:
            self._bar.write(f"{self._label}: {text}", file=sys.stderr)
            return
        left = f" ({self._time_left()} left)" if self._skipped < self._done < self._total and not self._records else ""
        if not self._records:
            self._last_line = time.monotonic()
        self._print(f"{text}{left}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._records:
            self._record(is_over=True)

    def _record_now_and_then(self) -> None:
        if time.monotonic() - self._last_line >= SECONDS_BETWEEN_RECORDS:
            self._last_line = time.monotonic()
            self._record()

    def _record(self, *, is_over: bool = False) -> None:
        record = ProgressRecord(self._label, self._done, self._total, self._skipped, self._unit, is_over)
        print(record.line(), file=sys.stderr, flush=True)

    def _describe(self) -> str:
        return f"{self._done:,}/{self._total:,} {self._unit}, {self._done / self._total:.0%}, {self._time_left()} left"

    def _time_left(self) -> str:
        seconds = (time.monotonic() - self._started) / (self._done - self._skipped) * (self._total - self._done)
        return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

    def _print(self, text: str) -> None:
        print(f"{self._label}: {text}", file=sys.stderr, flush=True)
