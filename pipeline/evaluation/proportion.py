"""The interval of an accuracy, of images one by one or in groups that succeed or fail together. Pure functions of counts and arrays."""

import numpy as np
from scipy import stats

from pipeline.evaluation.clusters import expanded_tail, resampled_means
from pipeline.evaluation.paired import CONFIDENCE_LEVEL


def wilson_interval(hits: int, count: int, level: float = CONFIDENCE_LEVEL) -> tuple[float, float]:
    """The score interval of a proportion, at 95 % unless another level, 0 to 1, is given.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    interval = stats.binomtest(hits, count).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def accuracy_interval(correct: np.ndarray, groups: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """(low, high) of the 95 % interval of the share of True in `correct`, bool (N,), N at least 1.

    Without images that belong together, Wilson's. Else whole groups, int (N,), are resampled as in `cluster_interval`, and the interval is never
    narrower than Wilson's of all images; if all images are right, or all wrong, it is Wilson's for as many images as there are groups. One group has
    no interval but (0, 1).
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    hits, count = int(correct.sum()), len(sizes)
    narrow = wilson_interval(hits, len(correct))
    if count == len(correct):
        return narrow
    if count < 2:
        return 0.0, 1.0
    if hits in (0, len(correct)):
        return wilson_interval(count if hits else 0, count)
    sums = np.rint(np.bincount(group, weights=correct)).astype(np.int64)
    tail = expanded_tail(count)
    low, high = np.quantile(resampled_means(sums, sizes, seed), [tail, 1 - tail])
    return min(float(low), narrow[0]), max(float(high), narrow[1])
