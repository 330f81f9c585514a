"""How long it still takes: a bar on a terminal, a plain line every few seconds anywhere else."""

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """Progress of `total` units of work, shown on standard error; use it as a context manager."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._done = self._skipped = 0
        self._started = self._last_line = time.monotonic()
        self._bar = tqdm(total=total, desc=label, unit=f" {unit}", leave=False, dynamic_ncols=True) if sys.stderr.isatty() else None

    def advance(self, count: int) -> None:
        """`count` more units are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES and self._done < self._total:
            self._last_line = time.monotonic()
            self._print(self._describe())

    def skip(self, count: int) -> None:
        """`count` units had been done before: they say nothing about how long the rest takes."""
        self._skipped += count
        self._done += count
        if self._bar is not None:
            self._bar.initial += count
            self._bar.update(count)

    def note(self, text: str) -> None:
        """Show a line that stays, with the time left where it is known."""
        if self._bar is not None:
            self._bar.write(f"{self._label}: {text}", file=sys.stderr)
        else:
            self._last_line = time.monotonic()
            left = f" ({self._time_left()} left)" if self._skipped < self._done < self._total else ""
            self._print(f"{text}{left}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def _describe(self) -> str:
        return f"{self._done:,}/{self._total:,} {self._unit}, {self._done / self._total:.0%}, {self._time_left()} left"

    def _time_left(self) -> str:
        seconds = (time.monotonic() - self._started) / (self._done - self._skipped) * (self._total - self._done)
        return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

    def _print(self, text: str) -> None:
        print(f"{self._label}: {text}", file=sys.stderr, flush=True)
