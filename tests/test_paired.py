"""The interval and the p-value of a paired difference, against published values and values worked out by hand."""

import numpy as np
import pytest

from pipeline.evaluation.paired import mid_p, score_statistic, tango_interval


@pytest.mark.parametrize(
    ("gained", "lost", "images", "low", "high"),
    [
        (1, 7, 21, -0.5172, -0.0260),  # Tango (1998)
        (0, 0, 200, -0.0188, 0.0188),  # z^2 / (n + z^2) = 3.8415 / 203.8415
        (320, 280, 10_000, -0.0008, 0.0088),
    ],
)
def test_the_interval_of_reference(gained: int, lost: int, images: int, low: float, high: float) -> None:
    found = tango_interval(gained, lost, images)

    assert [round(float(end), 4) for end in found] == [low, high]


def test_the_interval_of_swapped_models_is_mirrored() -> None:
    (low, high), (mirrored_low, mirrored_high) = tango_interval(3, 9, 50), tango_interval(9, 3, 50)

    assert (low, high) == pytest.approx((-mirrored_high, -mirrored_low))


def test_intervals_of_many_counts_at_once_are_those_of_each() -> None:
    low, high = tango_interval(np.array([1, 0]), np.array([7, 0]), np.array([21, 200]))

    assert low == pytest.approx([-0.5172, -0.0188], abs=1e-4)
    assert high == pytest.approx([-0.0260, 0.0188], abs=1e-4)


def test_the_statistic_at_no_difference_is_that_of_mcnemar() -> None:
    assert score_statistic(7, 1, 21, 0) == pytest.approx(6 / 8**0.5)  # (b - c) / sqrt(b + c)


def test_the_interval_holds_the_true_difference_in_95_percent_of_samples() -> None:
    drawn = np.random.default_rng(1).multinomial(500, [0.05, 0.03, 0.92], 4000)

    low, high = tango_interval(drawn[:, 0], drawn[:, 1], 500)

    assert 0.94 < ((low < 0.02) & (high > 0.02)).mean() < 0.96


@pytest.mark.parametrize(
    ("gained", "lost", "p_value"),
    [
        (1, 7, 10 / 256),  # 2 * (1 + 8) / 256 - 8 / 256 = 0.0391
        (7, 1, 10 / 256),
        (0, 0, 1.0),
        (3, 3, 1.0),
        (0, 1, 0.5),  # 2 * 1 / 2 - 1 / 2
    ],
)
def test_the_mid_p_value(gained: int, lost: int, p_value: float) -> None:
    assert float(mid_p(gained, lost)) == pytest.approx(p_value)
