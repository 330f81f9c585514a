"""Folds and held-out images are spread over the classes."""

import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.ml.splits import stratified_folds, stratified_holdout

LABELS = np.repeat([0, 1, 2], [50, 30, 20])


def test_every_fold_has_its_share_of_every_class() -> None:
    folds = stratified_folds(LABELS, 5, seed=1)

    assert [np.bincount(LABELS[folds == fold]).tolist() for fold in range(5)] == [[10, 6, 4]] * 5
    assert folds.dtype == np.int8


def test_a_class_smaller_than_the_number_of_folds_is_spread_as_far_as_it_goes() -> None:
    labels = np.repeat([0, 1], [10, 2])

    folds = stratified_folds(labels, 5, seed=1)

    assert np.bincount(folds[labels == 0]).tolist() == [2] * 5
    assert len(set(folds[labels == 1])) == 2


def test_fewer_images_than_folds_is_an_error() -> None:
    with pytest.raises(SourceError, match="3 training images cannot be split into 5 folds"):
        stratified_folds(np.array([0, 1, 1]), 5, seed=1)


@pytest.mark.parametrize(("counts", "expected"), [([50, 30, 20], [5, 3, 2]), ([2, 1, 10], [1, 0, 1])])
def test_a_share_of_every_class_is_held_out_but_never_all_of_it(counts: list[int], expected: list[int]) -> None:
    labels = np.repeat([0, 1, 2], counts)

    held_out = stratified_holdout(labels, 0.1, seed=1)

    assert np.bincount(labels[held_out], minlength=3).tolist() == expected


def test_the_seed_decides() -> None:
    assert (stratified_holdout(LABELS, 0.2, seed=1) == stratified_holdout(LABELS, 0.2, seed=1)).all()
    assert (stratified_holdout(LABELS, 0.2, seed=1) != stratified_holdout(LABELS, 0.2, seed=2)).any()
