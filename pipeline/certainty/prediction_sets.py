"""From which probability on a class is a candidate, so that the true class is among the candidates of a given share of the images.

Split conformal prediction with the least ambiguous sets, class by class. Sources: Sadinle, Lei and Wasserman (2019), Least ambiguous set-valued
classifiers with bounded error levels, JASA 114; for groups of classes with one threshold Ding et al. (2023), Class-conditional conformal prediction
with many classes, NeurIPS. It holds on average over draws of images that are alike, one by one, and for the network that gave the probabilities.
"""

import numpy as np

IMAGES_PER_CLASS = 50


def least_probabilities(labels: np.ndarray, probabilities: np.ndarray, coverage: float) -> np.ndarray:
    """float (K,): the probability from which each class is a candidate. labels: int (N,), N at least 1. probabilities: float (N, K), calibrated.

    A class with IMAGES_PER_CLASS images has a threshold of its own. The others share one, of their images together, or of all if these are too few.
    """
    of_label = probabilities[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    large = counts >= IMAGES_PER_CLASS
    in_small = ~large[labels]
    shared = _threshold(of_label[in_small] if in_small.sum() >= IMAGES_PER_CLASS else of_label, coverage)
    return np.array([_threshold(of_label[labels == k], coverage) if large[k] else shared for k in range(len(counts))])


def _threshold(of_label: np.ndarray, coverage: float) -> float:
    """The k-th smallest of n, with k = floor((n + 1)(1 - coverage)): a further one is below it with a chance of at most k / (n + 1). 0 if k is 0."""
    rank = int(np.floor((len(of_label) + 1) * (1 - coverage) + 1e-9))
    return float(np.sort(of_label)[rank - 1]) if rank else 0.0
