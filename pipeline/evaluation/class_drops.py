"""Classes in which a new model is shown to be worse than the old one by more than a limit. Pure functions of counts.

Counts per class, int (K,): `gained`, images that only the new model gets right; `lost`, those that only the old one gets right; `images`, above 0.
"""

import numpy as np
from scipy import stats

from pipeline.evaluation.paired import score_statistic

LEVEL = 0.05


def drop_p_values(gained: np.ndarray, lost: np.ndarray, images: np.ndarray, limit: float) -> np.ndarray:
    """The one-sided p-value of each class, float (K,) from 0 to 1, of a drop of no more than `limit` (0 to 1) in its share of correct images.

    With a limit of 0 the exact test of McNemar (1947), else Tango's score test (1998): see `paired`.
    """
    if limit == 0:
        return np.asarray(stats.binom.cdf(gained, gained + lost, 0.5))
    return np.asarray(stats.norm.cdf(score_statistic(gained, lost, images, -limit)))


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values (..., K) corrected for their number along the last axis: the chance of any false one below a level is at most that level.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6.
    """
    count = p_values.shape[-1]
    order = np.argsort(p_values, axis=-1, kind="stable")
    stepped = np.take_along_axis(p_values, order, axis=-1) * np.arange(count, 0, -1)
    corrected = np.empty_like(stepped)
    np.put_along_axis(corrected, order, np.minimum(np.maximum.accumulate(stepped, axis=-1), 1), axis=-1)
    return corrected


def dropped(gained: np.ndarray, lost: np.ndarray, images: np.ndarray, limit: float) -> np.ndarray:
    """Whether each class, bool (..., K), is shown to have dropped by more than `limit`, at a level of 5 % for all classes together."""
    shown: np.ndarray = holm(drop_p_values(gained, lost, images, limit)) < LEVEL
    return shown
