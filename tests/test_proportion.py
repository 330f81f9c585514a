"""An accuracy is less certain where images belong together."""

import numpy as np
import pytest

from pipeline.evaluation.proportion import accuracy_interval, wilson_interval


def test_wilson_interval() -> None:
    # z = 1.96, n = 10, p = 0.8, z² = 3.8416: centre (0.8 + z²/20) / (1 + z²/10) = 0.99208 / 1.38416 = 0.71674;
    # half width z·sqrt(0.8·0.2/10 + z²/400) / 1.38416 = 1.96·sqrt(0.025604) / 1.38416 = 0.22658
    assert wilson_interval(8, 10) == pytest.approx((0.49016, 0.94332), abs=2e-5)
    assert wilson_interval(10, 10)[1] == 1.0  # a perfect score keeps an interval: 10/(10 + z²) = 0.72246 to 1
    assert wilson_interval(10, 10)[0] == pytest.approx(0.72246, abs=2e-5)


def test_images_on_their_own_have_wilsons_interval() -> None:
    correct = np.arange(10) < 8

    assert accuracy_interval(correct, np.arange(10)) == wilson_interval(8, 10)


def test_copies_say_as_much_as_their_originals() -> None:
    correct = np.random.default_rng(0).permutation(np.arange(2_000) < 1_600)

    low, high = accuracy_interval(np.repeat(correct, 5), np.repeat(np.arange(2_000), 5))

    assert (low, high) == pytest.approx(wilson_interval(1_600, 2_000), abs=2e-3)
    assert low < wilson_interval(8_000, 10_000)[0]


def test_groups_that_are_all_right_are_counted_one_by_one() -> None:
    groups = np.repeat(np.arange(10), 9)

    assert accuracy_interval(np.ones(90, bool), groups) == wilson_interval(10, 10)
    assert accuracy_interval(np.zeros(90, bool), groups) == wilson_interval(0, 10)


def test_groups_of_mixed_images_are_never_surer_than_their_images() -> None:
    correct = np.arange(90) % 9 != 0  # every group has eight of nine right: resampling groups alone would find no spread

    assert accuracy_interval(correct, np.repeat(np.arange(10), 9)) == wilson_interval(80, 90)


def test_one_group_says_nothing() -> None:
    assert accuracy_interval(np.arange(9) < 5, np.zeros(9, np.int64)) == (0.0, 1.0)
