"""A classifier between new images and the reference, asked only of images that it was not fitted to. Arrays in, values out."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pipeline.drift.ranking import Interval, area

FOLDS = 5
COMPONENTS = 100
STRENGTH = 0.01
"""C of the logistic regression."""


@dataclass(frozen=True)
class Separation:
    """How far new images and reference can be told apart. scores: float (M,), of the new images, higher for those that look newer, in deviations of
    the reference from its median. area: under the curve of the classifier.
    """

    scores: np.ndarray
    area: Interval


def separate(new: np.ndarray, reference: np.ndarray, new_groups: np.ndarray, reference_groups: np.ndarray, *, seed: int = 0) -> Separation:
    """How far rows of features, float (M, F) and (N, F), can be told apart.

    groups: int (M,) and (N,), at least FOLDS different ones each; images that belong together are never on both sides of a fit. A logistic regression
    on principal components, which are found without knowing which images are new, gives each image a score in that of FOLDS fits which does not know it.

    Source: Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests, ICLR.
    """
    features = _components(np.concatenate([new, reference]), seed)
    is_new = np.arange(len(features)) < len(new)
    fold = np.concatenate([fold_numbers(groups, seed) for groups in (new_groups, reference_groups)])
    scores = np.empty(len(features))
    for asked in (fold == number for number in range(FOLDS)):
        scores[asked] = _fitted(features[~asked], is_new[~asked]).decision_function(features[asked])
    of_new, of_reference = scores[is_new], scores[~is_new]
    return Separation(in_deviations(of_new, of_reference), area(of_new, of_reference, new_groups, reference_groups))


def fold_numbers(groups: np.ndarray, seed: int) -> np.ndarray:
    """int (M,): a fold for each image, the same for all of a group, of about equally many groups."""
    _, group = np.unique(groups, return_inverse=True)
    folds: np.ndarray = np.random.default_rng(seed).permutation(int(group.max()) + 1)[group] % FOLDS
    return folds


def in_deviations(new: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The scores of new images, float (M,), in deviations of those of the reference, float (N,), from their median."""
    found: np.ndarray = (new - np.median(reference)) / max(float(reference.std()), 1e-9)
    return found


def _components(features: np.ndarray, seed: int) -> np.ndarray:
    """float (M + N, at most COMPONENTS), each with the mean 0 and the deviation 1."""
    scaled = StandardScaler().fit_transform(features.astype(np.float32))
    found = PCA(min(COMPONENTS, *scaled.shape), random_state=seed).fit_transform(scaled)
    result: np.ndarray = StandardScaler().fit_transform(found)
    return result


def _fitted(features: np.ndarray, is_new: np.ndarray) -> LogisticRegression:
    model = LogisticRegression(C=STRENGTH, max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, is_new)
    return model
