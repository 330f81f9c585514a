"""Which images are held out: stratified by class, by scikit-learn. Pure functions of labels."""

import numpy as np
from sklearn.model_selection import StratifiedKFold

from pipeline.errors import SourceError


def stratified_folds(labels: np.ndarray, folds: int, *, seed: int) -> np.ndarray:
    """The fold of each image, int8 (N,), from 0; every class is spread as evenly as can be.

    labels: int (N,). A class with fewer images than folds is missing from some. Raises SourceError with fewer images than folds.
    """
    if len(labels) < folds:
        raise SourceError(f"{len(labels)} training images cannot be split into {folds} folds. Lower cross_validate.folds or add images.")
    result = np.full(len(labels), -1, np.int8)
    counts = np.bincount(labels)
    common = np.flatnonzero(np.isin(labels, np.flatnonzero(counts >= folds)))
    if len(common):
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        for fold, (_, rows) in enumerate(splitter.split(common, labels[common])):
            result[common[rows]] = fold
    # scikit-learn refuses classes with fewer images than folds: these go to folds in turn
    rare = np.flatnonzero(result < 0)
    order = np.random.default_rng(seed).permutation(rare)
    result[order[np.argsort(labels[order], kind="stable")]] = np.arange(len(rare)) % folds
    return result


def stratified_holdout(labels: np.ndarray, fraction: float, *, seed: int) -> np.ndarray:
    """bool (N,): about `fraction` of each class is held out. A class of two or more images keeps at least one on either side."""
    held_out = np.zeros(len(labels), bool)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) >= 2:
            held_out[rows[: min(max(1, round(len(rows) * fraction)), len(rows) - 1)]] = True
    return held_out
