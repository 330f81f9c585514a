"""A class may not get worse by more than a limit; with many classes, some look worse by chance alone."""

import numpy as np
import pytest

from pipeline.evaluation.class_drops import drop_p_values, dropped, holm


def test_holms_correction_by_hand() -> None:
    # sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04, then never less than before
    assert holm(np.array([0.03, 0.01, 0.04, 0.02])) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm(np.array([0.9, 0.8])) == pytest.approx([1.0, 1.0])


def test_without_a_limit_the_p_value_is_that_of_tossed_coins() -> None:
    assert drop_p_values(np.array([1]), np.array([7]), np.array([20]), 0.0) == pytest.approx([9 / 256])  # (1 + 8) / 2^8


def test_a_drop_is_found_only_beyond_the_limit() -> None:
    gained, lost, images = np.array([0, 5]), np.array([30, 5]), np.array([100, 100])

    assert dropped(gained, lost, images, 0.05).tolist() == [True, False]
    assert dropped(gained, lost, images, 0.30).tolist() == [False, False]


@pytest.mark.parametrize("images", [20, 50, 100, 1000])
@pytest.mark.parametrize("limit", [0.0, 0.02, 0.05])
def test_equal_models_of_100_classes_are_rejected_in_at_most_5_percent_of_500_simulations(images: int, limit: float) -> None:
    drawn = np.random.default_rng(1).multinomial(images, [0.1, 0.1, 0.8], size=(500, 100))

    rejected = dropped(drawn[..., 0], drawn[..., 1], np.full((500, 100), images), limit).any(axis=1)

    assert rejected.mean() <= 0.05


def test_a_class_that_dropped_by_20_points_is_found_among_100() -> None:
    drawn = np.random.default_rng(1).multinomial(200, [0.1, 0.1, 0.8], size=(100, 100))
    drawn[:, 7] = np.random.default_rng(2).multinomial(200, [0.02, 0.22, 0.76], size=100)

    found = dropped(drawn[..., 0], drawn[..., 1], np.full((100, 100), 200), 0.05)

    assert found[:, 7].mean() > 0.9
