"""Maps as pictures: the colours say what speaks for a class and what against it, as strongly as it does."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.explanation.overlay import AGAINST, DIMMED, FOR, MOST_COVERED, enlarged, overlay, picture, scaled, strongest


def opened(encoded: bytes) -> Image.Image:
    return Image.open(io.BytesIO(encoded))


def test_a_small_image_is_its_own_pixels_and_the_map_lies_over_an_enlarged_one() -> None:
    image = np.zeros((28, 20, 1), np.uint8)
    image[0, 0] = 200

    assert (np.asarray(opened(picture(image))) == image[..., 0]).all()
    assert enlarged(image).size == (120, 168)  # six times
    assert opened(overlay(image, np.ones((7, 5)))).size == (120, 168)


def test_a_large_image_is_reduced_and_keeps_its_shape_and_colour() -> None:
    image = np.zeros((500, 1000, 3), np.uint8)
    image[..., 1] = 90
    reduced = opened(picture(image))

    assert (reduced.format, reduced.size) == ("JPEG", (160, 80))
    np.testing.assert_allclose(np.asarray(reduced)[40, 80], (0, 90, 0), atol=2)


def test_the_strongest_place_is_covered_most_and_an_empty_one_not_at_all() -> None:
    image = np.full((160, 160, 3), 100, np.uint8)
    places = np.zeros((8, 8))
    places[1, 1], places[6, 6] = 2.0, -1.0

    covered = np.asarray(opened(overlay(image, places)), np.float64)

    grey = DIMMED * 100
    np.testing.assert_allclose(covered[30, 30], (1 - MOST_COVERED) * grey + MOST_COVERED * np.array(FOR), atol=15)
    np.testing.assert_allclose(covered[130, 130], (1 - MOST_COVERED / 2) * grey + MOST_COVERED / 2 * np.array(AGAINST), atol=15)
    np.testing.assert_allclose(covered[80, 80], grey, atol=3)


def test_a_map_of_nothing_colours_nothing() -> None:
    assert not scaled(np.zeros((4, 4)), 8, 8).any()
    assert not scaled(np.full((4, 4), np.nan), 8, 8).any()
    assert opened(overlay(np.full((8, 8, 1), 50, np.uint8), np.zeros((2, 2)))).size == (160, 160)


@pytest.mark.parametrize(("at", "words"), [((0, 0), "top left"), ((4, 4), "centre"), ((8, 4), "bottom"), ((4, 8), "right")])
def test_where_a_map_is_strongest_in_words(at: tuple[int, int], words: str) -> None:
    places = np.zeros((9, 9))
    places[at] = 1

    assert strongest(places) == words


def test_a_map_of_a_single_place_and_one_that_speaks_only_against() -> None:
    assert strongest(np.ones((1, 1))) == "centre"
    assert strongest(-np.ones((3, 3))) == "nowhere"
