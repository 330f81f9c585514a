"""Copies are found within a class, across classes and across splits, and the right one is left out."""

from typing import NamedTuple

import numpy as np
import pytest

from pipeline.quality.copies import EXACT, NEAR, Copies, Policy, find_copies

DEFAULT: dict[str, Policy] = {kind: "reject" if kind in ("conflict", "leak") else "keep" for kind in (*EXACT, *NEAR)}
TRAIN, VALIDATION, TEST = 0, 1, 2


class Case(NamedTuple):
    """N images: the digest of the pixels, label and split of each; pairs that look alike; policies other than the default."""

    pixels: list[int]
    labels: list[int]
    splits: list[int]
    near: list[tuple[int, int]] = []  # noqa: RUF012
    policies: dict[str, Policy] = {}  # noqa: RUF012


LEAK = Case([7, 8, 7], [0, 0, 0], [TRAIN, TRAIN, TEST])
COPIES_IN_ALL_SPLITS = Case([7, 7, 7], [0, 0, 0], [TRAIN, TEST, VALIDATION])
CONFLICT = Case([7, 7, 8, 7], [0, 1, 1, 0], [TRAIN, TRAIN, TRAIN, TEST])
CONFLICT_KEPT = Case([7, 7], [0, 1], [TRAIN, TEST], policies={"conflict": "keep"})
DUPLICATES = Case([7, 7, 8, 7], [0, 0, 0, 0], [TRAIN] * 4)
NEAR_PAIRS = Case([1, 2, 3, 4, 5], [0, 0, 1, 0, 0], [TRAIN, TRAIN, TRAIN, TEST, TRAIN], [(0, 1), (0, 2), (0, 3)])
NEAR_CHAIN = Case([1, 2, 3, 4, 5], [0, 0, 0, 1, 1], [TRAIN, TRAIN, TRAIN, TEST, TRAIN], [(0, 1), (1, 2), (3, 4)])
NEAR_CONFLICT = Case([1, 2, 3], [0, 1, 0], [TRAIN] * 3, [(0, 1)])


def find(case: Case) -> tuple[list[Copies], list[bool]]:
    """The findings, and which images are kept."""
    kept = np.ones(len(case.pixels), bool)
    near = np.array(case.near, np.int64).reshape(-1, 2)
    splits = np.array(case.splits, np.int8)
    return find_copies(
        np.array(case.pixels, np.uint64), np.array(case.labels), splits, near, {**DEFAULT, **case.policies}, kept
    ), kept.tolist()


@pytest.mark.parametrize(
    ("case", "found", "kept"),
    [
        pytest.param(LEAK, {"leak": [[2, 0]]}, "-++", id="a leak is taken out of train"),
        pytest.param(COPIES_IN_ALL_SPLITS, {"leak": [[1, 0], [1, 2]]}, "-+-", id="of copies in all splits, the one in test stays"),
        pytest.param(CONFLICT, {"conflict": [[0, 1], [1, 3]]}, "--+-", id="all with conflicting labels go, also across splits"),
        pytest.param(CONFLICT_KEPT, {"conflict": [[0, 1]], "leak": [[1, 0]]}, "-+", id="conflicts that are kept can still be leaks"),
        pytest.param(DUPLICATES, {"duplicate": [[0, 1], [0, 3]]}, "++++", id="duplicates are kept"),
        pytest.param(
            DUPLICATES._replace(policies={"duplicate": "reject"}), {"duplicate": [[0, 1], [0, 3]]}, "+-+-", id="or all but the first go"
        ),
        pytest.param(
            NEAR_PAIRS,
            {"near_duplicate": [[0, 1]], "near_conflict": [[0, 2]], "near_leak": [[3, 0]]},  # of a leak the test image first
            "+++++",
            id="near duplicates are told apart by class and split",
        ),
        pytest.param(
            NEAR_CHAIN._replace(policies={"near_duplicate": "reject", "near_leak": "reject"}),
            {"near_duplicate": [[0, 1], [1, 2]], "near_leak": [[3, 4]]},
            "+-++-",  # 2 is near to 1 only, which is gone
            id="near duplicates can be left out",
        ),
        pytest.param(
            NEAR_CONFLICT._replace(policies={"near_conflict": "reject"}), {"near_conflict": [[0, 1]]}, "--+", id="near conflicts go both"
        ),
        pytest.param(Case([1, 1], [0, 0], [TRAIN] * 2, [(0, 1)]), {"duplicate": [[0, 1]]}, "++", id="the same pixels are not near"),
        pytest.param(LEAK._replace(policies={"leak": "fail"}), {"leak": [[2, 0]]}, "+++", id="what fails is found and kept"),
    ],
)
def test_copies_are_found_and_the_right_one_is_left_out(case: Case, found: dict[str, list[list[int]]], kept: str) -> None:
    policies = {**DEFAULT, **case.policies}

    result, still = find(case)

    assert {copies.kind: copies.pairs.tolist() for copies in result if len(copies.pairs)} == found
    assert {copies.kind: copies.policy for copies in result} == policies
    assert "".join("+" if each else "-" for each in still) == kept


@pytest.mark.parametrize(
    ("case", "kind", "rows"),
    [
        (COPIES_IN_ALL_SPLITS, "leak", [0, 2]),
        (CONFLICT, "conflict", [0, 1, 3]),
        (CONFLICT, "leak", []),
        (NEAR_CONFLICT, "near_conflict", [0, 1]),
    ],
)
def test_the_rows_of_a_finding_are_those_that_a_rejection_leaves_out(case: Case, kind: str, rows: list[int]) -> None:
    assert [copies.rows.tolist() for copies in find(case)[0] if copies.kind == kind] == [rows]
