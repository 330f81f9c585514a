"""Two models on the same images: what changed, and the verdict."""

import numpy as np
import pytest

from pipeline.evaluation.comparison import ClassDrop, Comparison, Pair, class_drops, compare, untested


def answers(
    right_only_new: int, right_only_old: int, right_both: int, wrong_otherwise: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, new and old predictions, all images of cats."""
    new = ["cat"] * right_only_new + ["dog"] * right_only_old + ["cat"] * right_both + ["dog"] * wrong_otherwise
    old = ["dog"] * right_only_new + ["cat"] * right_only_old + ["cat"] * right_both + ["fox"] * wrong_otherwise
    return np.full(len(new), "cat"), np.array(new), np.array(old)


def between(right_only_new: int, right_only_old: int, images: int) -> Comparison:
    labels, new, old = answers(right_only_new, right_only_old, images - right_only_new - right_only_old)
    return compare(pair(labels, new, old, np.arange(images)))


def pair(labels: np.ndarray, new: np.ndarray, old: np.ndarray, groups: np.ndarray, against: str = "champion") -> Pair:
    return Pair(against, labels, new, old, groups, ["cat", "dog", "fox"])


def test_images_are_counted_by_what_changed() -> None:
    labels, new, old = answers(1, 7, 11, 2)

    found = compare(pair(labels, new, old, np.arange(21)))

    assert (found.images, found.gained, found.lost, found.changed, found.groups) == (21, 1, 7, 2, 21)
    assert (round(found.low, 4), round(found.high, 4), round(found.p_value, 4)) == (-0.5172, -0.0260, 0.0391)
    assert (found.difference, found.discordance, found.test) == (-6 / 21, 8 / 21, "Tango score interval")


@pytest.mark.parametrize(
    ("gained", "lost", "images", "margin", "verdict"),
    [
        (400, 280, 10_000, 0.01, "better"),
        (320, 280, 10_000, 0.01, "not worse"),  # [-0.08, +0.88]
        (320, 280, 10_000, 0.0007, "can't tell"),
        (320, 280, 10_000, 0.0, "can't tell"),
        (280, 400, 10_000, 0.01, "worse"),  # [-1.71, -0.69]
        (280, 400, 10_000, 0.02, "not worse"),
        (0, 0, 200, 0.0188454, "not worse"),
        (0, 0, 200, 0.01, "can't tell"),
        (1, 0, 10, 0.01, "can't tell"),
    ],
)
def test_the_verdict(gained: int, lost: int, images: int, margin: float, verdict: str) -> None:
    assert between(gained, lost, images).verdict(margin) == verdict


def test_the_number_of_images_that_would_tell() -> None:
    equal, lower, higher = between(30, 30, 1000), between(28, 32, 1000), between(35, 25, 1000)

    assert equal.images_that_would_tell(0.01, better=False) == 4710  # 7.849 * 0.06 / 0.01^2
    assert lower.images_that_would_tell(0.01, better=False) == 4710
    assert between(280, 320, 10_000).images_that_would_tell(0.01, better=False) == 13_082  # 7.849 * 0.06 / (0.01 - 0.004)^2 = 13081.5
    assert between(200, 400, 10_000).images_that_would_tell(0.01, better=False) is None  # 2 points down
    assert higher.images_that_would_tell(0.01, better=True) == 4710  # a lead of one point
    assert lower.images_that_would_tell(0.01, better=True) is None


def test_copies_count_as_one_image() -> None:
    labels, new, old = (np.repeat(values, 4) for values in answers(30, 20, 950))

    found = compare(pair(labels, new, old, np.repeat(np.arange(1000), 4)))

    alone = between(30, 20, 1000)
    assert (found.images, found.groups, found.test) == (4000, 1000, "cluster bootstrap over groups of images")
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=1e-3)
    assert found.effective_images == pytest.approx(1000, rel=0.1)
    assert found.images_that_would_tell(0.01, better=False) == pytest.approx(4 * 3925, rel=0.1)  # 7.849 * 0.05 / 0.01^2


def test_classes_that_dropped_are_named_with_their_shares() -> None:
    labels = np.repeat(["cat", "dog"], 100)
    old, new = labels.copy(), labels.copy()
    new[:30] = "dog"

    found = pair(labels, new, old, np.arange(200))
    assert class_drops([found], 0.05) == [ClassDrop("cat", 1.0, 0.7, "champion")]
    assert class_drops([found], 0.4) == []
    assert untested(found) == ["fox"]


def test_a_class_that_dropped_against_the_anchor_alone_is_found() -> None:
    labels = np.repeat(["cat", "dog"], 100)
    new = labels.copy()
    new[:30] = "dog"

    drops = class_drops([pair(labels, new, new, np.arange(200)), pair(labels, new, labels, np.arange(200), "anchor")], 0.05)

    assert drops == [ClassDrop("cat", 1.0, 0.7, "anchor")]
    assert class_drops([], 0.05) == []


def test_a_drop_within_one_group_of_copies_is_no_evidence() -> None:
    labels = np.repeat(["cat", "dog"], 100)
    old, new = labels.copy(), labels.copy()
    new[:30] = "dog"
    groups = np.repeat(np.arange(7), 30)[:200]

    assert class_drops([pair(labels, new, old, groups)], 0.05) == []
