"""A fingerprint is the same for the same picture, whatever the mode and size of the image it is taken from."""

import numpy as np
import pytest
from PIL import Image

from pipeline.quality.fingerprints import CHROMA, DETAIL, FINGERPRINT_BYTES, LUMA, fingerprint


def gradient(width: int, height: int) -> Image.Image:
    """Grey, from 0 on the left to 255 on the right."""
    return Image.fromarray(np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1)))


def test_it_holds_grey_values_row_by_row() -> None:
    halves = Image.fromarray(np.repeat([[10, 200]], 64, axis=0).repeat(32, axis=1).astype(np.uint8))

    luma = fingerprint(halves)[LUMA].reshape(16, 16)

    assert (luma[:, :7] == 10).all()
    assert (luma[:, 9:] == 200).all()


def test_colour_is_kept_as_distance_from_grey() -> None:
    red = fingerprint(Image.new("RGB", (50, 40), (255, 0, 0)))  # grey 76: (0 - 76) / 2 is -38, (255 - 76) / 2 is 89

    assert (red[LUMA] == 76).all()
    assert red[CHROMA].tolist() == [128 - 38] * 16 + [128 + 89] * 16
    assert (fingerprint(Image.new("RGB", (50, 40), (9, 9, 9)))[CHROMA] == 128).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F"])
def test_every_mode_and_size_has_one(mode: str) -> None:
    for size in [(1, 1), (3, 200), (130, 97)]:
        colours = Image.new("RGB", size, (200, 200, 200))
        image = colours.convert("L" if mode in "IF" else "P" if mode == "PA" else "RGB").convert(mode, dither=Image.Dither.NONE)

        result = fingerprint(image)

        assert result.dtype == np.uint8
        assert result.shape == (FINGERPRINT_BYTES,)
        assert np.abs(result[LUMA].astype(int) - (255 if mode == "1" else 200)).max() <= 4


def test_the_same_picture_in_another_mode_has_the_same() -> None:
    grey = gradient(90, 60)
    expected = fingerprint(grey)

    assert (fingerprint(grey.convert("RGB")) == expected).all()
    assert (fingerprint(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)) == expected).all()  # 16 bits
    assert (fingerprint(Image.new("RGBA", (9, 9), (0, 0, 0, 0))) == fingerprint(Image.new("RGB", (9, 9), "white"))).all()


def test_a_resized_copy_differs_by_little() -> None:
    original = gradient(640, 480)
    for size in ((320, 240), (90, 90), (28, 28)):
        copy = fingerprint(original.resize(size, Image.Resampling.BICUBIC))
        assert np.abs(copy[LUMA].astype(int) - fingerprint(original)[LUMA]).max() <= 4


def test_what_is_too_fine_for_the_thumbnail_is_measured_where_the_thumbnail_is_flat() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (600, 800), dtype=np.uint8))  # standard deviation 74

    assert 65 <= fingerprint(noise)[DETAIL] <= 80
    assert fingerprint(Image.new("L", (600, 800), 7))[DETAIL] == 0
    assert fingerprint(gradient(640, 480))[DETAIL] == 0
