"""What is known of how sure a model is, as kept beside it in calibration.json, and its answers by that. NumPy alone; travels with the model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pipeline.certainty.scores import PROBABILITY, SCORES, scaled
from pipeline.errors import ConfigError

CALIBRATION_FILE = "calibration.json"
SURE, UNSURE, NOT_ASKED = "sure", "unsure", ""


class Answers(NamedTuple):
    """The answers to N images. probabilities: float32 (N, K), calibrated. decisions: SURE, UNSURE, or NOT_ASKED if no `max_error` was set.

    one_of: the candidates, most probable first; None if they are not known.
    """

    probabilities: np.ndarray
    decisions: list[str]
    one_of: list[list[str] | None]


@dataclass(frozen=True)
class Calibration:
    """How sure a model with these K classes is. temperature: 1 leaves the probabilities as they are.

    max_error: what a person asked for, None if nothing. sure_from: the least `score` (its name in SCORES) of a sure answer; None if there is none for
    which that error can be promised: then no answer is sure. coverage: the share of the images whose class is among the candidates; least_probabilities:
    of each class, the calibrated probability from which it is one; empty if not known. fitted_on: which predictions this is from. note: what is
    missing, and why.
    """

    class_names: Sequence[str]
    temperature: float = 1.0
    score: str = PROBABILITY
    max_error: float | None = None
    sure_from: float | None = None
    coverage: float | None = None
    least_probabilities: Sequence[float] = ()
    fitted_on: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def answers(self, probabilities: np.ndarray) -> Answers:
        """The answers by probabilities float (N, K) of the network."""
        calibrated = scaled(probabilities, self.temperature) if self.temperature != 1 else probabilities
        return Answers(calibrated.astype(np.float32), self._decisions(probabilities), self._candidates(calibrated))

    def is_sure(self, probabilities: np.ndarray) -> np.ndarray:
        """bool (N,) by the probabilities of the network."""
        if self.sure_from is None:
            return np.zeros(len(probabilities), bool)
        found: np.ndarray = SCORES[self.score](probabilities) >= self.sure_from
        return found

    def is_candidate(self, calibrated: np.ndarray) -> np.ndarray:
        """bool (N, K) by calibrated probabilities. The most probable class always is one."""
        found: np.ndarray = calibrated >= np.asarray(self.least_probabilities)
        found[np.arange(len(calibrated)), calibrated.argmax(axis=1)] = True
        return found

    def as_json(self) -> dict[str, Any]:
        """For calibration.json."""
        return {**asdict(self), "class_names": list(self.class_names), "least_probabilities": list(self.least_probabilities)}

    @classmethod
    def read(cls, values: Mapping[str, Any], class_names: Sequence[str]) -> "Calibration":
        """Of the content of calibration.json. Raises ConfigError if it is of a model with other classes."""
        found = cls(**values)
        if list(found.class_names) != list(class_names):
            raise ConfigError(
                f"{CALIBRATION_FILE} is of a model with other classes ({len(found.class_names)}, not these {len(class_names)})"
            )
        return found

    def _decisions(self, probabilities: np.ndarray) -> list[str]:
        if self.max_error is None:
            return [NOT_ASKED] * len(probabilities)
        return [SURE if sure else UNSURE for sure in self.is_sure(probabilities).tolist()]

    def _candidates(self, calibrated: np.ndarray) -> list[list[str] | None]:
        if not self.least_probabilities:
            return [None] * len(calibrated)
        order = np.argsort(-calibrated, axis=1, kind="stable")
        inside = np.take_along_axis(self.is_candidate(calibrated), order, axis=1)
        return [[self.class_names[k] for k in row[chosen]] for row, chosen in zip(order, inside, strict=True)]
