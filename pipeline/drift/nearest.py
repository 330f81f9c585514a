"""Images of a new kind: those that are nearer to other new images than to the reference. Arrays in, values out."""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler, normalize

from pipeline.drift.ranking import Interval, share_unlike
from pipeline.drift.separation import FOLDS, fold_numbers, in_deviations

COMPONENTS = 50
NEIGHBOURS = (10, 20)
SMALLEST = 1e-12


@dataclass(frozen=True)
class NewKind:
    """scores: float (M,), higher for new images that are nearer to other new ones. unlike: the share that is unlike the reference, beyond chance."""

    scores: np.ndarray
    unlike: Interval


def find_new_kind(
    new: np.ndarray, reference: np.ndarray, new_groups: np.ndarray, reference_groups: np.ndarray, *, seed: int = 0
) -> NewKind:
    """By rows of features, float (M, F) and (N, F). groups: as in `separate`; an image is never compared with its own group.

    The score of an image is the logarithm of its distance to the k-th nearest image of the reference, less that to the k-th nearest new one, both among
    the images of other folds; the mean over NEIGHBOURS. Where both have the same density it is the same for all, whatever their kind.

    Source: Wang, Kulkarni and Verdu (2009), Divergence estimation for multidimensional densities via k-nearest-neighbor distances, IEEE Transactions
    on Information Theory 55.
    """
    points = _points(np.concatenate([new, reference]), seed)
    is_new = np.arange(len(points)) < len(new)
    fold = np.concatenate([fold_numbers(groups, seed) for groups in (new_groups, reference_groups)])
    scores = np.empty(len(points))
    for asked in (fold == number for number in range(FOLDS)):
        to_reference, to_new = (_logarithms(points[asked], points[~asked & side]) for side in (~is_new, is_new))
        scores[asked] = to_reference - to_new
    return NewKind(in_deviations(scores[is_new], scores[~is_new]), share_unlike(scores[is_new], scores[~is_new]))


def _points(features: np.ndarray, seed: int) -> np.ndarray:
    directions = normalize(StandardScaler().fit_transform(features.astype(np.float32)))
    found: np.ndarray = PCA(min(COMPONENTS, *directions.shape), random_state=seed).fit_transform(directions).astype(np.float64)
    return found


def _logarithms(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float (M,): the mean logarithm of the squared distance of each point (M, F) to its k-th nearest among others (N, F)."""
    squares = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * points @ others.T
    ranks = sorted({min(count, len(others)) - 1 for count in NEIGHBOURS})
    nearest = np.partition(squares, ranks, axis=1)[:, ranks]
    found: np.ndarray = np.log(np.maximum(nearest, SMALLEST)).mean(axis=1)
    return found
