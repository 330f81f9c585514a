"""A classifier between new images and the reference, asked only of images that it was not fitted to. Arrays in, values out."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.drift.ranking import Interval, area, share_unlike

FOLDS = 5
COMPONENTS = 100
STRENGTH = 0.01
"""C of the logistic regression."""


@dataclass(frozen=True)
class Separation:
    """How far new images and the reference can be told apart. scores: float (M,), of the new images, higher for those that look newer.

    area: under the curve of the classifier. unlike: the share of new images that are unlike the reference, beyond what chance gives.
    """

    scores: np.ndarray
    area: Interval
    unlike: Interval


def separate(new: np.ndarray, reference: np.ndarray, new_groups: np.ndarray, reference_groups: np.ndarray, *, seed: int = 0) -> Separation:
    """How far rows of features, float (M, F) and (N, F), can be told apart; M and N at least FOLDS.

    groups: int (M,) and (N,), images that belong together are never on both sides of a fit. A logistic regression on principal components gives each
    image a score in that of FOLDS fits which does not know it.

    Source: Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests, ICLR.
    """
    features = np.concatenate([new, reference]).astype(np.float32)
    is_new = np.arange(len(features)) < len(new)
    groups = np.concatenate([new_groups, reference_groups + int(new_groups.max()) + 1])
    scores = np.empty(len(features))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for known, asked in folds.split(features, is_new, groups):
        scores[asked] = _fitted(features[known], is_new[known], seed).decision_function(features[asked])
    of_new, of_reference = scores[is_new], scores[~is_new]
    return Separation(of_new, area(of_new, of_reference, new_groups, reference_groups), share_unlike(of_new, of_reference))


def _fitted(features: np.ndarray, is_new: np.ndarray, seed: int) -> LogisticRegression:
    count = min(COMPONENTS, *features.shape)
    parts = [StandardScaler(), PCA(count, random_state=seed), StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=500)]
    model = make_pipeline(*parts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, is_new)
    return model
