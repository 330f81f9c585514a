"""Brightness, sharpness and the like: measured, what they give away of the class, and which images stand out."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pipeline.images.sharpness import of_pixels
from pipeline.properties.class_clues import find_clues
from pipeline.properties.unusual import ODD, find_unusual
from pipeline.quality.fingerprints import fingerprint, looks_of

RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (240, 320, 3), dtype=np.uint8))
CLASSES = ("cat", "dog", "owl")


def looks(image: Image.Image) -> tuple[float, ...]:
    return tuple(round(float(value), 1) for value in looks_of(fingerprint(image)[None])[0])


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).copy()


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((128, 128, 128), (128.0, 0.0, 0.0)), ((255, 255, 255), (255.0, 0.0, 0.0)), ((255, 0, 0), (76.0, 0.0, 58.1))],
    ids=["grey", "white", "red"],
)
def test_brightness_contrast_and_colourfulness(colour: tuple[int, int, int], expected: tuple[float, ...]) -> None:
    """Red has the luma 76; blue - grey = -76, red - grey = 179, halved to -38 and 89: .3 * sqrt(76^2 + 178^2) = 58.1."""
    assert looks(Image.new("RGB", (40, 30), colour)) == expected


def test_half_black_and_half_white_has_all_contrast() -> None:
    image = Image.new("L", (64, 64))
    image.paste(255, (32, 0, 64, 64))

    brightness, contrast, _ = looks(image)

    assert brightness == pytest.approx(127.5, abs=1)
    assert contrast == pytest.approx(127.5, rel=0.1)  # the cells in the middle are smoothed


def test_sharpness_is_the_mean_second_difference() -> None:
    """A ramp bends nowhere; of a checkerboard of 0 and 10 every neighbour differs by 10, and the difference turns by 20."""
    ramp = Image.fromarray(np.tile(np.arange(20, dtype=np.uint8), (20, 1)))
    board = Image.fromarray((10 * (np.indices((20, 20)).sum(axis=0) % 2)).astype(np.uint8))

    assert of_pixels(ramp)[0] == 0
    assert of_pixels(board)[0] == 20


def test_a_blurred_image_is_less_sharp_and_one_of_low_quality_is_blocky() -> None:
    down, along = np.indices((240, 320))
    waves = Image.fromarray((128 + 80 * np.sin(along / 9) * np.cos(down / 11)).astype(np.uint8))

    assert of_pixels(NOISE.filter(ImageFilter.GaussianBlur(3)))[0] < 0.1 * of_pixels(NOISE)[0]
    assert of_pixels(as_jpeg(waves, 5))[1] > 1.5 > of_pixels(as_jpeg(waves, 95))[1]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 9), (500, 3)])
def test_images_of_a_few_pixels_have_both(size: tuple[int, int]) -> None:
    sharpness, blockiness = of_pixels(Image.new("L", size, 7))

    assert (sharpness, blockiness) == (0, 1)


def test_a_property_that_tells_a_class_comes_first_and_is_named() -> None:
    labels = np.arange(300) % 3
    brightness = np.where(labels == 2, 200, 100) + RNG.random(300)

    first, second = find_clues(labels, {"noise": RNG.random(300), "brightness": brightness}, CLASSES)

    assert (first.name, first.class_name, first.area, first.is_large) == ("brightness", "owl", 1, True)
    assert first.accuracy > 0.6  # all owls, and some cats or dogs
    assert first.chance == pytest.approx(1 / 3)
    assert not second.is_large


def test_a_folder_can_tell_the_class_too() -> None:
    labels = np.arange(300) % 3
    folder = np.where(labels == 0, "east", "west").astype(object)

    (clue,) = find_clues(labels, {"folder": folder}, CLASSES)

    assert clue.class_name == "cat"
    assert clue.accuracy == pytest.approx(2 / 3)  # all cats, and all dogs or all owls
    assert np.isnan(clue.area)


def test_columns_of_one_value_say_nothing() -> None:
    assert find_clues(np.arange(30) % 3, {"size": np.full(30, 784)}, CLASSES) == []


def columns(count: int = 200) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    middles = {"brightness": 120.0, "contrast": 50.0, "colourfulness": 20.0, "sharpness": 10.0, "blockiness": 1.0}
    return {name: rng.normal(middle, middle / 10, count) for name, middle in middles.items()}


def test_dark_light_empty_and_blurry_images_are_found_the_most_unusual_first() -> None:
    every = columns()
    every["brightness"][[3, 5, 7]] = 9, 4, 250
    every["contrast"][11] = 1
    every["sharpness"][13] = 0.5

    found = find_unusual(every, odd=2)

    assert {name: rows.tolist() for name, rows in found.items() if name != ODD} == {
        "dark": [5, 3],
        "light": [7],
        "nearly empty": [11],
        "blurry": [13],
    }
    assert not set(found[ODD].tolist()) & {3, 5, 7, 11, 13}


def test_what_is_usual_in_a_data_set_does_not_stand_out() -> None:
    every = columns()
    every["brightness"] = np.random.default_rng(2).normal(10, 2, 200)  # X-rays, say

    assert find_unusual(every, odd=0)["dark"].tolist() == []


def test_what_is_odd_in_all_together_is_found_though_no_single_value_is() -> None:
    every = columns()
    every["contrast"] = every["brightness"] / 2.4 + np.random.default_rng(3).normal(0, 0.5, 200)
    every["brightness"][17], every["contrast"][17] = 135, 44

    assert find_unusual(every, odd=1)[ODD].tolist() == [17]
