"""A small description of an image that is nearly the same for its copies: a grey thumbnail and coarse colours. Pillow images in, bytes out.

Integer arithmetic only (Pillow resizes 8-bit images in fixed point), so the same pixels give the same bytes on every machine.
"""

from typing import cast

import numpy as np
from PIL import Image

from pipeline.images.decoding import ImageSpec, image_to_input
from pipeline.images.values import Extremes, stretch

LUMA_SIDE = 16
COLOUR_SIDE = 4
LUMA = slice(0, 256)  # 16 x 16 grey values, row by row
CHROMA = slice(256, 288)  # 4 x 4 of (blue - grey) / 2 + 128, then 4 x 4 of (red - grey) / 2 + 128: 128 is grey
DETAIL = 288  # spread of the pixels if the thumbnail is flat, else 0
FINGERPRINT_BYTES = 296  # padded with zeros to whole 64-bit words

SMOOTH = Image.Resampling.BILINEAR  # overlapping cells: a shift by part of a cell changes the thumbnail little
MEAN = Image.Resampling.BOX
SAMPLE = Image.Resampling.NEAREST
SIDE_BEFORE_SMOOTHING = 3 * LUMA_SIDE
SAMPLE_SIDE = 64
FLAT_RANGE = 24  # grey values from the darkest to the brightest cell
GREY_CHROMA = bytes([128]) * (2 * COLOUR_SIDE**2)
PADDING = bytes(FINGERPRINT_BYTES - DETAIL - 1)
OF_FINGERPRINTS = ("brightness", "contrast", "colourfulness")


def fingerprint(image: Image.Image) -> np.ndarray:
    """uint8 (FINGERPRINT_BYTES,) of a decoded, upright image of any size and any mode that `image_to_input` supports; transparency on white.

    The image is stretched to a square, so that stretched copies have the same fingerprint; the values of one of more than 8 bits are stretched, too.
    """
    return fingerprint_of_plain(plain(image))[0]


def fingerprint_of_plain(image: Image.Image, full_size: tuple[int, int] | None = None) -> tuple[np.ndarray, tuple[int, int]]:
    """(fingerprint, its darkest and its brightest grey value) of an image made by `plain`. full_size: what it was scaled down from while decoding."""
    factors = (max(1, image.width // SIDE_BEFORE_SMOOTHING), max(1, image.height // SIDE_BEFORE_SMOOTHING))
    small = _reduced_as(image, full_size) if full_size else image if factors == (1, 1) else image.reduce(factors)
    chroma = GREY_CHROMA if small.mode == "L" else _chroma(small)
    luma = (small if small.mode == "L" else small.convert("L")).resize((LUMA_SIDE, LUMA_SIDE), SMOOTH)
    darkest, brightest = cast(tuple[int, int], luma.getextrema())
    detail = _spread(image) if brightest - darkest <= FLAT_RANGE else 0
    return np.frombuffer(b"".join((luma.tobytes(), chroma, bytes((detail,)), PADDING)), np.uint8), (darkest, brightest)


def looks_of(fingerprints: np.ndarray) -> np.ndarray:
    """float32 (N, 3) by fingerprints uint8 (N, FINGERPRINT_BYTES): mean and standard deviation of the grey values (0 to 255), and colourfulness.

    Source of colourfulness: Hasler and Suesstrunk (2003), Measuring colourfulness in natural images, with the differences of blue and of red to grey
    as the two opponents, on 4 x 4 cells: 0 for grey, about 100 for very colourful.
    """
    luma = fingerprints[:, LUMA].astype(np.float64)
    opponents = 2 * (fingerprints[:, CHROMA].astype(np.float64) - 128).reshape(-1, 2, COLOUR_SIDE**2)
    spread = np.sqrt((opponents.std(axis=2) ** 2).sum(axis=1))
    mean = np.sqrt((opponents.mean(axis=2) ** 2).sum(axis=1))
    return np.stack([luma.mean(axis=1), luma.std(axis=1), spread + 0.3 * mean], axis=1).astype(np.float32)


def plain(image: Image.Image, found: Extremes | None = None) -> Image.Image:
    """A decoded image as one of mode L or RGB, without transparency. found: the extremes of one of more than 8 bits, if they are known."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    return Image.fromarray(image_to_input(stretch(image, found), ImageSpec(image.height, image.width, 3, "stretch")))


def _reduced_as(image: Image.Image, full_size: tuple[int, int]) -> Image.Image:
    """What `fingerprint_of_plain` would reduce the image of the full size to. Its last row and column may stand for a part of a cell only."""
    across, down = (_cells(side, full) for side, full in zip(image.size, full_size, strict=True))
    small = Image.new(image.mode, (across[-1][1], down[-1][1]))
    for first, last, left, right in across:
        for top_cell, bottom_cell, top, bottom in down:
            part = image.resize((last - first, bottom_cell - top_cell), MEAN, box=(left, top, right, bottom))
            small.paste(part, (first, top_cell))
    return small


def _cells(side: int, full: int) -> list[tuple[int, int, float, float]]:
    """(first cell, cell after the last, start, end) of the whole cells, and of the rest, along a side that was `full` px long.

    The scale is a whole number, so the last pixel of a side may reach beyond the image.
    """
    factor, scale = max(1, full // SIDE_BEFORE_SMOOTHING), round(full / side)
    whole = full // factor
    edge = whole * factor / scale
    return [(0, whole, 0, edge), *([(whole, whole + 1, edge, full / scale)] if full % factor else [])]


def _chroma(image: Image.Image) -> bytes:
    """4 x 4 of (blue - grey) / 2 + 128, then of (red - grey) / 2 + 128, of an RGB image."""
    cells = image.resize((COLOUR_SIDE, COLOUR_SIDE), MEAN)
    grey = np.frombuffer(cells.convert("L").tobytes(), np.uint8).astype(np.int16)
    red, _, blue = np.frombuffer(cells.tobytes(), np.uint8).astype(np.int16).reshape(-1, 3).T
    return ((np.concatenate((blue - grey, red - grey)) >> 1) + 128).astype(np.uint8).tobytes()


def _spread(image: Image.Image) -> int:
    """The standard deviation, rounded down, of up to 64 x 64 grey values, sampled without averaging."""
    size = (min(image.width, SAMPLE_SIDE), min(image.height, SAMPLE_SIDE))
    values = np.frombuffer(image.resize(size, SAMPLE).convert("L").tobytes(), np.uint8).astype(np.int64)
    count, total, squares = values.size, int(values.sum()), int((values * values).sum())
    variance = (count * squares - total * total) // (count * count)
    return int(np.floor(np.sqrt(variance)))
