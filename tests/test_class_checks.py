"""Classes that are too small, out of balance, missing from a split, or given away by size or colour are named."""

import numpy as np

from pipeline.quality.class_checks import ClassProblem, check_counts, find_shortcuts

NAMES = ["cat", "dog"]


def counts(train: tuple[int, int], validation: tuple[int, int] = (0, 0), test: tuple[int, int] = (9, 9)) -> dict[str, dict[str, int]]:
    splits = {"train": train, "validation": validation, "test": test}
    return {split: dict(zip(NAMES, numbers, strict=True)) for split, numbers in splits.items()}


def shortcuts(labels: list[int], marks: list[str], areas: list[int] | None = None) -> list[str]:
    found = find_shortcuts(np.array(labels), {"colour mode": np.array(marks)}, np.array(areas or [100] * len(labels)), NAMES)
    return [problem.note for problem in found]


def test_balanced_classes_have_no_problem() -> None:
    assert check_counts(counts((50, 60)), NAMES) == []


def test_a_class_with_fewer_images_than_there_can_be_folds_is_small() -> None:
    assert check_counts(counts((15, 60), (4, 5)), NAMES) == [ClassProblem("small_class", ("cat",), "19 training images")]


def test_a_class_of_more_than_ten_times_another_is_out_of_balance() -> None:
    assert check_counts(counts((20, 200)), NAMES) == []
    assert check_counts(counts((20, 201)), NAMES) == [
        ClassProblem("imbalance", ("dog", "cat"), "201 training images against 20"),
    ]


def test_a_class_that_is_missing_from_a_split_is_named_but_not_where_the_split_is_empty() -> None:
    assert check_counts(counts((50, 60), test=(9, 0)), NAMES) == [ClassProblem("missing_in_split", ("dog",), "no images in test")]


def test_a_class_that_alone_is_in_colour_is_a_shortcut() -> None:
    assert shortcuts([0] * 20 + [1] * 20, ["RGB"] * 20 + ["L"] * 20) == [
        "colour mode RGB: 100% of cat, 0% of all others",
        "colour mode L: 100% of dog, 0% of all others",
    ]


def test_one_image_in_twenty_of_the_other_kind_does_not_hide_it() -> None:
    assert len(shortcuts([0] * 20 + [1] * 20, ["RGB"] * 19 + ["L"] + ["L"] * 20)) == 2


def test_a_mark_that_both_classes_have_is_none() -> None:
    assert shortcuts([0] * 20 + [1] * 20, (["RGB"] * 16 + ["L"] * 4) * 2) == []


def test_a_class_whose_images_are_larger_is_a_shortcut() -> None:
    rng = np.random.default_rng(0)
    areas = [*rng.integers(500, 900, 30).tolist(), *rng.integers(100, 400, 30).tolist()]

    found = shortcuts([0] * 30 + [1] * 30, ["RGB"] * 60, areas)

    assert len(found) == 2
    assert found[0].startswith("size of ")
    assert found[0].endswith("or more: 100% of cat, 0% of all others")
    assert "or less: 100% of dog" in found[1]


def test_sizes_that_overlap_are_none() -> None:
    areas = np.random.default_rng(0).integers(100, 900, 60).tolist()

    assert shortcuts([0] * 30 + [1] * 30, ["RGB"] * 60, areas) == []


def test_a_handful_of_images_says_nothing() -> None:
    assert shortcuts([0] * 4 + [1] * 4, ["RGB"] * 4 + ["L"] * 4) == []
