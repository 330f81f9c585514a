"""Which methods are tried, and which one is chosen: by accuracy on images that they were not fitted to. Numbers and words only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.params.model import EFFICIENTNETS_LITE as PRETRAINED
from pipeline.params.recipe import Method

FEWEST_TO_COMPARE = 50
"""With fewer validation images, accuracies on them say too little: methods are compared by folds of the training images."""
FOLDS_TO_COMPARE = 3
NOTHING_TO_GAIN = 0.99
"""No other method is tried after one that is as accurate as that."""
ON_VALIDATION = "the validation images"


@dataclass(frozen=True)
class Tried:
    """A method, and the accuracy by which it is compared; NaN if there was nothing to compare with."""

    method: Method
    accuracy: float


@dataclass(frozen=True)
class Choice:
    """The method of `train` and every fold. strength: of the classifier's penalty, None for whole networks. tried: in order.

    compared_on: the images that the accuracies are of.
    """

    method: Method
    strength: float | None
    reason: str
    tried: tuple[Tried, ...] = ()
    compared_on: str = ON_VALIDATION

    def described(self) -> dict[str, Any]:
        """As JSON; numbers that are not finite are left out."""
        tried = [{**asdict(each.method), "accuracy": _finite(each.accuracy)} for each in self.tried]
        found = {**asdict(self.method), "strength": self.strength, "reason": self.reason, "tried": tried}
        return found | {"compared_on": self.compared_on if len(self.tried) > 1 else None}

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Choice:
        """The choice of a choice.json, without what was tried."""
        return cls(Method(described["network"], described["stages"]), described["strength"], described["reason"])


def are_enough(validation_count: int) -> bool:
    """Whether methods can be compared on so many validation images."""
    return validation_count >= FEWEST_TO_COMPARE


def worth_comparing(methods: Sequence[Method], validation_count: int) -> list[Method]:
    """The methods that are compared: all, but with few validation images only those that start from pretrained weights, if there are such.

    On 61 colour images of 32 px a network from scratch got .44 of images it had not seen and a fit took 85 s; last stages .57 and 8 s (docs/models.md).
    """
    if are_enough(validation_count):
        return list(methods)
    return [method for method in methods if method.stages is not None] or sorted(
        methods, key=lambda method: method.network not in PRETRAINED
    )[:1]


def best(tried: Sequence[Tried]) -> Method:
    """The most accurate of the methods tried; of several, the first."""
    return tried[max(range(len(tried)), key=lambda i: (tried[i].accuracy, -i)) if len(tried) > 1 else 0].method


def reason(
    why_these: str, tried: Sequence[Tried], methods: Sequence[Method], validation_count: int, compared_on: str, compared_count: int
) -> str:
    """Why a method was taken: why these candidates, the accuracies of those that were tried, by how many of the `compared_count` images the best
    leads, and why the other methods were not tried.
    """
    compared, parts = worth_comparing(methods, validation_count), [why_these]
    if len(compared) < len(methods):
        left = "; ".join(str(method) for method in methods if method not in compared)
        parts.append(f"too few images to try {left} ({validation_count} < {FEWEST_TO_COMPARE} validation images)")
    if len(compared) > 1:
        parts.append(f"accuracy on {compared_on}: " + "; ".join(f"{each.accuracy:.4f} {each.method}" for each in tried))
    if len(tried) > 1:
        parts.append(_lead(tried, compared_count))
    if left_over := compared[len(tried) :]:
        parts.append(f"little left to gain by {'; '.join(map(str, left_over))}, not tried")
    return "; ".join(parts)


def _lead(tried: Sequence[Tried], compared_count: int) -> str:
    best_accuracy, second = sorted((each.accuracy for each in tried), reverse=True)[:2]
    lead = round((best_accuracy - second) * compared_count)
    return f"best by {lead:,} of {compared_count:,} images" if lead else f"equal on {compared_count:,} images: the first was taken"


def _finite(value: float) -> float | None:
    return round(value, 6) if value == value else None
