"""How doubtful each label is, by what models say that were not fitted to the image. Pure functions of arrays; a higher score is a more doubtful label."""

import numpy as np
from scipy.stats import rankdata


def model_doubts(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """float (N,), 0 to 1: one minus the probability of the label. labels: int (N,). probabilities: float (N, K), out of fold.

    Source: Kuan and Mueller (2022), Model-agnostic label quality scoring to detect real-world label errors, ICML DataPerf workshop, "self-confidence".
    """
    doubts: np.ndarray = 1 - probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return doubts


def margin_doubts(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """float (N,), 0 to 1: one minus the margin of the label's probability over that of the most probable other class, halved. As in `model_doubts`.

    Source: as there, "normalized margin".
    """
    rows, others = np.arange(len(labels)), probabilities.astype(np.float64)
    of_label = others[rows, labels]
    others[rows, labels] = -np.inf
    doubts: np.ndarray = (1 - (of_label - others.max(axis=1))) / 2
    return doubts


def fitting_doubts(margins: np.ndarray) -> np.ndarray:
    """float (N,), any number: minus the margin of the label's logit while networks were fitted to the image, averaged over the epochs, float (N,); where
    that is NaN, as no network was, the median.

    Source: Pleiss et al. (2020), Identifying mislabeled data using the area under the margin ranking, NeurIPS.
    """
    doubts = -margins.astype(np.float64)
    result: np.ndarray = np.where(np.isnan(doubts), np.nanmedian(doubts) if len(doubts) else 0.0, doubts)
    return result


def mean_rank(scores: list[np.ndarray]) -> np.ndarray:
    """float (N,), above 0 to 1: the mean, over scores float (N,), of the share of images with no higher score; equal scores share their mean rank."""
    ranks: np.ndarray = np.mean([rankdata(score) / len(score) for score in scores], axis=0)
    return ranks
