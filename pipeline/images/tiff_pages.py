"""What the first page of a TIFF holds that is not an image in grey or colour: many bands, a preview of a raw photograph, pixels of a rare type."""

import io
import warnings
from collections.abc import Mapping
from typing import Any

from PIL import TiffImagePlugin

from pipeline.images.format_marks import DEVELOP

NEW_SUBFILE_TYPE, BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLES_PER_PIXEL = 254, 258, 262, 277  # numbers of tags
SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT, DNG_VERSION = 330, 338, 339, 50706
GREY, INKS = (0, 1), 5  # values of PHOTOMETRIC; print colours can come with spot colours, which are left out
KINDS_OF_NUMBER = {1: "", 2: " signed", 3: " floating point", 4: "", 5: " complex", 6: " complex"}


def tiff_fault(tags: Mapping[int, Any]) -> str:
    """Why a page is not an image in grey or colour, and what to do; empty if it is one. tags: Pillow's values by number."""
    bands = int(tags.get(SAMPLES_PER_PIXEL, 1))
    is_reduced = bool(int(tags.get(NEW_SUBFILE_TYPE, 0)) & 1)
    if DNG_VERSION in tags or (SUB_IFDS in tags and is_reduced):
        return f"a raw photograph, of which only the preview could be read: {DEVELOP}"
    photometric, extra = tags.get(PHOTOMETRIC), _numbers(tags.get(EXTRA_SAMPLES))
    is_grey_and_more = photometric in GREY and (bands > 2 or (bands == 2 and extra == (0,)))  # Pillow would read the first of two bands
    if is_grey_and_more or (bands > 4 and photometric != INKS):
        return f"{bands} bands: export the bands that you need as RGB or grey"
    return ""


def why_tiff_not_read(encoded: bytes) -> str:
    """Why Pillow reads no pixels of a TIFF, and what to do."""
    try:
        tags = _first_page(encoded)
        bits, kind = _numbers(tags.get(BITS_PER_SAMPLE)) or (1,), _numbers(tags.get(SAMPLE_FORMAT)) or (1,)
        pixels = f"{int(tags.get(SAMPLES_PER_PIXEL, 1))} x {bits[0]} bits{KINDS_OF_NUMBER.get(kind[0], '')}"
        return tiff_fault(tags) or f"TIFF with pixels of {pixels} is not read: export it as PNG of 8 or 16 bits"
    except Exception:  # on damaged files, Pillow's reader of tags raises nearly any exception
        return "cannot be decoded: a damaged TIFF"


def _first_page(encoded: bytes) -> Mapping[int, Any]:
    """The tags of the first page. In a BigTIFF the header is 16 bytes long, not 8."""
    file = io.BytesIO(encoded)
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(16 if 43 in (encoded[2], encoded[3]) else 8))
    file.seek(tags.next)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow only warns if a page is cut off
        tags.load(file)
    if not len(tags):
        raise ValueError("a page without tags")
    return tags


def _numbers(value: Any) -> tuple[int, ...]:
    """The values of a tag, of which Pillow gives a single one as a number."""
    return () if value is None else tuple(map(int, value)) if isinstance(value, tuple) else (int(value),)
