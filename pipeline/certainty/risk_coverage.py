"""How well scores rank, and how well probabilities are calibrated. Pure functions of arrays."""

from collections.abc import Mapping

import numpy as np

from pipeline.certainty.scores import SCORES

BINS = 15
WORTH_IT = 0.05
"""Another score than the simplest is chosen if its area is smaller by this share."""


def risks(scores: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """float (N,): the share of wrong ones among the 1, 2, … N surest answers. scores: float (N,), N at least 1; wrong: bool (N,).

    Answers of the same score share their mistakes evenly: no order of the images makes a score look better.
    """
    order = np.argsort(-scores, kind="stable")
    _, group, sizes = np.unique(-scores[order], return_inverse=True, return_counts=True)
    shares = np.bincount(group, weights=wrong[order]) / sizes
    found: np.ndarray = np.cumsum(shares[group]) / np.arange(1, len(scores) + 1)
    return found


def risk_coverage_area(scores: np.ndarray, wrong: np.ndarray) -> float:
    """The mean of `risks`, 0 to 1; lower is better. Source: Geifman, Uziel and El-Yaniv (2019), Bias-reduced uncertainty estimation, ICLR."""
    return float(risks(scores, wrong).mean())


def areas(probabilities: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """The area of each score by name."""
    return {name: risk_coverage_area(score(probabilities), wrong) for name, score in SCORES.items()}


def choose_score(found: Mapping[str, float]) -> str:
    """The name of the score that ranks best, by the areas: the first, unless another's area is smaller by WORTH_IT."""
    first = next(iter(found))
    best = min(found, key=lambda name: found[name])
    return best if found[best] < (1 - WORTH_IT) * found[first] else first


def equal_mass_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean distance, 0 to 1, between confidence and accuracy in at most 15 bins with equally many images. labels: int (N,), N at least 1.

    Source: Nguyen and O'Connor (2015), Posterior calibration and exploratory analysis for natural language processing models, EMNLP.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = np.array_split(np.argsort(confidence, kind="stable"), min(BINS, len(labels)))
    return float(sum(abs(confidence[rows].mean() - right[rows].mean()) * len(rows) for rows in bins) / len(labels))
