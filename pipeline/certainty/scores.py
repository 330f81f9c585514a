"""Probabilities at another temperature, and the scores by which answers are ranked from sure to unsure. Pure functions; NumPy alone.

Travels with the registered model. Probabilities: float (N, K), rows that add up to 1, as the network gives them; those below SMALLEST count as SMALLEST,
as in the log loss. A network that averages an image and its mirror image has one row for both: all of this acts on the average.
"""

from collections.abc import Callable, Mapping

import numpy as np

SMALLEST = 1e-7
NORM = 4
PROBABILITY, MARGIN, LOGIT = "probability", "margin", "normalised logit"


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """float64 (N, K): softmax(log p / T), which has the same most probable class. temperature: above 0; above 1, the rows become more even.

    Source: Guo et al. (2017), On calibration of modern neural networks, ICML: dividing the logits by T, from which log p differs by a constant per row.
    """
    powers = logarithms(probabilities) / temperature
    grown = np.exp(powers - powers.max(axis=1, keepdims=True, initial=-np.inf))
    result: np.ndarray = grown / grown.sum(axis=1, keepdims=True)
    return result


def logarithms(probabilities: np.ndarray) -> np.ndarray:
    """float64 (N, K), at least log(SMALLEST)."""
    found: np.ndarray = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST))
    return found


def highest_probability(probabilities: np.ndarray) -> np.ndarray:
    """float64 (N,), 0 to 1: the probability of the answer."""
    found: np.ndarray = probabilities.max(axis=1, initial=0.0).astype(np.float64)
    return found


def margin(probabilities: np.ndarray) -> np.ndarray:
    """float64 (N,), 0 to 1: the probability of the answer minus that of the next class."""
    two = np.sort(probabilities.astype(np.float64), axis=1)[:, -2:]
    found: np.ndarray = two[:, -1] - two[:, -2]
    return found


def normalised_logit(probabilities: np.ndarray) -> np.ndarray:
    """float64 (N,), 0 to 1: the highest logit divided by the 4-norm of all, after their mean is taken off.

    Source: Cattelan and Silva (2024), How to fix a broken confidence estimator, UAI (MaxLogit-pNorm). It can rank better where label smoothing has
    made the logits of right and wrong answers alike: Xia et al. (2025), Towards understanding why label smoothing degrades selective classification
    and how to fix it, ICLR.
    """
    centred = logarithms(probabilities)
    centred -= centred.mean(axis=1, keepdims=True)
    norms = (np.abs(centred) ** NORM).sum(axis=1) ** (1 / NORM)
    found: np.ndarray = centred.max(axis=1, initial=0.0) / np.where(norms > 0, norms, 1.0)
    return found


SCORES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {PROBABILITY: highest_probability, MARGIN: margin, LOGIT: normalised_logit}
"""By name, the simplest first. All are 0 or more, and higher for surer answers."""
