"""How doubtful each label is, by what models say that were not fitted to the image. Pure functions of arrays; a higher score is a more doubtful label."""

import numpy as np
from scipy.stats import rankdata


def model_doubts(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """float (N,), 0 to 1: one minus the probability of the label. labels: int (N,). probabilities: float (N, K), out of fold.

    Measured against the margins of confident learning, with and without thresholds by class, it finds most: docs/benchmarks.md. Source: Kuan and
    Mueller (2022), Model-agnostic label quality scoring to detect real-world label errors, ICML DataPerf workshop, "self-confidence".
    """
    doubts: np.ndarray = 1 - probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return doubts


def mean_rank(scores: list[np.ndarray]) -> np.ndarray:
    """float (N,), above 0 to 1: the mean, over scores float (N,), of the share of images with no higher score; equal scores share their mean rank."""
    ranks: np.ndarray = np.mean([rankdata(score) / len(score) for score in scores], axis=0)
    return ranks
