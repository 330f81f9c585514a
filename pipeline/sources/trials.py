"""Ways out of a stop, tried before they are shown: those that would not be read are not advised."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TypeAlias

from pipeline.errors import PipelineError, SourceError
from pipeline.listing.records import LeftOut, Reading
from pipeline.params.ingest import Ingest
from pipeline.quality.findings import BESIDE, NOTES
from pipeline.ways_out import Undecided, Value, Way

MOST_TRIALS = 24
MOST_STEPS = 3  # from one stop to the next
SECONDS = 2.0  # for all trials
SECONDS_FOR_RECORDS = 0.2  # in one trial
Outcome: TypeAlias = tuple[Mapping[tuple[str | None, str], int], str]  # images by split and label; where groups come from
Attempt: TypeAlias = Callable[[Ingest], Outcome]


def with_ways_that_work(stop: Undecided, settings: Ingest, attempt: Attempt, seconds: float) -> Undecided:
    """The stop with those of its ways that lead to a reading, with all parameters that it takes; those without parameters are kept.

    `attempt` reads the source, and raises PipelineError if it cannot. `seconds`: what a reading takes; where that is too long, nothing is tried.
    Where a way leads to another stop, what that one advises is tried together with it, unless the outcome is there already. A stop within a trial
    is not tried itself.
    """
    trials = _Trials(settings, attempt, seconds)
    kept: list[tuple[int, Way]] = []
    outcomes: list[Outcome] = []
    waiting = deque((i, 1, _with_ignored(way, settings)) for i, way in enumerate(stop.ways))
    while waiting:  # all ways by themselves first
        i, steps, way = waiting.popleft()
        if not way.settings or trials.is_over():
            if steps == 1:
                kept.append((i, way))
            continue
        outcome = trials.outcome(way)
        if isinstance(outcome, Undecided):
            alone = way._replace(remark="") if steps == 1 else way
            waiting += [(i, steps + 1, joined) for further in outcome.ways if steps < MOST_STEPS and (joined := _joined(alone, further))]
        elif not isinstance(outcome, Exception) and (steps == 1 or outcome not in outcomes):
            kept.append((i, trials.shortest(way, outcome) if steps > 1 else way))
            outcomes.append(outcome)
    return stop.with_ways([way for _, way in sorted(kept, key=lambda item: item[0])])


class _Trials:
    def __init__(self, settings: Ingest, attempt: Attempt, seconds: float) -> None:
        self.settings = settings
        self.attempt = attempt
        self.left = MOST_TRIALS
        self.seconds = seconds
        self.end = time.monotonic() + SECONDS

    def is_over(self) -> bool:
        """Whether another trial would take too long."""
        return self.left <= 0 or time.monotonic() + self.seconds > self.end

    def outcome(self, way: Way) -> Outcome | Exception:
        """What is read, or why it is not."""
        self.left -= 1
        try:
            return self.attempt(with_settings(self.settings, way.settings))
        except (PipelineError, OSError, ValueError) as error:  # ValueError: a name is no value of a parameter
            return error

    def shortest(self, way: Way, outcome: Outcome) -> Way:
        """The way without the parameters that change nothing."""
        for key in list(way.settings)[:-1]:
            shorter = Way("", {other: value for other, value in way.settings.items() if other != key}, way.remark)
            if not self.is_over() and self.outcome(shorter) == outcome:
                way = shorter
        return way


def _with_ignored(way: Way, settings: Ingest) -> Way:
    """The way with what is ignored already, so that it can be written as it stands."""
    new = way.settings.get("ignore")
    if not isinstance(new, list):
        return way
    return way._replace(settings={**way.settings, "ignore": [*dict.fromkeys([*settings.ignore, *new])]})


def refuse_too_many_left_out(reading: Reading, settings: Ingest) -> None:
    """Raise SourceError if a run would stop since files are lost. Images are looked for, as long as that does not take long, but not read."""
    left_out: list[LeftOut] = [*reading.left_out]
    end, images = time.monotonic() + SECONDS_FOR_RECORDS, 0
    for _ in reading.records(left_out):
        images += 1
        if time.monotonic() > end:
            return
    lost = sum(fault.finding not in BESIDE | NOTES for fault in left_out)
    if lost > settings.max_rejected_fraction * (images + lost) or (lost and settings.unusable == "fail"):
        raise SourceError(f"ingest.source: {lost:,} of {images + lost:,} files would be left out.")


def with_settings(settings: Ingest, changed: Mapping[str, Value]) -> Ingest:
    """The parameters with some of them changed; columns that are not named stay as they are."""
    values = settings.model_dump()
    for key, value in changed.items():
        values[key] = {**values[key], **value} if isinstance(value, Mapping) else value
    return Ingest(**values)


def _joined(way: Way, further: Way) -> Way | None:
    """Both ways at once; None if the further one sets nothing more, or something else instead."""
    settings = dict(way.settings)
    for key, value in further.settings.items():
        before = settings.get(key)
        if isinstance(before, list) and isinstance(value, list):
            settings[key] = [*dict.fromkeys([*before, *value])]
        elif before is not None and before != value:
            return None
        else:
            settings[key] = value
    if settings == way.settings:
        return None
    return Way(way.what, settings, "; ".join(filter(None, [way.remark, further.what, further.remark])))
