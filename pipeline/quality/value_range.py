"""The range of values of a data set of deep images (more than 8 bits per channel) that becomes 0 to 255. Pure functions of arrays over N images."""

from typing import NamedTuple

import numpy as np

from pipeline.images.values import number

BITS = (8, 10, 12, 14, 16)
OUTLIERS_SPREAD = 4  # extremes count as outliers if they make the range so many times larger
USED_SHARE = 0.25  # of 0 to 255, for floating point numbers to be taken as values of 8 bits
FEW_SHADES = 32  # of 256
MOST_IMAGES = 0.75  # of all, of which the others use much more
SHARE_OF_EITHER = 0.1  # of all images, on either side of a gap: fewer are in between
SMALL_PART = 0.25  # of the range that all images need
LARGE_PART = 0.5


class ValueRange(NamedTuple):
    """The values that become 0 and 255. how: where they come from, in words; guessed: whether another range may have been meant."""

    low: float
    high: float
    guessed: bool
    how: str

    @property
    def in_words(self) -> str:
        """For example "0 to 4095"."""
        return f"{number(self.low)} to {number(self.high)}"

    @property
    def sentence(self) -> str:
        """What becomes of the values, and why."""
        return f"values {self.in_words} become 0 to 255 ({'guessed: ' if self.guessed else ''}{self.how}); preprocess.value_range sets another range"


def find_range(values: np.ndarray, *, floating: bool) -> ValueRange:
    """The range of a data set. values: VALUES (N,) of its deep training images; floating: whether any of them has floating point numbers."""
    values = values[np.isfinite(values["least"])]
    if not len(values):
        return ValueRange(0, 1 if floating else 65535, True, "no training image shows the range, so that of the type is taken")
    least, most = float(values["least"].min()), float(values["most"].max())
    low, high = _without_outliers(values, least, most, from_zero=not floating)
    trimmed = (low, high) != (least, most)
    note = f", but for one pixel in a thousand, whose values go from {number(least)} to {number(most)}" if trimmed else ""
    span = f"the training values, {number(low)} to {number(high)}{note}"
    if not floating and low >= 0 and (bits := next((bits for bits in BITS if high < 2**bits), None)):
        how = f"the full 16 bits, for {span}" if bits == 16 else f"{bits} bits, the fewest of 8, 10, 12, 14 and 16 that hold {span}"
        return ValueRange(0, 2**bits - 1, bits < 16 or trimmed, how)
    if floating and low >= 0 and high <= 1:
        return ValueRange(0, 1, trimmed, f"fractions, for {span}")
    if floating and low >= 0 and high <= 255 and high - low >= USED_SHARE * 255 and (values["most"] > 1).all():
        return ValueRange(0, 255, trimmed, f"0 to 255, for {span}")
    return ValueRange(low, high if high > low else low + 1, True, f"the least and the largest of {span}")


def _without_outliers(values: np.ndarray, least: float, most: float, *, from_zero: bool) -> tuple[float, float]:
    """The least and the largest value; those without one pixel in a thousand of each image if these few make the range four times as large."""
    core_least, core_most = float(values["core_least"].min()), float(values["core_most"].max())
    if from_zero and least >= 0:
        return (core_least, core_most) if 0 < OUTLIERS_SPREAD * core_most <= most else (least, most)
    return (core_least, core_most) if 0 < OUTLIERS_SPREAD * (core_most - core_least) <= most - least else (least, most)


def shades_used(values: np.ndarray, value_range: ValueRange) -> float:
    """How many of 256 shades most pixels of the training images take up. values: as for `find_range`."""
    values = values[np.isfinite(values["least"])]
    if not len(values):
        return 256.0
    ends = np.clip([values["core_least"].min(), values["core_most"].max()], value_range.low, value_range.high)
    return float((ends[1] - ends[0]) / (value_range.high - value_range.low) * 255 + 1)


class Uneven(NamedTuple):
    """Images that use a small part of the range that all need: how many of how many, the range, their own, and the shades that this one becomes."""

    images: int
    of: int
    least: float
    most: float
    low: float
    high: float
    shades: float


def find_uneven(values: np.ndarray, value_range: ValueRange) -> Uneven | None:
    """Whether images use less than a quarter of the range because others use more than half of it. values: as for `find_range`.

    They do if they are most of all images; or if they are a tenth or more, as the others are, with fewer images in between than on either side.
    One pixel in a thousand of each image does not count. If no image uses that much, the images differ in brightness only.
    """
    values = values[np.isfinite(values["least"])]
    if not len(values):
        return None
    least, most = float(values["core_least"].min()), float(values["core_most"].max())
    used = values["core_most"] - values["core_least"]
    narrow = values[used < SMALL_PART * (most - least)]
    wide = int((used > LARGE_PART * (most - least)).sum())
    fewest = min(len(narrow), wide)
    is_in_two = fewest >= SHARE_OF_EITHER * len(values) and fewest > len(values) - len(narrow) - wide
    if not wide or not (is_in_two or len(narrow) >= MOST_IMAGES * len(values)):
        return None
    low, high = float(narrow["core_least"].min()), float(narrow["core_most"].max())
    shades = float(used[used < SMALL_PART * (most - least)].max()) / (value_range.high - value_range.low) * 255 + 1
    return Uneven(len(narrow), len(values), least, most, low, high, shades)


def other_range(before: tuple[float, float], now: ValueRange) -> str:
    """What a range means that is not that of the last run; empty if it is."""
    if before == (now.low, now.high):
        return ""
    low, high = map(number, before)
    return (
        f"the range was {low} to {high} in the last run and is {now.in_words} now: unless preprocess.value_range is set, the same image comes out with "
        f"other values. If images of another depth were added, bring all to one scale; [{low}, {high}] keeps the range of the last run"
    )


def rows_outside(values: np.ndarray, value_range: ValueRange) -> np.ndarray:
    """Whether an image has values outside the range, bool (N,). values: VALUES (N,)."""
    outside: np.ndarray = (values["least"] < value_range.low) | (values["most"] > value_range.high)
    return outside
