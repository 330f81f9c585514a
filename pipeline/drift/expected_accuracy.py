"""How accurate is a model on images without labels, if it is as well calibrated there as on held-out images? Arrays in, values out."""

import numpy as np

from pipeline.drift.ranking import Interval
from pipeline.evaluation.paired import Z


def expected_accuracy(new: np.ndarray, held_out: np.ndarray, correct: np.ndarray) -> Interval:
    """The accuracy to expect on M new images by the probability of each answer, float (M,), less what held-out answers are too confident.

    held_out: float (N,), probabilities of the answers to held-out images; correct: bool (N,), whether they are right. N at least 2. The interval adds
    the chance of each answer to be right or wrong, and the error of the correction. It assumes that a probability means on the new images what it
    means on the held-out ones; a model is often surer than that of images unlike those that it knows.

    Source: Guillory et al. (2021), Predicting with confidence on unseen distributions, ICCV (difference of confidences).
    """
    gaps = held_out - correct
    value = float(new.mean() - gaps.mean())
    variance = float((new * (1 - new)).sum()) / len(new) ** 2 + float(gaps.var(ddof=1)) / len(gaps)
    reach = Z * variance**0.5
    low, value, high = (min(max(end, 0.0), 1.0) for end in (value - reach, value, value + reach))
    return Interval(value, low, high)
