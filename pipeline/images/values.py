"""Images of more than 8 bits per channel ("deep" images), and the range of values that becomes 0 to 255. Pillow images and arrays only.

A deep image has one channel: whole numbers of 16 or 32 bits, or floating point numbers.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin

from pipeline.errors import ImageError

DEEP_MODES = frozenset(("I", "F", "I;16", "I;16B", "I;16L", "I;16N"))
SIXTEEN_BITS = (0.0, 65535.0)
OUTLIERS = 1000  # one pixel in so many, at either end, may be a hot or a dead one
BITS_PER_SAMPLE, SAMPLE_FORMAT = 258, 339  # tags of TIFF
SIGNED = 2
FEWEST_SHADES = 2


class Extremes(NamedTuple):
    """The least and the largest value of an image, and the same without one pixel in a thousand (at least one) at either end; NaN if no value is finite.

    not_finite: how many values are NaN or infinite; they count nowhere else.
    """

    least: float
    most: float
    core_least: float
    core_most: float
    not_finite: int


def is_deep(image: Image.Image) -> bool:
    """Whether a decoded image has more than 8 bits per channel."""
    return image.mode in DEEP_MODES


def is_floating(image: Image.Image) -> bool:
    """Whether the values of a decoded image are floating point numbers."""
    return image.mode == "F"


def note_samples(image: Image.Image, encoded: bytes) -> dict[str, bool]:
    """What Pillow's mode does not say of the samples of an opened file: `unsigned` (32 bits), `full_range` (Pillow has scaled them to 16 bits, in mode I),
    and `sixteen_bit_colour`, of which Pillow reads the upper 8 bits.

    Raises ImageError for signed values of 8 bits, which Pillow reads as unsigned ones.
    """
    if image.format == "PNG":
        return {"sixteen_bit_colour": True} if encoded[24] == 16 and not is_deep(image) else {}
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return {"full_range": True} if image.format == "PPM" and image.mode == "I" else {}
    bits, kinds = (image.tag_v2.get(tag, (1,)) for tag in (BITS_PER_SAMPLE, SAMPLE_FORMAT))
    if max(bits) == 8 and SIGNED in kinds:
        raise ImageError("its values are signed and have 8 bits, which is not supported: save it with 16 bits")
    return {"unsigned": image.mode == "I" and SIGNED not in kinds, "sixteen_bit_colour": max(bits) > 8 and not is_deep(image)}


def values_of(image: Image.Image) -> np.ndarray:
    """The values of a deep image as in the file, (H, W): uint16, int32, uint32 or float32."""
    values = np.asarray(image)
    if image.info.get("unsigned") and values.dtype == np.int32:
        return values.view(np.uint32)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def find_extremes(values: np.ndarray) -> Extremes:
    """The extremes of the values of an image, (H, W)."""
    finite = values.ravel() if values.dtype.kind in "iu" else values[np.isfinite(values)]
    if not finite.size:
        return Extremes(np.nan, np.nan, np.nan, np.nan, values.size)
    drop = min(-(-finite.size // OUTLIERS), (finite.size - 1) // 2)
    ordered = np.partition(finite, sorted({0, drop, finite.size - 1 - drop, finite.size - 1}))
    least, most, core_least, core_most = (float(ordered[at]) for at in (0, -1, drop, finite.size - 1 - drop))
    return Extremes(least, most, core_least, core_most, values.size - finite.size)


def why_unlike(values: np.ndarray, found: Extremes, value_range: tuple[float, float]) -> str:
    """Why an image seems to be on another scale than those whose range this is; empty if it does not. found: the extremes of its values."""
    low, high = value_range
    is_of_bits = low == 0 and high > 255 and np.log2(high + 1).is_integer()  # as found for whole numbers
    if is_of_bits and values.dtype.kind == "f" and (values[np.isfinite(values)] % 1).any():
        return "fractions, where the training images have whole numbers"
    shades = (found.most - found.least) / (high - low) * 256
    return "which all become about one of 256 shades" if found.most > found.least and shades < FEWEST_SHADES else ""


def number(value: float) -> str:
    """A value in words, without needless digits."""
    return f"{value:.7g}" if abs(value) < 1e7 else f"{value:.0f}" if value == int(value) else f"{value:g}"


def scale_values(values: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """uint8 of an array of numbers: (value - low) / (high - low) * 255, rounded; 0 below the range and for NaN and infinity, 255 above it."""
    low, high = value_range
    exact = values.astype(np.float64)
    if values.dtype.kind == "f":
        exact[~np.isfinite(exact)] = low
    exact -= low
    exact /= high - low
    exact *= 255
    np.clip(np.rint(exact, out=exact), 0, 255, out=exact)
    return exact.astype(np.uint8)


def to_eight_bits(image: Image.Image, value_range: tuple[float, float] | None) -> Image.Image:
    """An image of 8 bits: a deep one scaled by a range, any other as it is.

    Without a range, 16 bits are 0 to 65535, as the formats define it. Raises ImageError for other deep images, for which any range would be a guess.
    """
    if not is_deep(image):
        return image
    if value_range is None and not (image.mode.startswith("I;16") or image.info.get("full_range")):
        kind = "floating point numbers" if is_floating(image) else "whole numbers of 32 bits"
        raise ImageError(f"its values are {kind}, but the model was trained on images of 8 bits per channel: save it with 8 bits")
    return Image.fromarray(scale_values(values_of(image), value_range or SIXTEEN_BITS))


def stretch(image: Image.Image, found: Extremes | None = None) -> Image.Image:
    """An image of 8 bits to look at or to compare: a deep one from its own least to its own largest value, without outliers.

    found: its extremes, if they are known.
    """
    if not is_deep(image):
        return image
    found = found or find_extremes(values_of(image))
    low, high = (found.core_least, found.core_most) if found.core_most > found.core_least else (found.least, found.most)
    if not high > low:  # of one value, or of none
        low, high = (0.0, 255.0) if 0 <= found.least <= 255 else SIXTEEN_BITS
    return to_eight_bits(image, (low, high))
