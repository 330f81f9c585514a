"""Do the model's answers to new images differ from those to the held-out images: other classes, other probabilities? Arrays in, values out."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipeline.drift.ranking import Interval
from pipeline.evaluation.class_drops import holm

DRAWS = 2000
LEVEL = 0.01
"""Of all classes together: a shift of outputs that is surer than this counts."""


@dataclass(frozen=True)
class ClassMix:
    """Shares of the K classes among the answers, float (K,), to new images and to the reference. distance: half the sum of all differences, 0 to 1."""

    new: np.ndarray
    reference: np.ndarray
    distance: Interval


@dataclass(frozen=True)
class OutputShift:
    """By class, float (K,): the largest difference of the two distributions of its probability, 0 to 1, and p-values, corrected for their number."""

    statistic: np.ndarray
    p_values: np.ndarray

    @property
    def shifted(self) -> np.ndarray:
        """Whether each class, bool (K,), has a shift that chance hardly explains."""
        found: np.ndarray = self.p_values < LEVEL
        return found

    @property
    def largest(self) -> float:
        """The largest such shift; 0 without one."""
        return float(self.statistic[self.shifted].max(initial=0.0))


def class_mix(new: np.ndarray, reference: np.ndarray, new_count: int, reference_count: int, *, seed: int = 0) -> ClassMix:
    """The total variation distance between two mixes of classes, by their counts, int (K,), of M and N images.

    new_count, reference_count: as how many images they count; less than M and N if some belong together. The distance of two samples is above 0 even
    where nothing has changed, so the ends are not symmetric: the lower end is the distance less what sampling adds in all but 2.5 % of cases, by the
    triangle inequality; the upper end is the distance and as much.

    Source: parametric bootstrap of the deviation in total variation; Efron and Tibshirani (1993), An introduction to the bootstrap.
    """
    shares, usual = new / new.sum(), reference / reference.sum()
    distance = float(np.abs(shares - usual).sum() / 2)
    draw = np.random.default_rng(seed).multinomial
    deviations = draw(new_count, shares, DRAWS) / new_count - shares - (draw(reference_count, usual, DRAWS) / reference_count - usual)
    noise = float(np.quantile(np.abs(deviations).sum(axis=1) / 2, 0.975))
    return ClassMix(shares, usual, Interval(distance, max(0.0, distance - noise), min(1.0, distance + noise)))


def output_shift(new: np.ndarray, reference: np.ndarray) -> OutputShift:
    """Two-sample Kolmogorov-Smirnov tests of the probabilities, float (M, K) and (N, K), of each class, corrected by Holm (1979).

    Source: Rabanser, Guennemann and Lipton (2019), Failing loudly: an empirical study of methods for detecting dataset shift, NeurIPS.
    """
    found = [stats.ks_2samp(of_new, of_reference, method="asymp") for of_new, of_reference in zip(new.T, reference.T, strict=True)]
    return OutputShift(np.array([each.statistic for each in found]), holm(np.array([each.pvalue for each in found])))
