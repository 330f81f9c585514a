"""How many pages or frames a file has, of which only the first is read. Bytes in, a number out."""

import io
import warnings
from collections.abc import Callable

from PIL import Image, TiffImagePlugin

from pipeline.images.tiff_pages import NEW_SUBFILE_TYPE

REDUCED_OR_MASK = 0b101  # bits of NEW_SUBFILE_TYPE: a page that is a thumbnail or a mask of another one
MOST_COUNTED = 65535
ANIMATED = 0b10  # in the flags of an extended WebP


def count_frames(encoded: bytes, image_format: str) -> int:
    """The pages of a TIFF, the frames of an animated PNG, GIF or WebP; 1 for all others, MPO and HEIC included, and if the rest of the file is damaged.

    At most MOST_COUNTED. image_format: one of FORMATS, that of an image which can be decoded.
    """
    count = COUNTERS.get(image_format)
    return min(count(encoded), MOST_COUNTED) if count else 1


def _of_png(encoded: bytes) -> int:
    return _told_by_pillow(encoded, "PNG") if encoded.find(b"acTL", 0, encoded.find(b"IDAT")) > 0 else 1


def _of_webp(encoded: bytes) -> int:
    return _told_by_pillow(encoded, "WEBP") if encoded[12:16] == b"VP8X" and encoded[20] & ANIMATED else 1


def _of_gif(encoded: bytes) -> int:
    return _told_by_pillow(encoded, "GIF")


def _told_by_pillow(encoded: bytes, image_format: str) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(getattr(Image.open(io.BytesIO(encoded), formats=[image_format]), "n_frames", 1))
    except Exception:  # on damaged frames, Pillow raises nearly any exception
        return 1


def _of_tiff(encoded: bytes) -> int:
    """Pages that are not a smaller version or a mask of another one. Their tags are read, their pixels are not."""
    file = io.BytesIO(encoded)
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(16 if 43 in (encoded[2], encoded[3]) else 8))
    at, seen, pages = tags.next, set[int](), 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow only warns if a page is cut off
            while at and at not in seen:
                seen.add(at)
                file.seek(at)
                tags.load(file)
                pages += bool(len(tags)) and not int(tags.get(NEW_SUBFILE_TYPE, 0)) & REDUCED_OR_MASK
                at = tags.next
    except Exception:  # on damaged files, Pillow's reader of tags raises nearly any exception
        return max(1, pages)
    return max(1, pages)


COUNTERS: dict[str, Callable[[bytes], int]] = {"PNG": _of_png, "WEBP": _of_webp, "GIF": _of_gif, "TIFF": _of_tiff}
