"""The facts about a decoded image: size, colour mode, format, digest of the pixels, fingerprint. Bytes in, one row out."""

import numpy as np

from pipeline.images.decoding import COLOUR_MODES, FORMATS, GREY_MODES, decode, pixel_digest
from pipeline.quality.fingerprints import FINGERPRINT_BYTES, fingerprint

MODES = (*GREY_MODES, *COLOUR_MODES)
FACTS = np.dtype(
    [
        ("pixels", "V32"),  # sha256 of mode, size and pixels
        ("width", "<u4"),  # in px, once upright
        ("height", "<u4"),
        ("mode", "u1"),  # index into MODES: Pillow's mode in the file
        ("format", "u1"),  # index into FORMATS
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


def inspect(encoded: bytes) -> tuple[object, ...]:
    """The fields of FACTS for an encoded image. Raises ImageError if it cannot be decoded."""
    image = decode(encoded)
    mode, image_format = MODES.index(image.info["mode_in_file"]), FORMATS.index(image.format or "")
    return pixel_digest(image), image.width, image.height, mode, image_format, fingerprint(image)


def is_misnamed(path: str, image_format: int) -> bool:
    """Whether a file extension does not match the format of the content, an index into FORMATS."""
    expected = FORMATS_OF.get(path[path.rfind(".") :].lower())
    return expected is not None and FORMATS[image_format] not in expected
