"""An image as people have it becomes the array that a network takes."""

import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import SourceError
from pipeline.images.decoding import ImageSpec, array_to_input, decode, encode_png, encoded_to_input
from tests.sample_images import empty_png

GREY_2 = ImageSpec(2, 2, 1, "pad")
COLOUR_2 = ImageSpec(2, 2, 3, "pad")
NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, kind, **options)
    return buffer.getvalue()


def of_one_value(value: int, kind: type | str = np.uint8) -> np.ndarray:
    return np.full((2, 2), value, kind)


def palette() -> Image.Image:
    image = Image.new("P", (2, 2), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    return image


def animation() -> bytes:
    return encoded(Image.new("L", (2, 2), 10), "GIF", save_all=True, append_images=[Image.new("L", (2, 2), 200)])


@pytest.mark.parametrize(
    ("content", "spec", "expected"),
    [
        pytest.param(encode_png(np.array([[0, 50], [100, 255]], np.uint8)), GREY_2, [[0, 50], [100, 255]], id="as it is"),
        pytest.param(encoded(of_one_value(7), "BMP"), GREY_2, 7, id="BMP"),
        pytest.param(encoded(of_one_value(65535, np.uint16)), GREY_2, 255, id="16 bits"),
        pytest.param(encoded(of_one_value(257 * 100, np.uint16)), GREY_2, 100, id="16 bits, grey"),
        pytest.param(encoded(of_one_value(255, np.uint16)), GREY_2, 1, id="16 bits, dark: 255 of 65535 is 0.99 of 255"),
        pytest.param(encoded(of_one_value(257 * 100, ">u2"), "TIFF"), GREY_2, 100, id="16 bits in the other byte order"),
        pytest.param(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 0))), COLOUR_2, 255, id="transparency on white"),
        pytest.param(encoded(palette(), transparency=0), COLOUR_2, 255, id="a transparent palette on white"),
        pytest.param(animation(), GREY_2, 10, id="the first picture of an animation"),
    ],
)
def test_every_depth_and_mode_is_brought_to_eight_bits(content: bytes, spec: ImageSpec, expected: int | list[list[int]]) -> None:
    assert (encoded_to_input(content, spec) == np.array(expected)[..., None]).all()


def test_the_mode_in_the_file_is_kept() -> None:
    assert decode(encoded(of_one_value(1, ">u2"), "TIFF")).info["mode_in_file"] == "I;16B"


def test_print_colours_become_screen_colours() -> None:
    red = Image.new("RGB", (8, 8), (255, 0, 0)).convert("CMYK")

    result = encoded_to_input(encoded(red, "JPEG", quality=95), ImageSpec(8, 8, 3, "pad"))

    assert result[4, 4, 0] > 200 > 60 > result[4, 4, 1]


def test_an_array_gives_the_same_as_the_encoded_image() -> None:
    for resize in ("pad", "crop", "stretch"):
        spec = ImageSpec(16, 20, 3, resize)
        assert (array_to_input(NOISE[:37, :53], spec) == encoded_to_input(encode_png(NOISE[:37, :53]), spec)).all()


def test_pad_keeps_the_whole_image_on_black() -> None:
    result = array_to_input(np.full((4, 8), 255, np.uint8), ImageSpec(8, 8, 1, "pad"))[..., 0]

    assert result[:, 0].tolist() == [0, 0, 255, 255, 255, 255, 0, 0]


def test_crop_takes_the_centre_and_stretch_takes_all() -> None:
    thirds = np.repeat(np.array([[10] * 4 + [200] * 4 + [90] * 4], np.uint8), 4, axis=0)

    assert array_to_input(thirds, ImageSpec(4, 4, 1, "crop"))[..., 0].tolist() == [[200] * 4] * 4
    assert (array_to_input(thirds, ImageSpec(4, 12, 1, "stretch"))[..., 0] == thirds).all()


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    result = array_to_input(np.tile(np.array([[0, 255]], np.uint8), (64, 32)), ImageSpec(8, 8, 1, "stretch"))

    assert 120 <= result.min() <= result.max() <= 135


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1)])
@pytest.mark.parametrize("resize", ["pad", "crop", "stretch"])
def test_the_thinnest_image_has_an_input(shape: tuple[int, int], resize: Literal["pad", "crop", "stretch"]) -> None:
    assert array_to_input(np.full(shape, 255, np.uint8), ImageSpec(32, 32, 1, resize)).max() == 255


def test_a_rotated_photograph_is_turned_upright() -> None:
    pixels = np.zeros((2, 4), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = encoded(pixels, exif=exif)

    assert decode(turned).size == (2, 4)
    assert encoded_to_input(turned, ImageSpec(4, 2, 1, "pad"))[0, 1, 0] == 255


def test_damaged_exif_does_not_cost_the_image() -> None:
    assert decode(encoded(Image.new("L", (8, 4), 9), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")).size == (8, 4)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty file"),
        (b"hello", "not an image"),
        (encode_png(np.ones((50, 50), np.uint8))[:60], "cannot be decoded"),
        (encoded(NOISE, "JPEG")[:2000], "truncated"),  # its header is whole
        (empty_png(11_000, 10_000), "11000 x 10000 px"),  # Pillow warns
        (empty_png(60_000, 60_000), "3,600,000,000 px is more than 100,000,000 pixels"),  # Pillow refuses
        (encoded(Image.new("LAB", (4, 4)), "TIFF"), "LAB"),
        (encoded(Image.new("RGB", (4, 4)), "EPS"), "EPS is not read"),  # a format that runs another program
    ],
)
def test_what_cannot_be_decoded_says_why(content: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        decode(content)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2), np.float32), np.zeros((2, 2, 2), np.uint8), of_one_value(300, int), np.zeros((0, 4), np.uint8)]
)
def test_an_array_that_is_no_image_is_refused(array: np.ndarray) -> None:
    with pytest.raises(SourceError, match="expected whole numbers from 0 to 255"):
        array_to_input(array, GREY_2)


def test_an_array_with_alpha_is_put_on_white() -> None:
    a_fifth_of_black = np.full((2, 2, 4), [0, 0, 0, 51], np.uint8)

    assert array_to_input(a_fifth_of_black, COLOUR_2).tolist() == [[[204] * 3] * 2] * 2


@pytest.mark.parametrize("pixels", [NOISE[:5, :7, 0], NOISE[:5, :7]])
def test_a_png_made_of_pixels_holds_exactly_these(pixels: np.ndarray) -> None:
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert (np.asarray(image) == pixels).all()
