"""Drift is seen where there is some, by the size of an effect, and not where there is none."""

import numpy as np
import pytest

from pipeline.drift.answers import class_mix, output_shift
from pipeline.drift.expected_accuracy import expected_accuracy
from pipeline.drift.nearest import find_new_kind
from pipeline.drift.properties import property_shifts
from pipeline.drift.ranking import area, share_unlike
from pipeline.drift.separation import separate
from pipeline.drift.verdict import Drift, Side, find_drift
from pipeline.drift.words import accuracy, lines, verdict

CLASSES = ("cat", "dog")


def side(count: int, rng: np.random.Generator, shift: float = 0.0, dogs: float = 0.5) -> Side:
    """Images of two classes; their features tell which, and their probabilities are right in nine of ten cases."""
    labels = (rng.random(count) < dogs).astype(np.int64)
    features = rng.normal(shift, 1, (count, 8)) + 2 * labels[:, None]
    said = np.where(rng.random(count) < 0.9, labels, 1 - labels)
    probabilities = np.where(np.arange(2) == said[:, None], 0.9, 0.1)
    return Side(features, rng.normal(100 + 30 * shift, 30, (count, 2)), np.arange(count), probabilities, labels)


def drift(seed: int, **changes: float) -> Drift:
    rng = np.random.default_rng(seed)
    return find_drift(side(300, rng, **changes), side(600, rng))


def test_the_area_counts_pairs_and_its_interval_is_that_of_delong() -> None:
    """Of the pairs (3, 0), (3, 2), (1, 0), (1, 2) the new image is higher in three. Variance: (.125 + .125) / 2, by hand."""
    found = area(np.array([3.0, 1.0]), np.array([0.0, 2.0]), np.arange(2), np.arange(2))

    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - 1.959964 * 0.125**0.5)
    assert found.high == 1


def test_copies_of_an_image_are_no_further_evidence() -> None:
    new, reference = np.array([3.0, 1.0]), np.array([0.0, 2.0])
    once = area(new, reference, np.arange(2), np.arange(2))

    twice = area(np.repeat(new, 2), np.repeat(reference, 2), np.repeat(np.arange(2), 2), np.repeat(np.arange(2), 2))

    assert (twice.value, twice.low) == pytest.approx((once.value, once.low))


def test_scores_that_separate_all_images_are_as_sure_as_there_are_images() -> None:
    found = area(np.array([5.0, 6.0, 7.0, 8.0]), np.zeros(4), np.arange(4), np.arange(4))

    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(4 / (4 + 1.959964**2))  # Wilson's interval of 4 in 4


def test_a_tenth_of_a_new_kind_is_seen_although_the_area_hardly_moves() -> None:
    reference = np.arange(1000.0)
    new = np.concatenate([np.arange(0.0, 1000.0, 1000 / 450), np.full(50, 2000.0)])
    found = share_unlike(new, reference)

    assert area(new, reference, np.arange(500), np.arange(1000)).low < 0.55
    assert found.value == pytest.approx((50 + 22) / 500 - 49 / 1000, abs=0.003)
    assert found.low > 0.06


def test_the_mix_of_classes_is_compared_by_its_distance_less_what_chance_adds() -> None:
    same = class_mix(np.array([250, 250]), np.array([500, 500]), 500, 1000)
    other = class_mix(np.array([300, 200]), np.array([500, 500]), 500, 1000)

    assert (same.distance.value, same.distance.low) == (0, 0)
    assert other.distance.value == pytest.approx(0.1)
    # the difference of two shares of one class has a deviation of sqrt(.24 / 500 + .25 / 1000) = .0270; 97.5 % are within 2.24 of them
    assert other.distance.low == pytest.approx(0.1 - 2.24 * 0.0270, abs=0.004)


def test_outputs_of_another_distribution_are_named_by_class() -> None:
    rng = np.random.default_rng(0)
    same, other = rng.random((400, 2)), rng.random((400, 2))
    other[:, 1] **= 2  # P(u^2 <= t) - t is largest at t = 1/4, where it is 1/4
    found = output_shift(other, same)

    assert found.shifted.tolist() == [False, True]
    assert found.largest == pytest.approx(0.25, abs=0.06)


def test_the_expected_accuracy_is_the_mean_confidence_less_what_held_out_answers_are_too_sure() -> None:
    """Held out: .9 confident, 8 of 10 right, so .1 too sure. Variance: .21 / 100 of the answers, (.16 * 10 / 9) / 10 of the gap."""
    correct = np.arange(10) < 8
    found = expected_accuracy(np.full(100, 0.7), np.full(10, 0.9), correct)

    reach = 1.959964 * (0.21 / 100 + 0.16 / 9) ** 0.5
    assert (found.value, found.low, found.high) == pytest.approx((0.6, 0.6 - reach, 0.6 + reach))


def test_properties_are_named_in_the_order_in_which_they_differ() -> None:
    new = np.array([[1.0, 10.0], [2.0, 20.0]])
    reference = np.array([[1.0, 1.0], [2.0, 2.0]])

    found = property_shifts(("sharpness", "brightness"), new, reference)

    assert [(each.name, each.new, each.reference, each.area) for each in found] == [
        ("brightness", 15, 1.5, 1),
        ("sharpness", 1.5, 1.5, 0.5),
    ]


def test_no_image_is_scored_by_a_classifier_that_knows_it_or_a_copy() -> None:
    """Noise in more dimensions than images: a classifier tells those that it knows perfectly, and nothing of others."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(120, 400))
    groups = np.arange(60) // 3
    copies = np.repeat(rows[:20], 3, axis=0)

    found = separate(copies, rows[60:], groups, np.arange(60))

    assert found.area.low < 0.55


@pytest.mark.parametrize(
    ("changes", "alarms"),
    [({}, set()), ({"shift": 1.0}, {"content", "looks"}), ({"dogs": 0.75}, {"mix"})],
    ids=["the same", "other looks", "other classes"],
)
def test_drift_is_an_alarm_by_its_effect(changes: dict[str, float], alarms: set[str]) -> None:
    found = [drift(seed, **changes) for seed in range(3)]

    assert all(alarms <= set(each.alarms) and bool(each.alarms) == bool(alarms) for each in found)
    assert verdict(found[0]).startswith("Drift" if alarms else "No drift found")
    told = {line.question for line in lines(found[0], (), CLASSES) if line.is_alarm}
    assert len(told) == len(found[0].alarms)


def test_the_truth_stands_beside_the_expected_accuracy() -> None:
    found = drift(0)

    assert found.true is not None
    assert found.expected.low < 0.9 < found.expected.high
    assert accuracy(found).startswith(f"{found.true:.3f} by the labels; ")


def test_a_few_images_of_a_new_kind_are_found_by_their_neighbours() -> None:
    """A tenth lies together where the reference has none, but no further from its middle than others."""
    rng = np.random.default_rng(5)
    new, reference = rng.normal(size=(300, 12)), rng.normal(size=(900, 12))
    same = find_new_kind(new, reference, np.arange(300), np.arange(900))
    new[:30] = np.full(12, 1.0) * np.tile([1, -1], 6) + rng.normal(0, 0.1, (30, 12))

    found = find_new_kind(new, reference, np.arange(300), np.arange(900))

    assert same.unlike.low < 0 < found.unlike.low
    assert set(np.argsort(-found.scores)[:20].tolist()) <= set(range(30))


def test_rounding_does_not_tell_images_apart() -> None:
    """The size of all images is the same, but was computed in another precision."""
    rng = np.random.default_rng(4)
    sides = [side(100, rng), side(300, rng)]
    sides[0].properties[:, 1], sides[1].properties[:, 1] = 5.545177, 5.54517744

    assert find_drift(*sides).looks.area.low < 0.55


def test_images_that_look_newest_come_first() -> None:
    rng = np.random.default_rng(1)
    new, reference = side(100, rng), side(300, rng)
    new.features[:20] += 8
    new.properties[:20] += 300

    found = find_drift(new, reference)

    assert set(found.newest[:12].tolist()) <= set(range(20))


@pytest.mark.slow
def test_200_splits_of_equal_images_raise_at_most_10_alarms() -> None:
    assert sum(bool(drift(seed).alarms) for seed in range(200)) <= 10
