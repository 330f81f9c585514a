"""What an image has that the model cannot know: another size by far, other colours, other values than the training images. Pillow images only."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pipeline.images.decoding import GREY_MODES, ImageSpec
from pipeline.images.values import Extremes, find_extremes, is_deep, number, values_of, why_unlike

FAR = 2.0
"""An image is of another size if its longer side is more than so many times the longest, or less than the shortest by this factor."""
COLOUR_SIDE_PX = 32
COLOURED = 16
"""A pixel of which two channels differ by more, of 255, is not grey; JPEG gives grey pictures differences of a few."""
COLOURED_SHARE = 0.01


@dataclass(frozen=True)
class TrainingImages:
    """What is known of the training images. sides_px: the least and the largest longer side; modes: Pillow's modes in the files; empty if unknown."""

    sides_px: tuple[int, ...] = ()
    modes: frozenset[str] = frozenset()

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> "TrainingImages":
        """From `sizes_px` and `modes` of data/ingest/report.json; nothing is known where they are missing."""
        sizes = described.get("sizes_px")
        sides = tuple(max(sizes["width"][at], sizes["height"][at]) for at in (0, -1)) if sizes else ()
        return cls(sides, frozenset(described.get("modes", ())))


def notes_of(image: Image.Image, encoded: bytes, pixels: np.ndarray, spec: ImageSpec, training: TrainingImages) -> list[str]:
    """One line per property of a decoded image that no training image has.

    encoded: the image before, since a JPEG may have been decoded at a smaller size. pixels: uint8 (H, W, C), what the network sees of it.
    """
    return [*_of_size(image, encoded, training), *_of_colours(image, pixels, spec, training), *_of_values(image, spec, training)]


def notes_of_array(array: np.ndarray, pixels: np.ndarray, spec: ImageSpec, training: TrainingImages) -> list[str]:
    """As `notes_of`, of an array that `array_to_input` takes. pixels: uint8 (H, W, C), what it gave."""
    flat = array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
    is_scaled = bool(spec.value_range) and flat.ndim == 2 and flat.dtype != np.uint8
    image = Image.fromarray(np.zeros(flat.shape, np.uint8) if is_scaled else flat.astype(np.uint8))
    notes = [*_of_size(image, b"", training), *_of_colours(image, pixels, spec, training)]
    return [*notes, *_of_range(flat, find_extremes(flat), spec.value_range)] if is_scaled and spec.value_range else notes


def _of_size(image: Image.Image, encoded: bytes, training: TrainingImages) -> list[str]:
    if not training.sides_px:
        return []
    least, most = training.sides_px
    width, height = image.size
    if image.format in ("JPEG", "MPO"):  # decoded at a smaller scale, and turned
        with Image.open(io.BytesIO(encoded), formats=("JPEG", "MPO")) as whole:
            width, height = whole.size if (whole.width > whole.height) == (width > height) else whole.size[::-1]
    if least / FAR <= max(width, height) <= most * FAR:
        return []
    usual = f"{least} px" if least == most else f"{least} to {most} px"
    return [f"{width} x {height} px, where the longer side of the training images has {usual}"]


def _of_colours(image: Image.Image, pixels: np.ndarray, spec: ImageSpec, training: TrainingImages) -> list[str]:
    is_grey = image.info.get("mode_in_file", image.mode) in GREY_MODES
    if spec.channels == 1 and not is_grey and not training.modes - set(GREY_MODES):
        return ["in colour, where the model sees grey"] if _is_coloured(_small(image)) else []
    if spec.channels == 1 or not training.modes or training.modes & set(GREY_MODES):
        return []
    # of a long, narrow image the network sees little but its border
    is_coloured = not is_grey and (_is_coloured(pixels) or _is_coloured(_small(image)))
    return [] if is_coloured else ["grey, where the training images are in colour"]


def _small(image: Image.Image) -> np.ndarray:
    """uint8 (COLOUR_SIDE_PX, COLOUR_SIDE_PX, 3): the means of the pixels."""
    return np.asarray(image.convert("RGB").resize((COLOUR_SIDE_PX, COLOUR_SIDE_PX), Image.Resampling.BOX, reducing_gap=2))


def _is_coloured(pixels: np.ndarray) -> bool:
    """Whether more than a few pixels, uint8 (H, W, 3), are not grey; some are looked at."""
    steps = tuple(max(1, side // COLOUR_SIDE_PX) for side in pixels.shape[:2])
    some = pixels[:: steps[0], :: steps[1]].astype(np.int16)
    return bool((np.ptp(some, axis=-1) > COLOURED).mean() > COLOURED_SHARE)


def _of_values(image: Image.Image, spec: ImageSpec, training: TrainingImages) -> list[str]:
    if not is_deep(image):
        return []
    if not spec.value_range:
        return ["more than 8 bits per channel, where the training images have 8"] if training.modes else []
    values = values_of(image)
    return _of_range(values, find_extremes(values), spec.value_range)


def _of_range(values: np.ndarray, found: Extremes, value_range: tuple[float, float]) -> list[str]:
    low, high = value_range
    notes = []
    if unlike := why_unlike(values, found, value_range):
        notes.append(
            f"values from {number(found.least)} to {number(found.most)}, {unlike}; the range is {number(low)} to {number(high)}: "
            "bring it to the scale of the training images"
        )
    if found.least < low or found.most > high or found.not_finite:
        notes.append(
            f"values from {number(found.least)} to {number(found.most)}, {found.not_finite} not finite: clipped to {number(low)} to {number(high)}"
        )
    return notes
