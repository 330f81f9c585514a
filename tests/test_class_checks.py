"""Classes that are too small, imbalanced, missing from a split, given away by size or colour, or oddly named are found."""

import numpy as np
import pytest

from pipeline.quality.class_checks import ClassProblem, check_counts, find_shortcuts
from pipeline.quality.class_names import are_codes, placeholder_names, plural_names
from pipeline.quality.copies import Copies
from pipeline.quality.findings import findings_csv, list_findings

NAMES = ["cat", "dog"]


@pytest.mark.parametrize(
    ("train", "validation", "test", "expected"),
    [
        ((50, 60), (0, 0), (9, 9), []),
        ((15, 60), (4, 5), (9, 9), [ClassProblem("small_class", ("cat",), "19 training images")]),  # fewer than there can be folds
        ((20, 200), (0, 0), (9, 9), []),  # ten times
        ((20, 201), (0, 0), (9, 9), [ClassProblem("imbalance", ("dog", "cat"), "201 training images against 20")]),
        ((50, 60), (0, 0), (9, 0), [ClassProblem("missing_in_split", ("dog",), "no images in test")]),  # and validation has none at all
    ],
)
def test_small_imbalanced_and_missing_classes_are_named(
    train: tuple[int, int], validation: tuple[int, int], test: tuple[int, int], expected: list[ClassProblem]
) -> None:
    splits = {"train": train, "validation": validation, "test": test}

    assert check_counts({split: dict(zip(NAMES, counts, strict=True)) for split, counts in splits.items()}, NAMES) == expected


def shortcuts(marks: list[str], areas: list[int] | None = None) -> list[str]:
    """The notes on as many images of cats as of dogs, in this order."""
    labels = np.repeat([0, 1], len(marks) // 2)
    found = find_shortcuts(labels, {"colour mode": np.array(marks)}, np.array(areas or [100] * len(marks)), NAMES)
    return [problem.note for problem in found]


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        (
            ["RGB"] * 20 + ["L"] * 20,
            ["colour mode RGB: 100% of cat, 0% of all others", "colour mode L: 100% of dog, 0% of all others"],
        ),
        (
            ["RGB"] * 19 + ["L"] + ["L"] * 20,
            ["colour mode RGB: 95% of cat, 0% of all others", "colour mode L: 100% of dog, 5% of all others"],
        ),
        ((["RGB"] * 16 + ["L"] * 4) * 2, []),  # both classes have it
        (["RGB"] * 4 + ["L"] * 4, []),  # a handful says nothing
    ],
)
def test_a_class_that_the_colour_mode_gives_away_is_a_shortcut(marks: list[str], expected: list[str]) -> None:
    assert shortcuts(marks) == expected


def test_a_class_whose_images_are_larger_is_a_shortcut() -> None:
    rng = np.random.default_rng(0)
    apart = [*rng.integers(500, 900, 30).tolist(), *rng.integers(100, 400, 30).tolist()]

    found = shortcuts(["RGB"] * 60, apart)

    limits = min(apart[:30]), max(apart[30:])
    assert found[0] == f"size of {limits[0]:,} pixels or more: 100% of cat, 0% of all others"
    assert found[1].startswith("size of ")
    assert found[1].endswith("pixels or less: 100% of dog, 0% of all others")
    assert shortcuts(["RGB"] * 60, rng.integers(100, 900, 60).tolist()) == []


def test_a_finding_about_two_classes_has_each_in_a_column_of_its_own() -> None:
    problem = ClassProblem("imbalance", ("cat, black", "dog"), "90 training images against 3")
    none = np.empty((0, 2), np.int64)
    policies = {"unusable": "reject", "class_problem": "fail"}

    (finding,) = list_findings([], Copies("wrong_type", none, none[:, 0], "keep"), [], [], [problem], {}, none[:, 0], policies)

    assert finding.about == '"cat, black", dog'
    assert findings_csv([finding]).decode().splitlines()[1] == 'imbalance,failed,,"cat, black",,,dog,,90 training images against 3'


def test_names_that_are_written_where_there_is_no_label_are_placeholders() -> None:
    names = ["cat", "unknown cat", "nano", "Unknown", " N/A ", "#N/A", "NaN", "?", "--", "None", "unlabeled", "", "x"]

    assert placeholder_names(names) == [" N/A ", "#N/A", "--", "?", "NaN", "None", "Unknown", "unlabeled"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["P0001", "P0002", "P0117"], True),
        (["A01", "A02", "H12"], True),
        (["hospital_1", "hospital_3"], True),
        (["100APPLE", "101APPLE", "102_PANA"], True),
        (["A01", "A02", "control"], False),
        (["n01440764", "n02102040"], False),  # ImageNet's classes
        (["0", "1", "10"], False),
        (["10000000", "20000000"], False),
        (["class_1", "class_2"], False),
        (["Grade 0", "Grade 1"], False),
        (["cat", "dog"], False),
        ([], False),
    ],
)
def test_class_names_are_codes_if_all_of_them_are_letters_with_a_number(names: list[str], expected: bool) -> None:
    assert are_codes(names) is expected


def test_a_plural_beside_its_singular_is_named() -> None:
    names = ["Cats", "cat", "box", "boxes", "berry", "berries", "glass", "ass", "as", "a", "s", "1", "1s"]

    assert plural_names(names) == [("berry", "berries"), ("box", "boxes"), ("cat", "Cats")]
