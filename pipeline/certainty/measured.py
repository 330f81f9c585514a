"""How sure a model turns out to be on the test images, before and after its calibration. Arrays in, values out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipeline.certainty.calibration import Calibration
from pipeline.certainty.promise import RISK
from pipeline.certainty.risk_coverage import areas, equal_mass_error
from pipeline.certainty.scores import PROBABILITY, scaled
from pipeline.certainty.words import percent
from pipeline.evaluation.metrics import log_loss


@dataclass(frozen=True)
class Measured:
    """On N test images of K classes. before, after: log loss, calibration error and area under the risk-coverage curve, by name, of the probabilities
    of the network and of those of the calibrated model. areas: of every score.

    sure, sure_wrong: how many answers are sure, and how many of these are wrong. covered: float (K,), the share of each class whose candidates have
    it, NaN without images. candidates: how many an image has on average. max_error: as in Calibration.
    """

    images: int
    before: Mapping[str, float]
    after: Mapping[str, float]
    areas: Mapping[str, float]
    sure: int
    sure_wrong: int
    covered: np.ndarray
    coverage: float
    candidates: float
    max_error: float | None

    @property
    def breaks_promise(self) -> bool:
        """Whether more sure answers are wrong than chance explains, images counted one by one: an exact binomial test at 5 %; False if none was asked."""
        return self.max_error is not None and bool(stats.binom.sf(self.sure_wrong - 1, self.sure, self.max_error) <= RISK)


def measure(labels: np.ndarray, probabilities: np.ndarray, calibration: Calibration) -> Measured:
    """labels: int (N,), N at least 1. probabilities: float (N, K), of the network."""
    calibrated = scaled(probabilities, calibration.temperature) if calibration.temperature != 1 else probabilities
    wrong = probabilities.argmax(axis=1) != labels
    sure = calibration.is_sure(probabilities)
    found = areas(probabilities, wrong)
    covered, coverage, candidates = _candidates(labels, calibrated, calibration)
    return Measured(
        len(labels),
        _numbers(labels, probabilities, found[PROBABILITY]),
        _numbers(labels, calibrated, found[calibration.score]),
        found,
        int(sure.sum()),
        int((sure & wrong).sum()),
        covered,
        coverage,
        candidates,
        calibration.max_error,
    )


def as_metrics(found: Measured, calibration: Calibration) -> dict[str, float]:
    """The numbers by the names that MLflow and uncertainty.json have for them; what was not asked for or is not known is left out."""
    values = {f"test_{name}": value for name, value in found.after.items() if name != "log_loss"}
    values |= {f"test_{name}_uncalibrated": value for name, value in found.before.items()}
    if calibration.least_probabilities:
        values |= {
            "test_one_of_coverage": found.coverage,
            "test_one_of_coverage_lowest": float(np.nanmin(found.covered)),
            "test_one_of_classes": found.candidates,
        }
    if calibration.max_error is not None:
        values |= {"test_sure": found.sure / found.images, "test_sure_error": found.sure_wrong / max(found.sure, 1)}
    return {name: round(value, 6) for name, value in values.items()}


def sentence(found: Measured, calibration: Calibration) -> str:
    """What is promised of the sure answers, and how that turned out; empty if no error was asked for."""
    if calibration.max_error is None:
        return ""
    if calibration.sure_from is None:
        return calibration.note
    share = found.sure_wrong / max(found.sure, 1)
    said = f"Answers {percent(found.sure / found.images)} of the images; at most {percent(calibration.max_error)} of those are wrong, with 95 % confidence"
    harder = ": more than promised, and hardly by chance, so the test images seem harder than the training images"
    return f"{said} ({percent(share)} on the test images{harder if found.breaks_promise else ''})."


def _numbers(labels: np.ndarray, probabilities: np.ndarray, area: float) -> dict[str, float]:
    error = equal_mass_error(labels, probabilities)
    return {"log_loss": log_loss(labels, probabilities), "equal_mass_calibration_error": error, "risk_coverage_area": area}


def _candidates(labels: np.ndarray, calibrated: np.ndarray, calibration: Calibration) -> tuple[np.ndarray, float, float]:
    """(coverage of each class, NaN without images; of all images; candidates of an image): NaN, 0 and 0 if candidates are not known."""
    counts = np.bincount(labels, minlength=calibrated.shape[1])
    if not calibration.least_probabilities:
        return np.full(len(counts), np.nan), 0.0, 0.0
    inside = calibration.is_candidate(calibrated)
    hits = np.bincount(labels, weights=inside[np.arange(len(labels)), labels], minlength=len(counts))
    covered = np.where(counts > 0, hits / np.maximum(counts, 1), np.nan)
    return covered, float(hits.sum() / len(labels)), float(inside.sum(axis=1).mean())
