"""Where a model is worse is named, corrected for how many slices were looked at, and not where its classes explain it."""

import numpy as np
import pytest

from pipeline.properties.slices import find_slices
from pipeline.reports.page import _template

IMAGES = 400
LABELS = np.arange(IMAGES) % 2
GROUPS = np.arange(IMAGES)
BRIGHTNESS = np.arange(IMAGES) // 2 * 1.0


def test_a_slice_that_is_worse_comes_first_with_its_interval_and_what_its_classes_explain() -> None:
    correct = np.ones(IMAGES, bool)
    correct[:60] = False  # of the 100 darkest; 30 of each class

    found = find_slices(correct, LABELS, GROUPS, {"brightness": BRIGHTNESS})

    worst = found.every[0]
    assert (worst.column, worst.value, worst.images, worst.accuracy) == ("brightness", "0 to 49", 100, 0.4)
    assert worst.expected == pytest.approx(0.85)  # 340 of 400, and of each class
    # Wilson's interval of 40 of 100 with z = 2.4977, of a level of .05 / 4, two-sided: (.4 + z²/200 ∓ z √(.0024 + z²/40000)) / (1 + z²/100)
    assert (worst.low, worst.high) == pytest.approx((0.2870, 0.5247), abs=1e-4)
    assert found.worse == [worst]


def test_a_slice_of_a_hard_class_is_not_worse_than_its_classes() -> None:
    correct = LABELS == 0
    folder = np.where(LABELS == 0, "easy", "hard").astype(object)

    found = find_slices(correct, LABELS, GROUPS, {"folder": folder})

    assert [(each.value, each.accuracy, each.expected) for each in found.every] == [("easy", 1, 1), ("hard", 0, 0)]
    assert found.worse == []


def test_copies_are_no_further_evidence() -> None:
    correct = np.ones(IMAGES, bool)
    correct[:60] = False

    alone = find_slices(correct, LABELS, GROUPS, {"brightness": BRIGHTNESS})
    in_tens = find_slices(correct, LABELS, GROUPS // 10, {"brightness": BRIGHTNESS})

    assert in_tens.every[0].high - in_tens.every[0].low > 2 * (alone.every[0].high - alone.every[0].low)


def test_small_slices_and_columns_of_one_value_are_not_looked_at() -> None:
    size = np.full(IMAGES, 28)
    folder = np.where(np.arange(IMAGES) < 19, "few", "many").astype(object)

    found = find_slices(np.ones(IMAGES, bool), LABELS, GROUPS, {"size": size, "folder": folder})

    assert [(each.column, each.value) for each in found.every] == [("folder", "many")]


def test_by_chance_a_slice_is_named_in_at_most_one_of_twenty_data_sets() -> None:
    rng = np.random.default_rng(0)
    named = [
        bool(find_slices(rng.random(IMAGES) < 0.9, LABELS, GROUPS, {str(k): rng.random(IMAGES) for k in range(5)}).worse)
        for _ in range(100)
    ]

    assert sum(named) <= 10


@pytest.mark.parametrize(("dark", "words"), [(60, "brightness"), (0, "None of the 4 slices")])
def test_the_section_names_the_worst_slice_or_says_that_there_is_none(dark: int, words: str) -> None:
    correct = np.arange(IMAGES) >= dark
    slices = find_slices(correct, LABELS, GROUPS, {"brightness": BRIGHTNESS})

    page = str(_template("slices.html.j2", ()).module.slices_section(slices))  # type: ignore[attr-defined]

    assert words in page
    assert ("instead of" in page) == bool(dark)
