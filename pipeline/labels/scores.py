"""How doubtful each label is, by what models say that were not fitted to the image. Pure functions of arrays.

labels: int (N,). probabilities: float (N, K), out of fold. A higher score is a more doubtful label.
"""

import numpy as np
from scipy.stats import rankdata

SMALLEST_SUM = 1e-12


def model_doubts(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """float (N,), 0 to 1: one minus the normalised margin of the label, after each class's mean confidence is taken off.

    The margin is the probability of the label less that of the most probable other class. The mean confidence of a class is that of its own images:
    without it, the images of a class that the model is never sure of would all be doubtful. Source: Northcutt, Jiang and Chuang (2021), Confident
    learning: estimating uncertainty in dataset labels, JAIR 70.
    """
    adjusted = less_confident(labels, probabilities)
    rows = np.arange(len(labels))
    of_label = adjusted[rows, labels]
    adjusted[rows, labels] = -np.inf
    doubts: np.ndarray = (1 - (of_label - adjusted.max(axis=1))) / 2
    return doubts


def less_confident(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """float64 (N, K), rows sum to 1: the probabilities, each less the mean probability that the images of its class give to it."""
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, weights=probabilities[np.arange(len(labels)), labels], minlength=probabilities.shape[1])
    confidence = np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)
    adjusted = probabilities.astype(np.float64) - confidence + confidence.max()
    result: np.ndarray = adjusted / np.maximum(adjusted.sum(axis=1, keepdims=True), SMALLEST_SUM)
    return result


def mean_rank(scores: list[np.ndarray]) -> np.ndarray:
    """float (N,), above 0 to 1: the mean, over scores float (N,), of the share of images with no higher score."""
    ranks: np.ndarray = np.mean([rankdata(score) / len(score) for score in scores], axis=0)
    return ranks
