"""Images that succeed and fail together say less than as many images of their own."""

import numpy as np
import pytest

from pipeline.evaluation.clusters import cluster_interval
from pipeline.evaluation.paired import tango_interval


def differences(gained: int, lost: int, images: int) -> np.ndarray:
    """int (images,), in an order that has nothing to do with the groups."""
    values = np.zeros(images, np.int64)
    values[:gained], values[gained : gained + lost] = 1, -1
    return np.random.default_rng(0).permutation(values)


def test_three_copies_of_each_image_say_as_much_as_the_images_alone() -> None:
    alone = differences(320, 280, 10_000)

    low, high = cluster_interval(np.repeat(alone, 3), np.repeat(np.arange(10_000), 3))

    expected = [float(end) for end in tango_interval(320, 280, 10_000)]
    assert [low, high] == pytest.approx(expected, abs=2e-4)
    narrow = [float(end) for end in tango_interval(960, 840, 30_000)]
    assert low < narrow[0]
    assert high > narrow[1]


def test_without_any_difference_the_groups_are_the_images() -> None:
    low, high = cluster_interval(np.zeros(600, np.int64), np.repeat(np.arange(200), 3))

    assert (round(low, 4), round(high, 4)) == (-0.0188, 0.0188)


def test_one_group_says_nothing() -> None:
    assert cluster_interval(differences(9, 0, 10), np.zeros(10, np.int64)) == (-1.0, 1.0)


def test_the_interval_is_the_same_every_time() -> None:
    groups = np.arange(300) // 2

    assert cluster_interval(differences(20, 30, 300), groups) == cluster_interval(differences(20, 30, 300), groups)


@pytest.mark.parametrize(("groups", "size"), [(12, 8), (60, 5)])
def test_the_interval_holds_the_true_difference_in_at_least_95_percent_of_samples(groups: int, size: int) -> None:
    rng = np.random.default_rng(3)
    number = np.repeat(np.arange(groups), size)

    def is_held() -> bool:
        low, high = cluster_interval(np.repeat(rng.choice([1, -1, 0], groups, p=[0.25, 0.15, 0.6]), size), number)
        return low < 0.1 < high

    assert np.mean([is_held() for _ in range(200)]) > 0.92
