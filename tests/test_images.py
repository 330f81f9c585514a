"""An image as people have it becomes the array that a network takes."""

import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import SourceError
from pipeline.images.decoding import ImageSpec, array_to_input, decode, encode_png, encoded_to_input

GREY_2 = ImageSpec(2, 2, 1, "pad")


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_an_image_of_the_right_size_is_taken_as_it_is() -> None:
    pixels = np.array([[0, 50], [100, 255]], np.uint8)

    assert encoded_to_input(encode_png(pixels), GREY_2)[..., 0].tolist() == [[0, 50], [100, 255]]


def test_an_array_gives_the_same_as_the_encoded_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    for resize in ("pad", "crop", "stretch"):
        spec = ImageSpec(16, 20, 3, resize)
        assert (array_to_input(pixels, spec) == encoded_to_input(encode_png(pixels), spec)).all()


def test_pad_keeps_the_whole_image_on_black() -> None:
    white = np.full((4, 8), 255, np.uint8)

    result = array_to_input(white, ImageSpec(8, 8, 1, "pad"))[..., 0]

    assert result[:, 0].tolist() == [0, 0, 255, 255, 255, 255, 0, 0]


def test_crop_takes_the_centre_and_stretch_takes_all() -> None:
    thirds = np.repeat(np.array([[10] * 4 + [200] * 4 + [90] * 4], np.uint8), 4, axis=0)

    cropped = array_to_input(thirds, ImageSpec(4, 4, 1, "crop"))
    stretched = array_to_input(thirds, ImageSpec(4, 12, 1, "stretch"))

    assert cropped[..., 0].tolist() == [[200] * 4] * 4
    assert (stretched[..., 0] == thirds).all()


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    stripes = np.tile(np.array([[0, 255]], np.uint8), (64, 32))

    result = array_to_input(stripes, ImageSpec(8, 8, 1, "stretch"))

    assert result.min() >= 120
    assert result.max() <= 135


def test_a_turned_photograph_is_put_upright() -> None:
    pixels = np.zeros((2, 4), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = encoded(Image.fromarray(pixels), exif=exif)

    assert (decode(turned).width, decode(turned).height) == (2, 4)
    assert encoded_to_input(turned, ImageSpec(4, 2, 1, "pad"))[0, 1, 0] == 255


def test_transparency_is_put_on_white() -> None:
    clear = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])

    assert encoded_to_input(encoded(clear), ImageSpec(2, 2, 3, "pad")).min() == 255
    assert encoded_to_input(encoded(palette, transparency=0), ImageSpec(2, 2, 3, "pad")).min() == 255


@pytest.mark.parametrize(
    ("mode", "value", "kind", "expected"), [("I;16", 65535, "PNG", 255), ("I;16", 257 * 100, "PNG", 100), ("L", 7, "BMP", 7)]
)
def test_depths_are_brought_to_eight_bits(mode: str, value: int, kind: str, expected: int) -> None:
    image = Image.fromarray(np.full((2, 2), value, np.uint16 if mode == "I;16" else np.uint8))

    assert (encoded_to_input(encoded(image, kind), GREY_2) == expected).all()


def test_print_colours_become_screen_colours() -> None:
    red = Image.new("RGB", (8, 8), (255, 0, 0)).convert("CMYK")

    result = encoded_to_input(encoded(red, "JPEG", quality=95), ImageSpec(8, 8, 3, "pad"))

    assert result[4, 4, 0] > 200 > 60 > result[4, 4, 1]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty file"), (b"hello", "not an image"), (encode_png(np.ones((50, 50), np.uint8))[:60], "cannot be decoded")],
)
def test_what_cannot_be_decoded_says_why(content: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        decode(content)


def test_a_truncated_jpeg_is_refused_though_its_header_is_whole() -> None:
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), "JPEG")

    with pytest.raises(SourceError, match="truncated"):
        decode(whole[: len(whole) // 2])


def test_an_absurdly_large_image_is_never_decoded() -> None:
    huge = encoded(Image.new("1", (11_000, 10_000)))

    with pytest.raises(SourceError, match="11000 x 10000 px"):
        decode(huge)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2), np.float32), np.zeros((2, 2, 2), np.uint8), np.full((2, 2), 300), np.zeros((0, 4), np.uint8)]
)
def test_an_array_that_is_no_image_is_refused(array: np.ndarray) -> None:
    with pytest.raises(SourceError, match="expected whole numbers 0 to 255"):
        array_to_input(array, GREY_2)


def test_a_dark_image_of_sixteen_bits_stays_dark() -> None:
    dark = Image.fromarray(np.full((2, 2), 255, np.uint16))

    assert encoded_to_input(encoded(dark), GREY_2).max() == 1  # 255 of 65535 is 0.99 of 255


def test_sixteen_bits_in_the_other_byte_order_are_read_too() -> None:
    image = Image.fromarray(np.full((2, 2), 257 * 100, ">u2"))

    assert decode(encoded(image, "TIFF")).info["mode_in_file"] == "I;16B"
    assert encoded_to_input(encoded(image, "TIFF"), GREY_2).tolist() == [[[100], [100]], [[100], [100]]]


def test_damaged_exif_does_not_cost_the_image() -> None:
    photograph = encoded(Image.new("L", (8, 4), 9), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")

    assert (decode(photograph).width, decode(photograph).height) == (8, 4)


def test_colours_that_cannot_be_converted_are_refused_at_once() -> None:
    lab = encoded(Image.new("LAB", (4, 4)), "TIFF")

    with pytest.raises(SourceError, match="its colours, LAB, are neither"):
        decode(lab)


def test_formats_that_run_another_program_are_no_images() -> None:
    with pytest.raises(SourceError, match="not an image"):
        decode(encoded(Image.new("RGB", (4, 4)), "EPS"))


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1)])
@pytest.mark.parametrize("resize", ["pad", "crop", "stretch"])
def test_the_thinnest_image_has_an_input(shape: tuple[int, int], resize: Literal["pad", "crop", "stretch"]) -> None:
    result = array_to_input(np.full(shape, 255, np.uint8), ImageSpec(32, 32, 1, resize))

    assert result.max() == 255


def test_an_array_with_alpha_is_put_on_white() -> None:
    half = np.full((2, 2, 4), [0, 0, 0, 51], np.uint8)  # a fifth of black

    assert array_to_input(half, ImageSpec(2, 2, 3, "pad")).tolist() == [[[204] * 3] * 2] * 2


def test_only_the_first_picture_of_an_animation_counts() -> None:
    first, second = Image.new("L", (4, 4), 10), Image.new("L", (4, 4), 200)
    animation = encoded(first, "GIF", save_all=True, append_images=[second])

    assert encoded_to_input(animation, ImageSpec(4, 4, 1, "pad")).max() == 10


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_a_png_made_of_pixels_holds_exactly_these(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert (np.asarray(image) == pixels).all()
