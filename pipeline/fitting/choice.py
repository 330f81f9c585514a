"""Which methods are tried, and which one is chosen: by accuracy on the validation images. Numbers and words only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipeline.params.model import AUTO, EFFICIENTNETS_LITE, concrete_weights
from pipeline.params.recipe import CLASSIFIER_ALONE, Method

if TYPE_CHECKING:
    from pipeline.params.reader import Config

FEWEST_TO_COMPARE = 50
"""With fewer validation images, accuracies on them say too little: the first method is taken."""
NOTHING_TO_GAIN = 0.99
"""No other method is tried after one that is as accurate as that on the validation images."""
STAGES_BY_DEFAULT = 2


@dataclass(frozen=True)
class Tried:
    """A method and how good it was on the validation images."""

    method: Method
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Choice:
    """The method of `train` and every fold. strength: of the classifier's penalty, None for whole networks. tried: in order."""

    method: Method
    strength: float | None
    reason: str
    tried: tuple[Tried, ...] = ()

    def described(self) -> dict[str, Any]:
        """As JSON; numbers that are not finite are left out."""
        tried = [{**asdict(each.method), "validation_accuracy": _finite(each.validation_accuracy)} for each in self.tried]
        return {**asdict(self.method), "strength": self.strength, "reason": self.reason, "tried": tried}

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Choice:
        """The choice of a choice.json, without what was tried."""
        return cls(Method(described["network"], described["stages"]), described["strength"], described["reason"])


def methods_to_try(config: Config, networks: Sequence[str], validation_count: int) -> list[Method]:
    """The methods for some networks, the one that costs least first; only one if there are too few validation images to compare."""
    methods = [method for network in networks for method in _methods(config, network)]
    if validation_count < FEWEST_TO_COMPARE:
        return methods[:1]
    return sorted(methods, key=lambda method: (method.stages is None, method.stages or 0))


def choose(tried: Sequence[Tried], strengths: Mapping[Method, float | None], why_these: str) -> Choice:
    """The most accurate of the methods tried; of several, the first."""
    best = max(range(len(tried)), key=lambda i: (tried[i].validation_accuracy, -i)) if len(tried) > 1 else 0
    reason = why_these
    if len(tried) > 1:
        scores = "; ".join(f"{each.validation_accuracy:.4f} {each.method}" for each in tried)
        reason = f"{why_these}; accuracy on the validation images: {scores}"
    return Choice(tried[best].method, strengths[tried[best].method], reason, tuple(tried))


def _methods(config: Config, network: str) -> list[Method]:
    if network not in EFFICIENTNETS_LITE or concrete_weights(config.model.weights, network) == "none" or config.train.fine_tune == "all":
        return [Method(network, None)]
    if config.train.fine_tune == AUTO:
        return [Method(network, CLASSIFIER_ALONE), Method(network, STAGES_BY_DEFAULT)]
    return [Method(network, CLASSIFIER_ALONE if config.train.fine_tune == "none" else int(config.train.fine_tune))]


def _finite(value: float) -> float | None:
    return round(value, 6) if value == value else None
