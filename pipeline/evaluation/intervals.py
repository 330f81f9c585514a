"""The 95 % intervals of the metrics on a page: of each class, of macro F1, of the log loss. Pure functions of arrays."""

import numpy as np

from pipeline.evaluation.clusters import expanded_tail
from pipeline.evaluation.metrics import SMALLEST_PROBABILITY
from pipeline.evaluation.paired import Z
from pipeline.evaluation.proportion import accuracy_interval

RESAMPLES = 1_000
MOST_CELLS = 20_000_000
"""Of resamples by classes: with more classes there are fewer resamples."""
FEWEST_RESAMPLES = 200

Interval = tuple[float, float]


def wilson_intervals(hits: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """float (K, 2): the score interval of each share hits / counts, both int (K,); 0 to 1 where there is nothing to count.

    Images are counted one by one. Source: Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    n, square = np.maximum(counts, 1).astype(np.float64), Z**2
    share = hits / n
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = Z * np.sqrt(share * (1 - share) / n + square / (4 * n**2)) / (1 + square / n)
    low = np.where(hits == 0, 0.0, centre - half)
    high = np.where(hits == counts, 1.0, centre + half)
    return np.where(np.asarray(counts)[:, None] > 0, np.stack([low, high], axis=1), (0.0, 1.0))


def macro_f1_and_log_loss(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, *, seed: int = 0) -> tuple[Interval, Interval]:
    """(interval of macro F1, interval of the log loss), from the same resamples of whole groups of images.

    labels: int (N,). probabilities: float (N, K). groups: int (N,). The percentiles are expanded for few groups, as in `clusters`, which names the
    sources. Never narrower than if the images were on their own. F1 is averaged over the classes that occur among labels or predictions of the resample;
    if all images are right, its interval is that of the accuracy. One group has no interval but 0 to 1, and 0 to infinity.
    """
    _, group = np.unique(groups, return_inverse=True)
    if group.max() == 0:
        return (0.0, 1.0), (0.0, float("inf"))
    correct = probabilities.argmax(axis=1) == labels
    ways = [group] if group.max() + 1 == len(labels) else [group, np.arange(len(labels))]
    found = [_of_resamples(labels, probabilities, way, seed) for way in ways]
    (f1_low, loss_low), (f1_high, loss_high) = np.min([low for low, _ in found], axis=0), np.max([high for _, high in found], axis=0)
    f1 = accuracy_interval(correct, groups) if correct.all() else (float(f1_low), float(f1_high))
    return f1, (float(loss_low), float(loss_high))


def _of_resamples(labels: np.ndarray, probabilities: np.ndarray, group: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(low, high), float (2,) each, of macro F1 and log loss. group: int (N,), from 0 without gaps."""
    count, classes = int(group.max()) + 1, probabilities.shape[1]
    losses = -np.log(np.clip(probabilities[np.arange(len(labels)), labels].astype(np.float64), SMALLEST_PROBABILITY, 1))
    predicted = probabilities.argmax(axis=1)
    generator = np.random.default_rng(seed)
    draws = max(FEWEST_RESAMPLES, min(RESAMPLES, MOST_CELLS // classes))
    drawn = []
    for _ in range(draws):
        weights = np.bincount(generator.integers(count, size=count), minlength=count)[group]
        drawn.append(_measured(weights, labels, predicted, losses, classes))
    tail = expanded_tail(count)
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return low, high


def _measured(weights: np.ndarray, labels: np.ndarray, predicted: np.ndarray, losses: np.ndarray, classes: int) -> tuple[float, float]:
    """(macro F1, log loss) with each image counted as often as its weight, int (N,)."""
    hits = np.bincount(labels, weights * (predicted == labels), minlength=classes)
    both = np.bincount(labels, weights, minlength=classes) + np.bincount(predicted, weights, minlength=classes)
    there = both > 0
    return float((2 * hits[there] / both[there]).mean()), float(weights @ losses / weights.sum())
