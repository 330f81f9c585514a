"""The interval of a difference in accuracy where images come in groups that succeed or fail together. Pure functions of arrays.

A group is a set of near duplicates or a group named by the source, as in data/ingest/index.parquet.
"""

from statistics import NormalDist

import numpy as np
from scipy import stats

from pipeline.evaluation.paired import CONFIDENCE_LEVEL, tango_interval

RESAMPLES = 100_000


def cluster_interval(differences: np.ndarray, groups: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """(low, high) of the 95 % interval of the mean of `differences`, int (N,) of -1, 0 and 1, if whole groups, int (N,), are resampled.

    The percentiles are expanded for few groups. Never narrower than Tango's interval for as many images as there are groups, if no image differs, or
    for all images, if some do: the bootstrap alone would call a difference that it never saw impossible. One group has no interval but (-1, 1).

    Sources: Efron and Tibshirani (1993), An introduction to the bootstrap; Field and Welsh (2007), Bootstrapping clustered data, JRSS B 69; for the
    expansion Hesterberg (2015), What teachers should know about the bootstrap, The American Statistician 69.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return -1.0, 1.0
    if not differences.any():
        low, high = tango_interval(0, 0, len(sizes))
        return float(low), float(high)
    sums = np.rint(np.bincount(group, weights=differences)).astype(np.int64)
    means = resampled_means(sums, sizes, seed)
    tail = expanded_tail(len(sizes))
    low, high = np.quantile(means, [tail, 1 - tail])
    narrow_low, narrow_high = tango_interval((differences > 0).sum(), (differences < 0).sum(), len(differences))
    return float(min(low, narrow_low)), float(max(high, narrow_high))


def resampled_means(sums: np.ndarray, sizes: np.ndarray, seed: int) -> np.ndarray:
    """The mean of each resample, float (RESAMPLES,). Groups of one sum and size are alike, so how often each kind is drawn is drawn at once."""
    kinds, often = np.unique(np.stack([sums, sizes], axis=1), axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(sums), often / often.sum(), RESAMPLES)
    totals = drawn @ kinds
    means: np.ndarray = totals[:, 0] / totals[:, 1]
    return means


def expanded_tail(groups: int) -> float:
    """The share of the resamples beyond each end of the interval: less than 2.5 % for few groups."""
    quantile = float(stats.t.ppf((1 + CONFIDENCE_LEVEL) / 2, groups - 1)) * (groups / (groups - 1)) ** 0.5
    return NormalDist().cdf(-quantile)
