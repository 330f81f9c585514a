"""The facts about a decoded image: size, colour mode, format, digest of the pixels, values, fingerprint. Bytes in, one row out."""

from typing import cast

import numpy as np
from PIL import Image

from pipeline.images.decoding import COLOUR_MODES, FORMATS, GREY_MODES, MOST_PIXELS, decode, pixel_digest
from pipeline.images.frames import count_frames
from pipeline.images.large_jpegs import jpeg_digest
from pipeline.images.sharpness import of_pixels
from pipeline.images.values import Extremes, find_extremes, is_deep, is_floating, values_of
from pipeline.quality.fingerprints import FINGERPRINT_BYTES, FLAT_RANGE, fingerprint_of_plain, plain

MODES = (*GREY_MODES, *COLOUR_MODES)
EIGHT_BITS, SIXTEEN_BIT_COLOUR, WHOLE_NUMBERS, FLOATING = range(4)  # what the values of an image are; the last two are deep
NEARLY_BLACK = 15  # of 255
NOT_DEEP = Extremes(0, 0, 0, 0, 0)
VALUES = np.dtype([("least", "<f8"), ("most", "<f8"), ("core_least", "<f8"), ("core_most", "<f8"), ("not_finite", "<u4")])
FACTS = np.dtype(
    [
        ("pixels", "V32"),  # sha256 of mode, size and pixels, or `jpeg_digest` if it is scaled
        ("scaled", "?"),  # it was decoded at a smaller scale, as large JPEGs are
        ("width", "<u4"),  # in px, once upright
        ("height", "<u4"),
        ("mode", "u1"),  # index into MODES: Pillow's mode in the file
        ("format", "u1"),  # index into FORMATS
        ("depth", "u1"),  # EIGHT_BITS, …
        ("one_colour", "?"),  # all pixels are the same
        ("brightest", "u1"),  # the largest value of 8 bits, if it is at most NEARLY_BLACK; 255 for all others
        ("frames", "<u2"),  # images in the file, of which the first is read
        ("sharpness", "<f4"),
        ("blockiness", "<f4"),  # as in images/sharpness.py
        ("values", VALUES),  # Extremes of a deep image, zeros for others
        ("fingerprint", "u1", (FINGERPRINT_BYTES,)),
    ]
)
FORMATS_OF = {
    ".jpg": ("JPEG", "MPO"),
    ".jpeg": ("JPEG", "MPO"),
    ".jpe": ("JPEG", "MPO"),
    ".png": ("PNG",),
    ".webp": ("WEBP",),
    ".gif": ("GIF",),
    ".bmp": ("BMP",),
    ".tif": ("TIFF",),
    ".tiff": ("TIFF",),
    ".ppm": ("PPM",),
    ".pgm": ("PPM",),
    ".avif": ("AVIF",),
    ".jp2": ("JPEG2000",),
    ".heic": ("HEIF",),
    ".heif": ("HEIF",),
    ".hif": ("HEIF",),
}


def inspect(encoded: bytes, max_pixels: int = MOST_PIXELS) -> tuple[object, ...]:
    """The fields of FACTS for an encoded image. Raises ImageError if it cannot be decoded or has more than `max_pixels`."""
    image = decode(encoded, max_pixels=max_pixels, reduce_large_jpegs=True)
    if "reduced" in image.info:
        if row := _inspect_scaled(image, encoded):
            return row
        image = decode(encoded, max_pixels=max_pixels)
    mode, image_format = MODES.index(image.info["mode_in_file"]), FORMATS.index(image.format or "")
    found = find_extremes(values_of(image)) if is_deep(image) else None
    seen = plain(image, found)
    fingerprint, shades = fingerprint_of_plain(seen)
    looks = _looks_of_deep(image, found) if found else _looks(image, seen, *shades)
    frames = count_frames(encoded, image.format or "")
    size = (image.width, image.height)
    return pixel_digest(image), False, *size, mode, image_format, *looks, frames, *of_pixels(seen), found or NOT_DEEP, fingerprint


def content_digest(image: Image.Image, encoded: bytes) -> bytes:
    """`pixels` of FACTS, for an image that `decode` has decoded at a smaller scale if it is a large JPEG; of a flat one this is another digest."""
    return jpeg_digest(image, encoded, image.info["reduced"]) if "reduced" in image.info else pixel_digest(image)


def _inspect_scaled(image: Image.Image, encoded: bytes) -> tuple[object, ...] | None:
    """The fields of FACTS for a JPEG that was decoded at a smaller scale; None if that does not tell them, since its thumbnail is flat."""
    seen = plain(image)
    fingerprint, (darkest, brightest) = fingerprint_of_plain(seen, image.info["full_size"])
    if brightest - darkest <= FLAT_RANGE:
        return None
    mode, image_format = MODES.index(image.info["mode_in_file"]), FORMATS.index(image.format or "")
    digest = content_digest(image, encoded)
    size = image.info["full_size"]
    return digest, True, *size, mode, image_format, EIGHT_BITS, False, 255, 1, *of_pixels(seen), NOT_DEEP, fingerprint


def _looks(image: Image.Image, seen: Image.Image, darkest: int, brightest: int) -> tuple[int, bool, int]:
    """depth, one_colour and brightest of an image of 8 bits. Its pixels are counted only if the thumbnail is flat or dark: it takes long."""
    depth = SIXTEEN_BIT_COLOUR if image.info.get("sixteen_bit_colour") else EIGHT_BITS
    if brightest > NEARLY_BLACK and brightest - darkest > 1:  # a thumbnail of one colour may be off by one
        return depth, False, 255
    bands = [cast(tuple[int, int], band.getextrema()) for band in seen.split()]
    most = max(high for _, high in bands)
    return depth, all(low == high for low, high in bands), most if most <= NEARLY_BLACK else 255


def _looks_of_deep(image: Image.Image, found: Extremes) -> tuple[int, bool, int]:
    return FLOATING if is_floating(image) else WHOLE_NUMBERS, found.least == found.most or not np.isfinite(found.least), 255


def is_misnamed(path: str, image_format: int) -> bool:
    """Whether a file extension does not match the format of the content, an index into FORMATS."""
    expected = FORMATS_OF.get(path[path.rfind(".") :].lower())
    return expected is not None and FORMATS[image_format] not in expected
