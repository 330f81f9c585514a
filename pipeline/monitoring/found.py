"""What `pipeline drift` has found, as text, JSON and rows. Values in, text out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.drift.properties import PropertyShift
from pipeline.drift.ranking import Interval
from pipeline.drift.verdict import Drift
from pipeline.drift.words import accuracy, lines, verdict
from pipeline.names import shown
from pipeline.predicting.inputs import Named
from pipeline.serving.answering import Prediction

COLUMNS = ("path", "label", "probability", "newness_of_content", "newness_of_looks", "newness_of_kind", "sha256")


@dataclass(frozen=True)
class Found:
    """Drift of M images. named: how many images were named; left_out: how many of those looked at cannot be used; reference: with how many compared;
    fitted_to: how many the model was fitted to.

    labels: int (M,), None if they are not known.
    """

    model: str
    class_names: Sequence[str]
    images: Sequence[Named]
    answers: Sequence[Prediction]
    labels: np.ndarray | None
    named: int
    left_out: int
    reference: int
    fitted_to: int
    drift: Drift
    properties: Sequence[PropertyShift]

    @property
    def fitted_to_in_words(self) -> str:
        """What images of its own mean for the answer."""
        return (
            f"{self.model} was fitted to {self.fitted_to:,} of these {self.drift.images:,} images. They look like themselves, and are answered better "
            "than new ones: name images that it does not know."
        )

    @property
    def facts(self) -> Mapping[str, str]:
        """What was compared, and the accuracy."""
        looked = self.drift.images + self.left_out
        of = f"{looked:,} of {self.named:,}, drawn by chance" if looked < self.named else f"{self.named:,}"
        cannot = [f"{self.left_out:,} cannot be used"] if self.left_out else []
        return {
            "model": self.model,
            "images": "; ".join([of, *cannot, *([f"the model was fitted to {self.fitted_to:,} of them"] if self.fitted_to else [])]),
            "compared with": f"{self.reference:,} of its training images, and its answers to the test images",
            "accuracy": accuracy(self.drift),
        }


def as_text(found: Found, newest: int, page: str | None) -> str:
    """Facts, one line per question, the images that look newest."""
    width = max(len(line.question) for line in lines(found.drift, found.properties, found.class_names)) + 9
    rows = [f"{verdict(found.drift)}", ""]
    rows += [f"  {name:<{width}}{value}" for name, value in found.facts.items()]
    for line in lines(found.drift, found.properties, found.class_names):
        rows.append(f"  {'ALARM' if line.is_alarm else 'ok':<7}{line.question:<{width - 7}}{line.answer}")
    rows += ["", f"  look newest{' (' + page + ' shows them)' if page else ''}"]
    for i in found.drift.newest[:newest].tolist():
        rows.append(f"    {shown(found.images[i].path)}  {shown(found.answers[i].label)} {found.answers[i].probability:.2f}")
    return "\n".join(rows)


def as_rows(found: Found) -> Iterator[tuple[object, ...]]:
    """A header and a row per image, those that look newest first."""
    yield COLUMNS
    for i in found.drift.newest.tolist():
        answer = found.answers[i]
        scores = (round(float(scores[i]), 6) for scores in found.drift.scores.values())
        yield found.images[i].path, answer.label, round(answer.probability, 6), *scores, answer.sha256


def as_json(found: Found) -> dict[str, Any]:
    """All numbers by name."""
    drift = found.drift
    mix = zip(found.class_names, drift.mix.new, drift.mix.reference, strict=True)
    outputs = zip(found.class_names, drift.outputs.statistic, drift.outputs.p_values, strict=True)
    return {
        "verdict": verdict(drift),
        "alarms": list(drift.alarms),
        "model": found.model,
        "images": {
            "named": found.named,
            "compared": drift.images,
            "left_out": found.left_out,
            "reference": found.reference,
            "fitted_to": found.fitted_to,
        },
        **{name: {"area": _interval(each.area)} for name, each in drift.separations.items()},
        "new_kind": _interval(drift.kind.unlike),
        "properties": {
            each.name: {"new": _round(each.new), "reference": _round(each.reference), "area": _round(each.area)}
            for each in found.properties
        },
        "class_mix": {
            "distance": _interval(drift.mix.distance),
            "shares": {name: {"new": _round(new), "reference": _round(usual)} for name, new, usual in mix},
        },
        "probabilities": {name: {"statistic": _round(statistic), "p_value": _round(p)} for name, statistic, p in outputs},
        "accuracy": {"expected": _interval(drift.expected), "true": None if drift.true is None else _round(drift.true)},
        "newest": [found.images[i].path for i in drift.newest[:12].tolist()],
    }


def _interval(found: Interval) -> dict[str, float]:
    return {"value": _round(found.value), "low": _round(found.low), "high": _round(found.high)}


def _round(value: float) -> float:
    return round(float(value), 6)
