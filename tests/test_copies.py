"""Copies are found within a class, across classes and across splits, and the right one is left out."""

import numpy as np
import pytest

from pipeline.quality.copies import Copies, Policy, find_copies

DEFAULT: dict[str, Policy] = {
    "conflict": "reject",
    "leak": "reject",
    "duplicate": "keep",
    "near_conflict": "keep",
    "near_leak": "keep",
    "near_duplicate": "keep",
}
TRAIN, VALIDATION, TEST = 0, 1, 2


def find(
    pixels: list[int], labels: list[int], splits: list[int], near: list[tuple[int, int]] | None = None, **policies: Policy
) -> tuple[dict[str, Copies], list[bool]]:
    kept = np.ones(len(pixels), bool)
    pairs = np.array(near or [], np.int64).reshape(-1, 2)
    digests = np.array(pixels, np.uint64)
    findings = find_copies(digests, np.array(labels), np.array(splits, np.int8), pairs, {**DEFAULT, **policies}, kept)
    return {found.kind: found for found in findings}, kept.tolist()


def test_an_exact_leak_is_taken_out_of_train() -> None:
    found, kept = find([7, 8, 7], [0, 0, 0], [TRAIN, TRAIN, TEST])

    assert found["leak"].pairs.tolist() == [[2, 0]]
    assert kept == [False, True, True]


def test_of_copies_in_all_splits_the_one_in_test_stays() -> None:
    found, kept = find([7, 7, 7], [0, 0, 0], [TRAIN, TEST, VALIDATION])

    assert found["leak"].rows.tolist() == [0, 2]
    assert kept == [False, True, False]


def test_all_copies_that_contradict_each_other_are_left_out_also_across_splits() -> None:
    found, kept = find([7, 7, 8, 7], [0, 1, 1, 0], [TRAIN, TRAIN, TRAIN, TEST])

    assert found["conflict"].rows.tolist() == [0, 1, 3]
    assert found["conflict"].pairs.tolist() == [[0, 1], [1, 3]]
    assert len(found["leak"].rows) == 0
    assert kept == [False, False, True, False]


def test_contradictions_that_are_kept_can_still_be_leaks() -> None:
    found, kept = find([7, 7], [0, 1], [TRAIN, TEST], conflict="keep")

    assert found["conflict"].rows.tolist() == [0, 1]
    assert kept == [False, True]


@pytest.mark.parametrize(("policy", "expected"), [("keep", [True] * 4), ("reject", [True, False, True, False])])
def test_duplicates_are_kept_or_left_out_but_for_the_first(policy: Policy, expected: list[bool]) -> None:
    found, kept = find([7, 7, 8, 7], [0, 0, 0, 0], [TRAIN] * 4, duplicate=policy)

    assert found["duplicate"].pairs.tolist() == [[0, 1], [0, 3]]
    assert kept == expected


def test_near_duplicates_are_told_apart_by_class_and_split() -> None:
    found, kept = find([1, 2, 3, 4, 5], [0, 0, 1, 0, 0], [TRAIN, TRAIN, TRAIN, TEST, TRAIN], [(0, 1), (0, 2), (0, 3)])

    assert found["near_duplicate"].pairs.tolist() == [[0, 1]]
    assert found["near_conflict"].pairs.tolist() == [[0, 2]]
    assert found["near_leak"].pairs.tolist() == [[3, 0]]  # the test image first
    assert kept == [True] * 5


def test_near_duplicates_can_be_left_out() -> None:
    near = [(0, 1), (1, 2), (3, 4)]

    _, kept = find([1, 2, 3, 4, 5], [0, 0, 0, 1, 1], [TRAIN, TRAIN, TRAIN, TEST, TRAIN], near, near_duplicate="reject", near_leak="reject")

    assert kept == [True, False, True, True, False]  # 2 is near to 1 only, which is gone


def test_near_contradictions_can_be_left_out_both() -> None:
    assert find([1, 2, 3], [0, 1, 0], [TRAIN] * 3, [(0, 1)], near_conflict="reject")[1] == [False, False, True]


def test_a_pair_with_the_same_pixels_is_no_near_duplicate() -> None:
    assert find([1, 1], [0, 0], [TRAIN] * 2, [(0, 1)])[0]["near_duplicate"].pairs.tolist() == []


def test_what_fails_is_found_and_kept() -> None:
    found, kept = find([7, 7], [0, 0], [TRAIN, TEST], leak="fail")

    assert found["leak"].policy == "fail"
    assert kept == [True, True]
