"""Drift in words: one line per question, whether it is an alarm, and what differs most. Values in, text out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.certainty.words import percent
from pipeline.drift.properties import PropertyShift
from pipeline.drift.ranking import Interval
from pipeline.drift.verdict import AREA_ALARM, MIX_ALARM, OUTPUT_ALARM, UNLIKE_ALARM, Drift
from pipeline.names import shown

NAMED = 3


class Line(NamedTuple):
    """A question, its answer in a sentence, and whether it is an alarm."""

    question: str
    answer: str
    is_alarm: bool


def lines(drift: Drift, properties: Sequence[PropertyShift], class_names: Sequence[str]) -> list[Line]:
    """The questions, in order."""
    alarms = set(drift.alarms)
    return [
        *([Line("what is in the images", _separated(drift.content.area), "content" in alarms)] if drift.content else []),
        Line("how they look", f"{_separated(drift.looks.area)}{_differing(properties)}", "looks" in alarms),
        Line(
            "images of a new kind",
            f"{percent(drift.kind.unlike.value)} {_ends(drift.kind.unlike, percent)} more than by chance; an alarm if the lower end is above "
            f"{percent(UNLIKE_ALARM)}",
            "kind" in alarms,
        ),
        Line(
            "mix of the classes",
            f"{percent(drift.mix.distance.value)} {_ends(drift.mix.distance, percent)} of the answers are of other classes than usual; "
            f"an alarm if the lower end is above {percent(MIX_ALARM)}{_changed(drift, class_names)}",
            "mix" in alarms,
        ),
        Line("probabilities", _outputs(drift, class_names), "outputs" in alarms),
    ]


def verdict(drift: Drift) -> str:
    """One sentence on all of it."""
    count, asked = len(drift.alarms), 5 if drift.content else 4
    if not count:
        return f"No drift found: these {drift.images:,} images look and are answered like those that the model knows."
    return (
        f"Drift: {count} of {asked} questions raise{'s' if count == 1 else ''} an alarm. Look at the images before you trust the answers."
    )


def accuracy(drift: Drift) -> str:
    """The accuracy to expect, and as it is where labels are known."""
    found = f"{drift.expected.value:.3f} expected {_ends(drift.expected)}"
    assumed = "if probabilities mean here what they mean on held-out images"
    if drift.alarms:
        assumed += ", which drift puts in doubt: it may be lower"
    if drift.true is None:
        return f"{found}, {assumed}"
    where = "inside" if drift.expected.low <= drift.true <= drift.expected.high else "outside"
    return f"{drift.true:.3f} by the labels; {found}, {assumed}: {where} the interval"


def _separated(area: Interval) -> str:
    return f"area under the curve {area.value:.3f} {_ends(area)}; an alarm if the lower end is above {AREA_ALARM:g}"


def _ends(found: Interval, form: object = None) -> str:
    low, high = (form(end) if callable(form) else f"{end:.3f}" for end in (found.low, found.high))
    return f"[{low}, {high}]"


def _differing(properties: Sequence[PropertyShift]) -> str:
    named = [each for each in properties if each.is_large][:NAMED]
    return "".join(
        f"; {each.name} {'higher' if each.area > 0.5 else 'lower'}: {each.new:.4g}, usually {each.reference:.4g}" for each in named
    )


def _changed(drift: Drift, class_names: Sequence[str]) -> str:
    if "mix" not in drift.alarms:
        return ""
    change = drift.mix.new - drift.mix.reference
    most = np.argsort(-np.abs(change), kind="stable")[:NAMED]
    return ": " + ", ".join(f"{shown(class_names[k])} {percent(drift.mix.new[k])}, usually {percent(drift.mix.reference[k])}" for k in most)


def _outputs(drift: Drift, class_names: Sequence[str]) -> str:
    if not drift.outputs.largest:
        return "distributed as usual, as far as so many images tell"
    k = int(np.argmax(np.where(drift.outputs.shifted, drift.outputs.statistic, 0)))
    more = int(drift.outputs.shifted.sum()) - 1
    others = f", and of {more} other class{'es' if more > 1 else ''}" if more else ""
    return f"that of {shown(class_names[k])} is distributed otherwise{others}, by {drift.outputs.largest:.2f} at most; an alarm above {OUTPUT_ALARM:g}"
