"""Tries again what may pass, after growing pauses; anything else fails at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import PipelineError

LONGEST_PAUSE_SECONDS = 600.0

Result = TypeVar("Result")


@dataclass(frozen=True)
class Retries:
    """How often to try again, and how long to wait before the first time; each pause is twice as long as the one before, up to 10 minutes."""

    times: int = 0
    first_pause_seconds: float = 30.0

    def pause_seconds(self, number: int) -> float:
        """The pause before a try; 0 for the first one after the failure."""
        return min(self.first_pause_seconds * 2.0**number, max(LONGEST_PAUSE_SECONDS, self.first_pause_seconds))


def with_retries(act: Callable[[], Result], retries: Retries, log: Callable[[str], None]) -> Result:
    """What `act` returns. Raises its PipelineError, at once if that cannot pass, or else once all tries have failed."""
    for number in range(retries.times):
        try:
            return act()
        except PipelineError as error:
            if not error.may_pass:
                raise
            pause = retries.pause_seconds(number)
            log(f"{error} This may pass: trying again in {pause:g} s ({number + 1} of {retries.times})")
            time.sleep(pause)
    return act()
