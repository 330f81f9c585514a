"""What an array of images holds: which axis counts the images, which one the channels, and what its numbers mean.

Numbers are 0 to 255, fractions from 0 to 1, or something else, which is passed on as it is.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from pipeline.containers.npy_arrays import StoredArray, blocks
from pipeline.errors import SourceError

CHANNELS = (1, 3, 4)
Kind = Literal["bytes", "fractions", "sixteen bits", "numbers"]
MOST_EXACT = 2**24  # float32 has 24 bits for whole numbers


class Layout(NamedTuple):
    """The order of the axes, such as "N, H, W, C", and where the images and the channels are."""

    order: str
    image_axis: int
    channel_axis: int | None

    def of_images(self) -> int | None:
        """The axis of the channels once the images are along the first axis."""
        if self.channel_axis is None:
            return None
        return self.channel_axis + (self.channel_axis < self.image_axis)


LAYOUTS = (
    Layout("N, H, W", 0, None),
    Layout("H, W, N", 2, None),
    Layout("N, H, W, C", 0, 3),
    Layout("N, C, H, W", 0, 1),
    Layout("H, W, C, N", 3, 2),
)


def layouts_of(shape: tuple[int, ...], count: int) -> list[Layout]:
    """The layouts in which an array of this shape holds `count` images of at least 2 x 2 px in 1, 3 or 4 channels."""
    return [layout for layout in LAYOUTS if len(layout.order.split(", ")) == len(shape) and _fits(layout, shape, count)]


def _fits(layout: Layout, shape: tuple[int, ...], count: int) -> bool:
    sides = [size for axis, size in enumerate(shape) if axis not in (layout.image_axis, layout.channel_axis)]
    channels = CHANNELS if layout.order != "N, C, H, W" else CHANNELS[:2]
    return (
        shape[layout.image_axis] == count > 0 and (layout.channel_axis is None or shape[layout.channel_axis] in channels) and min(sides) > 1
    )


class _Range(NamedTuple):
    """The values of one array."""

    least: float
    most: float
    whole: bool


def kind_of(arrays: Sequence[tuple[StoredArray, Layout]]) -> Kind:
    """What the values of all arrays are; the first one decides. Raises SourceError if another one differs, or if they cannot be stored."""
    ranges = [_range(array, layout) for array, layout in arrays]
    kinds = [_kind(found) for found in ranges]
    first, kind = arrays[0][0], kinds[0]
    for (array, _), other, found in zip(arrays, kinds, ranges, strict=True):
        if other != kind and {other, kind} != {"sixteen bits", "numbers"}:
            raise SourceError(
                f"ingest.source: {first} has values {_words(ranges[0])}, but {array} {_words(found)}. Save all in the same range."
            )
    if kind not in ("bytes", "fractions"):
        kind = "numbers" if "numbers" in kinds else "sixteen bits"
        if any(layout.channel_axis is not None and array.shape[layout.channel_axis] != 1 for array, layout in arrays):
            raise SourceError(
                f"ingest.source: {first} has values {_words(ranges[0])}. Expected 0 to 255, or fractions from 0 to 1, in images with several "
                "channels: scale them before they are saved."
            )
    return kind


def to_pixels(images: np.ndarray, layout: Layout, kind: Kind) -> Iterator[np.ndarray]:
    """Each of the images along the first axis: (H, W) or (H, W, C), as uint8; or uint16 or float32 if their values do not fit into it."""
    axis = layout.of_images()
    images = images if axis is None else np.moveaxis(images, axis, -1)
    images = images[..., 0] if axis is not None and images.shape[-1] == 1 else images
    if kind == "sixteen bits":
        images = images.astype(np.uint16)
    elif kind == "numbers":
        images = images.astype(np.float32)
    elif images.dtype != np.uint8:
        images = np.rint(images * (255 if kind == "fractions" else 1.0)).astype(np.uint8)
    yield from np.ascontiguousarray(images)


def _range(array: StoredArray, layout: Layout) -> _Range:
    if array.dtype.kind == "b" or array.dtype == np.uint8:
        return _Range(0, 1 if array.dtype.kind == "b" else 255, array.dtype.kind != "b")
    limits = np.array([(block.min(), block.max()) for block in blocks(array, layout.image_axis)], np.float64)
    least, most, whole = float(limits[:, 0].min()), float(limits[:, 1].max()), array.dtype.kind in "iu"
    limit = MOST_EXACT if whole else float(np.finfo(np.float32).max)
    if not -limit <= least <= most <= limit:
        raise SourceError(
            f"ingest.source: {array} has values from {least:g} to {most:g}. Expected numbers, none missing or infinite, within ±{limit:g}."
        )
    return _Range(least, most, whole)


def _kind(found: _Range) -> Kind:
    if found.least >= 0 and found.most <= 1 and not found.whole:
        return "fractions"
    if found.least >= 0 and found.most <= 255:
        return "bytes"
    return "sixteen bits" if found.whole and found.least >= 0 and found.most <= 65535 else "numbers"


def _words(found: _Range) -> str:
    return f"from {found.least:g} to {found.most:g}"
