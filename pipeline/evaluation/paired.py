"""Two models on the same images: the interval of their difference in accuracy, and whether it is chance. Pure functions of counts.

`gained`: images that only the new model gets right. `lost`: images that only the old one gets right. Counts may be arrays of one shape.
"""

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE_LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + CONFIDENCE_LEVEL) / 2)
HALVINGS = 50


def tango_interval(gained: ArrayLike, lost: ArrayLike, images: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of the 95 % score interval of the difference in accuracy, new minus old, each from -1 to 1; also without a discordant pair.

    Source: Tango (1998), Equivalence test and confidence interval for the difference in proportions for the paired-sample design, Statistics in
    Medicine 17.
    """
    b, c, n = (np.asarray(values, dtype=np.float64) for values in (gained, lost, images))
    difference = (b - c) / n
    return _crossing(b, c, n, np.full_like(difference, -1), difference, Z), _crossing(b, c, n, difference, np.ones_like(difference), -Z)


def score_statistic(gained: ArrayLike, lost: ArrayLike, images: ArrayLike, difference: ArrayLike) -> np.ndarray:
    """Tango's statistic, standard normal if the true difference in accuracy, new minus old, is `difference` (-1 to 1)."""
    b, c, n, delta = (np.asarray(values, dtype=np.float64) for values in (gained, lost, images, difference))
    linear = (2 * n - b + c) * delta - b - c
    only_old = (np.sqrt(np.maximum(linear**2 + 8 * n * c * delta * (1 - delta), 0)) - linear) / (4 * n)
    deviation = np.sqrt(np.maximum(n * (2 * only_old + delta * (1 - delta)), 0))
    excess = b - c - n * delta
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(deviation > 0, excess / deviation, np.sign(excess) * np.inf))


def mid_p(gained: ArrayLike, lost: ArrayLike) -> np.ndarray:
    """The two-sided p-value, 0 to 1, of McNemar's mid-p test: how likely so unequal counts are if both models are equally good.

    Source: Fagerland, Lydersen and Laake (2013), The McNemar test for binary matched-pairs data, BMC Medical Research Methodology 13.
    """
    b, c = np.asarray(gained), np.asarray(lost)
    fewer, both = np.minimum(b, c), b + c
    return np.where(b == c, 1.0, 2 * stats.binom.cdf(fewer, both, 0.5) - stats.binom.pmf(fewer, both, 0.5))


def _crossing(b: np.ndarray, c: np.ndarray, n: np.ndarray, below: np.ndarray, above: np.ndarray, value: float) -> np.ndarray:
    """The difference at which the statistic, which falls as the difference rises, has a value."""
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        is_below = score_statistic(b, c, n, middle) > value
        below, above = np.where(is_below, middle, below), np.where(is_below, above, middle)
    return np.asarray((below + above) / 2)
