"""The intervals of the metrics on the page."""

import numpy as np
import pytest

from pipeline.evaluation.intervals import macro_f1_and_log_loss, wilson_intervals
from pipeline.evaluation.proportion import wilson_interval


def test_many_intervals_at_once_are_those_one_by_one() -> None:
    hits, counts = np.array([8, 10, 0, 333, 0]), np.array([10, 10, 7, 1000, 0])

    found = wilson_intervals(hits, counts)

    assert found[:4] == pytest.approx(
        np.array([wilson_interval(int(hit), int(count)) for hit, count in zip(hits[:4], counts[:4], strict=True)])
    )
    assert found[4].tolist() == [0, 1]  # nothing to count


def answers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of two classes and probabilities: three of four are right, with probability 0.8."""
    labels = np.arange(count) % 2
    predicted = np.where(np.arange(count) % 4 == 0, 1 - labels, labels)
    return labels, np.where(predicted[:, None] == np.arange(2), 0.8, 0.2)


def test_the_bootstrap_of_the_log_loss_is_as_wide_as_its_standard_error() -> None:
    # losses: -ln 0.8 = 0.22314 for three of four, -ln 0.2 = 1.60944 for one: mean 0.56972, deviation 1.38629·sqrt(0.1875) = 0.60028;
    # of 400 images the standard error is 0.03001, so the interval is 0.56972 ± 1.96·0.03001 = ± 0.0588
    labels, probabilities = answers(400)

    _, (low, high) = macro_f1_and_log_loss(labels, probabilities, np.arange(400))

    assert (low, high) == pytest.approx((0.5109, 0.6285), abs=0.01)


def test_copies_say_as_much_as_their_originals_and_groups_that_are_alike_as_much_as_their_images() -> None:
    labels, probabilities = answers(400)
    alone = macro_f1_and_log_loss(labels, probabilities, np.arange(400))

    copies = macro_f1_and_log_loss(np.repeat(labels, 4), np.repeat(probabilities, 4, axis=0), np.repeat(np.arange(400), 4))
    alike = macro_f1_and_log_loss(labels, probabilities, np.arange(400) // 4)  # one of four wrong in each: no spread between groups

    assert copies[0] == pytest.approx(alone[0], abs=0.01)
    assert copies[1] == pytest.approx(alone[1], abs=0.01)
    assert alike == alone
    assert alone[0][0] < 0.75 < alone[0][1]


def test_a_perfect_score_keeps_an_interval() -> None:
    labels = np.arange(10) % 2

    (low, high), _ = macro_f1_and_log_loss(labels, np.eye(2)[labels], np.arange(10))

    assert (low, high) == wilson_interval(10, 10)


def test_one_group_has_no_interval() -> None:
    labels, probabilities = answers(8)

    assert macro_f1_and_log_loss(labels, probabilities, np.zeros(8, np.int64)) == ((0.0, 1.0), (0.0, float("inf")))
