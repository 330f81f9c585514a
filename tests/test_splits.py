"""Folds and held-out images are spread over the classes, and groups stay together."""

import numpy as np
import pytest

from pipeline.dataset.split_names import TEST, TRAIN
from pipeline.dataset.splits import (
    ALWAYS_TEST,
    ALWAYS_TRAIN,
    Sides,
    decide_sides,
    founders,
    is_test,
    stratified_folds,
    stratified_holdout,
    together,
    without_crowds,
)
from pipeline.errors import SourceError

LABELS = np.repeat([0, 1, 2], [50, 30, 20])
SINGLE = np.arange(100)
NO_PAIRS = np.empty((0, 2), np.int64)
LARGE = 2**63


def grouped(*groups: list[int]) -> np.ndarray:
    """The number of the group of each of 100 images: its first for those named, itself for all others."""
    result = SINGLE.copy()
    for rows in groups:
        result[rows] = rows[0]
    return result


@pytest.mark.parametrize(
    ("groups", "by_class"),
    [
        pytest.param(SINGLE, [[10, 6, 4]] * 5, id="single images"),
        pytest.param(
            grouped([*range(10)], [50, 51, 52]), [[10, 6, 4]] * 5, id="a group that is a fifth of its class: others make up for it"
        ),
        pytest.param(grouped([3, 60, 95]), [[10, 6, 4]] * 5, id="a group of images of several classes"),
    ],
)
def test_every_fold_has_its_share_of_every_class_in_whole_groups(groups: np.ndarray, by_class: list[list[int]]) -> None:
    folds = stratified_folds(LABELS, groups, 5, seed=1)

    assert [np.bincount(LABELS[folds == fold]).tolist() for fold in range(5)] == by_class
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups.tolist()))
    assert folds.dtype == np.int8


def test_a_class_smaller_than_the_number_of_folds_is_spread_as_far_as_it_goes() -> None:
    labels = np.repeat([0, 1], [10, 2])

    folds = stratified_folds(labels, np.arange(12), 5, seed=1)

    assert np.bincount(folds[labels == 0]).tolist() == [2] * 5
    assert len(set(folds[labels == 1])) == 2


@pytest.mark.parametrize(("groups", "what"), [([0, 1, 2], "3 training images"), ([0, 0, 0, 1], "2 groups of training images")])
def test_fewer_groups_than_folds_is_an_error(groups: list[int], what: str) -> None:
    with pytest.raises(SourceError, match=f"{what} cannot be split into 5 folds"):
        stratified_folds(np.zeros(len(groups), int), np.array(groups), 5, seed=1)


@pytest.mark.parametrize(("counts", "expected"), [([50, 30, 20], [5, 3, 2]), ([2, 1, 10], [1, 0, 1])])
def test_a_share_of_every_class_is_held_out_but_never_all_of_it(counts: list[int], expected: list[int]) -> None:
    labels = np.repeat([0, 1, 2], counts)

    held_out = stratified_holdout(labels, np.arange(len(labels)), 0.1, seed=1)

    assert np.bincount(labels[held_out], minlength=3).tolist() == expected


def test_what_is_held_out_are_whole_groups() -> None:
    groups = np.arange(100) // 4

    held_out = stratified_holdout(LABELS, groups, 0.2, seed=1)

    assert all(len(set(held_out[groups == group])) == 1 for group in range(25))
    assert 15 <= held_out.sum() <= 30


def test_a_class_of_one_group_is_not_held_out() -> None:
    labels, groups = np.repeat([0, 1], [6, 20]), np.concatenate([np.zeros(6, int), np.arange(1, 21)])

    assert not stratified_holdout(labels, groups, 0.2, seed=1)[:6].any()


def test_the_seed_decides() -> None:
    assert (stratified_holdout(LABELS, SINGLE, 0.2, seed=1) == stratified_holdout(LABELS, SINGLE, 0.2, seed=1)).all()
    assert (stratified_holdout(LABELS, SINGLE, 0.2, seed=1) != stratified_holdout(LABELS, SINGLE, 0.2, seed=2)).any()


def test_a_crowd_of_look_alikes_is_no_group() -> None:
    chain = np.stack([np.arange(21), np.arange(1, 22)], axis=1)  # 22 images
    pair = np.array([[50, 51]])

    assert without_crowds(100, np.concatenate([chain, pair])).tolist() == [[50, 51]]
    assert len(without_crowds(1000, np.concatenate([chain, pair]))) == 22  # below 5 % of them


def test_pixels_groups_and_near_duplicates_hold_images_together() -> None:
    keys, groups = np.array([7, 7, 8, 9, 10, 11], np.uint64), np.array([0, 0, 5, 5, 0, 0], np.uint64)

    number = together(keys, groups, np.array([[3, 4]]))

    assert number[0] == number[1]
    assert number[2] == number[3] == number[4]
    assert len(set(number)) == 3


def free(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(count, np.uint64), np.zeros(count, bool)


def test_an_image_on_its_own_decides_for_itself() -> None:
    keys = np.array([2**60, 2**62, 2**63], np.uint64)

    assert founders(keys, *free(3), NO_PAIRS).tolist() == keys.tolist()
    assert is_test(keys, 0.2).tolist() == [True, False, False]  # 1/16, 1/4 and 1/2 of the whole range


def test_near_duplicates_follow_one_of_them_whatever_their_order() -> None:
    keys = np.array([5, 2**63, 77, 2**61], np.uint64)
    pairs = np.array([[0, 1], [1, 3]])
    order = np.array([3, 0, 2, 1])

    followed = founders(keys, *free(4), pairs)
    reordered = founders(keys[order], *free(4), np.array([[1, 3], [3, 0]]))

    assert followed[0] == followed[1] == followed[3]
    assert followed[0] in keys[[0, 1, 3]]
    assert followed[2] == 77
    assert reordered.tolist() == followed[order].tolist()


@pytest.mark.parametrize(("one", "other"), [(5, 9), (9, 5)])
def test_images_with_the_same_pixels_follow_the_near_duplicate_of_one_of_them(one: int, other: int) -> None:
    assert len(set(founders(np.array([one, one, other], np.uint64), *free(3), np.array([[1, 2]])).tolist())) == 1


def test_a_new_image_follows_those_of_its_near_duplicates_that_are_decided() -> None:
    keys, fixed, is_fixed = np.array([10, 11, 12], np.uint64), np.array([99, 0, 0], np.uint64), np.array([True, False, False])

    assert founders(keys, fixed, is_fixed, np.array([[0, 1], [1, 2]])).tolist() == [99, 99, 99]


def test_nothing_that_is_decided_moves_when_a_new_image_joins_both_sides() -> None:
    keys, fixed = np.array([10, 11, 12], np.uint64), np.array([ALWAYS_TEST, ALWAYS_TRAIN, 0], np.uint64)

    followed = founders(keys, fixed, np.array([True, True, False]), np.array([[0, 2], [1, 2]]))

    assert followed[:2].tolist() == [ALWAYS_TEST, ALWAYS_TRAIN]
    assert followed[2] in (ALWAYS_TEST, ALWAYS_TRAIN)


def test_a_group_of_near_duplicates_is_in_the_test_split_as_often_as_an_image() -> None:
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 2**64, 6000, np.uint64, endpoint=False)
    first = np.arange(0, 6000, 3)
    pairs = np.concatenate([np.stack([first, first + 1], 1), np.stack([first + 1, first + 2], 1)])

    share = is_test(founders(keys, *free(6000), pairs), 0.2).mean()

    assert abs(share - 0.2) < 0.03  # 2,000 groups: the standard error is 0.009


def decided(
    keys: list[int], labels: list[int], near: np.ndarray = NO_PAIRS, groups: list[int] | None = None, earlier: list[int] | None = None
) -> Sides:
    """The sides of images of a source without splits, at a test fraction of a half. earlier: what they follow since an earlier run; 0 for new ones."""
    nothing = [0] * len(keys)
    of_group, follows = np.array(groups or nothing, np.uint64), np.array(earlier or nothing, np.uint64)
    given = np.full(len(keys), -1, np.int8)
    return decide_sides(np.array(keys, np.uint64), np.array(labels), given, of_group, near, follows != 0, follows, test_fraction=0.5)


def sides(keys: list[int], labels: list[int], near: np.ndarray = NO_PAIRS, groups: list[int] | None = None) -> list[int]:
    return [int(split) for split in decided(keys, labels, near, groups).splits]


def test_a_class_that_chance_puts_into_the_test_split_leaves_one_group_to_train() -> None:
    keys = [10, 20, 30, 2**63 + 1, 2**62]

    apart, together_ = sides(keys, [0, 0, 0, 1, 1]), sides(keys, [0, 0, 0, 1, 1], np.array([[1, 2]]))

    assert apart == [TEST, TEST, TRAIN, TRAIN, TEST]
    assert together_[1] == together_[2] != together_[0]


def test_a_set_that_chance_puts_into_train_gives_one_group_of_a_class_of_several_to_the_test() -> None:
    assert sides([LARGE + 1, LARGE + 5, LARGE + 7], [0, 1, 1]) == [TRAIN, TEST, TRAIN]


DRIVERS = [LARGE + 3, LARGE + 3, LARGE + 1, LARGE + 1, LARGE + 2, LARGE + 2]


def test_if_no_group_of_the_source_is_in_test_the_one_with_the_smallest_key_is_and_this_is_recorded() -> None:
    found = decided([1, 2, 3, 4, 5, 6], [0, 1, 0, 1, 0, 1], groups=DRIVERS)

    assert found.splits.tolist() == [TRAIN, TRAIN, TEST, TEST, TRAIN, TRAIN]
    assert found.new_keys.tolist() == [LARGE + 1, LARGE + 2, LARGE + 3]
    assert found.new_founders.tolist() == [ALWAYS_TEST, LARGE + 2, LARGE + 3]


def test_a_group_that_is_all_of_a_class_stays_in_train() -> None:
    assert sides([1, 2, 3, 4, 5, 6], [0, 0, 2, 0, 0, 1], groups=DRIVERS) == [TEST, TEST, TRAIN, TRAIN, TRAIN, TRAIN]


def test_a_group_that_holds_a_class_in_test_by_chance_goes_to_train() -> None:
    assert sides([1, 2, 3], [0, 1, 1], groups=[5, 6, LARGE + 1]) == [TRAIN, TEST, TRAIN]


@pytest.mark.parametrize(
    ("labels", "earlier", "enough"),
    [
        ([0, 1, 0, 1, 0, 1], DRIVERS, (LARGE + 2) / 2**64),  # all are recorded as training images
        ([0, 0, 1, 1, 2, 2], None, 1),  # each group is all of a class
    ],
)
def test_if_nothing_may_move_to_test_the_fraction_that_would_do_is_known(
    labels: list[int], earlier: list[int] | None, enough: float
) -> None:
    found = decided([1, 2, 3, 4, 5, 6], labels, groups=DRIVERS, earlier=earlier)

    assert set(found.splits.tolist()) == {TRAIN}
    assert found.enough_for_test == enough
