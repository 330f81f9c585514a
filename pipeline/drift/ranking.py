"""How well scores tell new images from the reference: the area under the curve, and what it says of the newest-looking. Arrays in, values out."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipeline.evaluation.paired import Z
from pipeline.evaluation.proportion import wilson_interval

RARE = 0.05
"""An image is unlike the reference if its score is above that of all but so many of the reference."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def area(new: np.ndarray, reference: np.ndarray, new_groups: np.ndarray, reference_groups: np.ndarray) -> Interval:
    """The chance that a new image has a higher score than one of the reference, ties counted half: .5 if the scores tell nothing.

    new: float (M,), reference: float (N,), M and N at least 2. groups: int (M,) and (N,), images that belong together.

    Sources: DeLong, DeLong and Clarke-Pearson (1988), Comparing the areas under two or more correlated receiver operating characteristic curves,
    Biometrics 44, by ranks as in Sun and Xu (2014), IEEE Signal Processing Letters 21; summed over groups as in Obuchowski (1997), Nonparametric
    analysis of clustered ROC curve data, Biometrics 53.
    """
    ranks = stats.rankdata(np.concatenate([new, reference]))
    above = (ranks[: len(new)] - stats.rankdata(new)) / len(reference)
    below = 1 - (ranks[len(new) :] - stats.rankdata(reference)) / len(new)
    found = float(above.mean())
    error = np.sqrt(_variance(above - found, new_groups) + _variance(below - found, reference_groups))
    if error == 0:  # all on one side: as surely as Wilson's interval of so many groups says
        low, high = wilson_interval(round(found * (count := len(np.unique(new_groups)))), count)
        return Interval(found, low, high)
    return Interval(found, max(0.0, found - Z * error), min(1.0, found + Z * error))


def share_unlike(new: np.ndarray, reference: np.ndarray) -> Interval:
    """The share of the new images that are unlike the reference, less the share of the reference that is: 0 if nothing has changed.

    A part of the new images that is of another kind raises it, even if it is too small for the area: 10 % of them raise the area to .55 at most.

    Source: Newcombe (1998), Interval estimation for the difference between independent proportions, Statistics in Medicine 17, method 10.
    """
    limit = np.quantile(reference, 1 - RARE, method="higher")
    counts = [(int((scores > limit).sum()), len(scores)) for scores in (new, reference)]
    (share, usual), ends = [hits / count for hits, count in counts], [wilson_interval(*each) for each in counts]
    difference = share - usual
    low = difference - np.hypot(share - ends[0][0], ends[1][1] - usual)
    high = difference + np.hypot(ends[0][1] - share, usual - ends[1][0])
    return Interval(difference, float(low), float(high))


def _variance(deviations: np.ndarray, groups: np.ndarray) -> float:
    """The variance of the mean of deviations (N,) from it, of which those of a group, int (N,), belong together."""
    _, group = np.unique(groups, return_inverse=True)
    sums = np.bincount(group, weights=deviations)
    count = len(sums)
    return float((sums**2).sum() * count / max(count - 1, 1) / len(deviations) ** 2)
