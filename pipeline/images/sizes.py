"""The size that images are brought to where `preprocess.image_size` is auto. Numbers only."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

LARGEST_PX = 96
SMALLEST_PX = 32
STEP_PX = 8
SMALLEST_EXACT_PX = 8
LARGEST_AS_FOUND_PX = 112
"""A pretrained network gets images up to this size as they are, and enlarges them itself."""
PRETRAINED_SIDE_PX, PRETRAINED_STEP_PX = 224, 32
MOST_ELONGATED = 2.0
LEAST_FILLED = 0.5
MOST_PX = 1024
MOST_SPREAD = 1.15
"""The 95 % quantile of width / height may be so many times the 5 % quantile where nearly all images have one form."""


def auto_size(sizes: Mapping[str, Any], *, is_pretrained: bool) -> tuple[int, int]:
    """(height, width) in px for images of these sizes, `sizes_px` of data/ingest/report.json."""
    if is_pretrained and sizes["median_longer_side"] > LARGEST_AS_FOUND_PX:
        return _size_for_pretrained(sizes["width_by_height"])
    return _size_as_found(sizes, LARGEST_AS_FOUND_PX if is_pretrained else LARGEST_PX)


def padding_notice(sizes: Mapping[str, Any], size: tuple[int, int]) -> str:
    """What to do about images of which most is border when they are padded to (height, width) in px; empty if images fill at least half of it."""
    low, _, high = sizes["width_by_height"]
    height, width = size
    ratio = min((low, high), key=lambda form: _filled(form, size))
    if _filled(ratio, size) >= LEAST_FILLED:
        return ""
    better = round(math.sqrt(height * width / ratio) / STEP_PX) * STEP_PX
    own_form = [min(max(side, STEP_PX), MOST_PX) for side in (better, round(better * ratio / STEP_PX) * STEP_PX)]
    form = f"{ratio:.1f} times as wide as high" if ratio > 1 else f"{1 / ratio:.1f} times as high as wide"
    return (
        f"padded to {height} x {width} px, images that are {form} fill {_filled(ratio, size):.0%} of it. "
        f"To show more of them, set preprocess.image_size: {own_form}, or preprocess.resize: crop or stretch"
    )


def _filled(ratio: float, size: tuple[int, int]) -> float:
    """The share of (height, width) that an image of this width / height covers when it is padded."""
    form = size[1] / size[0]
    return min(ratio / form, form / ratio)


def _size_as_found(sizes: Mapping[str, Any], largest_px: int) -> tuple[int, int]:
    """(height, width) of small images that all have one size, else a square of the median longer side."""
    (least_width, _, most_width), (least_height, _, most_height) = sizes["width"], sizes["height"]
    common = (least_width, least_height) == (most_width, most_height)
    if common and min(least_width, least_height) >= SMALLEST_EXACT_PX and max(most_width, most_height) <= largest_px:
        return least_height, least_width
    side = round(sizes["median_longer_side"] / STEP_PX) * STEP_PX
    side = min(max(side, SMALLEST_PX), largest_px)
    return side, side


def _size_for_pretrained(ratios: list[float]) -> tuple[int, int]:
    """(height, width) of about as many pixels as the square of PRETRAINED_SIDE_PX: that square, or the common form of the images.

    `ratios`: the 5 %, 50 % and 95 % quantiles of width / height.
    """
    low, median, high = ratios
    ratio = min(max(median, 1 / MOST_ELONGATED), MOST_ELONGATED) if high <= MOST_SPREAD * low else 1.0
    longest = math.ceil(PRETRAINED_SIDE_PX * math.sqrt(MOST_ELONGATED) / PRETRAINED_STEP_PX)
    sides = [PRETRAINED_STEP_PX * number for number in range(1, longest + 1)]

    def unlikeness(size: tuple[int, int]) -> float:
        height, width = size
        return abs(math.log(width / height / ratio)) + abs(math.log(height * width / PRETRAINED_SIDE_PX**2))

    return min(itertools.product(sides, sides), key=unlikeness)
