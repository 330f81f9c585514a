"""How sure a model is, from what the networks of the folds say of images that they were not fitted to. Arrays in, a Calibration out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.certainty.calibration import Calibration
from pipeline.certainty.prediction_sets import least_probabilities
from pipeline.certainty.promise import find_promise, images_without_error, proposing
from pipeline.certainty.risk_coverage import areas, choose_score
from pipeline.certainty.scores import SCORES, scaled
from pipeline.certainty.temperature import fit_temperature
from pipeline.certainty.words import percent

COVERAGE = 0.9
FEWEST = 100
"""With fewer images, or groups of images, nothing is fitted."""


@dataclass(frozen=True)
class OutOfFold:
    """labels: int (N,). probabilities: float (N, K), by networks not fitted to the image. groups: int (N,), images that belong together."""

    class_names: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray
    groups: np.ndarray

    def one_per_group(self, *, seed: int = 0) -> "OutOfFold":
        """One image of each group, drawn at random, in random order: these are independent, where images of a group succeed or fail together.

        Source: Dunn, Wasserman and Ramdas (2023), Distribution-free prediction sets for two-layer hierarchical models, JASA 118 (subsampling once).
        """
        order = np.random.default_rng(seed).permutation(len(self.labels))
        rows = order[np.sort(np.unique(self.groups[order], return_index=True)[1])]
        return OutOfFold(self.class_names, self.labels[rows], self.probabilities[rows], self.groups[rows])


def fit_calibration(found: OutOfFold, max_error: float | None, origin: Mapping[str, Any]) -> Calibration:
    """Temperature, ranking score, threshold and candidates. max_error: None, or the share of sure answers that may be wrong, above 0.

    origin: what says which predictions and which model this is of.
    """
    units = found.one_per_group()
    fitted_on = {"images": len(found.labels), "groups": len(units.labels), **origin}
    if len(units.labels) < FEWEST:
        few = f"{len(units.labels):,} images{' of groups of their own' if len(units.labels) < len(found.labels) else ''}"
        note = f"The probabilities are not calibrated: cross-validation has {few}, and it takes {FEWEST}."
        note += " So every answer is unsure." if max_error is not None else ""
        return Calibration(found.class_names, max_error=max_error, fitted_on=fitted_on, note=note)
    temperature = fit_temperature(found.labels, found.probabilities)
    proposes = proposing(len(units.labels))
    wrong = units.probabilities.argmax(axis=1) != units.labels
    score = choose_score(areas(units.probabilities[proposes], wrong[proposes]))
    sure_from, note = _sure_from(units, wrong, score, max_error, proposes)
    return Calibration(
        found.class_names,
        temperature,
        score,
        max_error,
        sure_from,
        COVERAGE,
        least_probabilities(units.labels, scaled(units.probabilities, temperature), COVERAGE).tolist(),
        fitted_on,
        note,
    )


def _sure_from(units: OutOfFold, wrong: np.ndarray, score: str, max_error: float | None, proposes: np.ndarray) -> tuple[float | None, str]:
    """The least score of a sure answer, None if there is none, and the note that then says why."""
    if max_error is None:
        return None, ""
    promise = find_promise(SCORES[score](units.probabilities), wrong, max_error, proposes)
    if promise.sure_from is not None:
        return promise.sure_from, ""
    enough = (
        f"with as many mistakes as here, about {promise.images_needed:,} would do"
        if promise.images_needed
        else "with as many mistakes as here, no number of images would do"
    )
    return None, (
        f"At most {percent(max_error)} of the sure answers wrong cannot be promised, so every answer is unsure: {promise.tested:,} images of "
        f"cross-validation tested it. It takes at least {images_without_error(max_error):,} sure answers without a mistake; {enough}."
    )
