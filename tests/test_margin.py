"""What so many test images can show."""

import numpy as np
import pytest

from pipeline.evaluation.margin import auto_margin, images_needed, power
from pipeline.evaluation.paired import tango_interval


@pytest.mark.parametrize(("margin", "images"), [(0.01, 4710), (0.005, 18_838)])  # 7.849 * 0.06 / margin^2
def test_the_images_that_a_margin_needs(margin: float, images: int) -> None:
    assert images_needed(0.06, margin) == images
    assert power(0.06, images, margin) == pytest.approx(0.8, abs=1e-3)


def test_the_automatic_margin_is_the_smallest_one_that_an_equal_model_meets_with_80_percent() -> None:
    assert auto_margin(0.06, 10_000) == pytest.approx((7.849 * 0.06 / 10_000) ** 0.5, abs=1e-6)
    assert power(0.06, 10_000, auto_margin(0.06, 10_000)) == pytest.approx(0.8)


def test_the_automatic_margin_is_at_most_one_point() -> None:
    assert auto_margin(0.06, 500) == 0.01
    assert power(0.06, 500, 0.01) < 0.2


def test_models_that_never_differ_meet_their_margin_surely_but_no_smaller_one() -> None:
    margin = auto_margin(0, 10_000)  # z^2 / (n + z^2) = 3.8415 / 10003.8415

    assert margin == pytest.approx(0.000384, abs=1e-6)
    assert (power(0, 10_000, margin), power(0, 10_000, margin * 0.99)) == (1.0, 0.0)
    assert images_needed(0, 0.01) == 381  # 3.8415 * 0.99 / 0.01


def test_equal_models_pass_with_80_percent_chance_at_the_automatic_margin() -> None:
    drawn = np.random.default_rng(1).multinomial(10_000, [0.03, 0.03, 0.94], 4000)

    low, _ = tango_interval(drawn[:, 0], drawn[:, 1], 10_000)

    assert (low >= -auto_margin(0.06, 10_000)).mean() == pytest.approx(0.8, abs=0.03)
