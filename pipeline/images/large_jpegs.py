"""Large JPEGs are decoded at 1/2, 1/4 or 1/8, where all pixels are not needed: most of the time then goes into the entropy decoding. Pillow only.

The scale follows from the size alone, so that the same file always gives the same pixels: see `reduce_large`. The scaled pixels do not tell whether
all pixels are the same, so the digest of such an image has two halves, see `jpeg_digest`.
"""

import hashlib
from collections.abc import Iterator

from PIL import Image

LARGE_PIXELS = 4_000_000
LEAST_SIDE_PX = 240  # of the shorter side after scaling: five times what a fingerprint is made from
SCALES = (8, 4, 2)
JPEG_FORMATS = ("JPEG", "MPO")
KEY_BYTES = 8

START_OF_SCAN = 0xDA
WITHOUT_LENGTH = (0x01, *range(0xD0, 0xDA))
COSINE_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # the other kinds of frames are not made of cosines, or not read
FRAMES = tuple(marker for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC))
COMMENT = 0xFE
APPLICATION = range(0xE0, 0xF0)
OF_COLOURS = {0xE0: (b"JFIF\0", 5), 0xEE: (b"Adobe", 12)}  # application segments that change the colours: start, and how many bytes do


def is_large(image: Image.Image) -> bool:
    """Whether an opened image is a JPEG of more than LARGE_PIXELS."""
    return image.format in JPEG_FORMATS and image.width * image.height > LARGE_PIXELS


def reduce_large(image: Image.Image, encoded: bytes) -> int:
    """The scale at which an opened image will be decoded: 8, 4 or 2 for a large JPEG, else 1.

    It is the largest at which the shorter side keeps LEAST_SIDE_PX. Not reduced are files of an unusual structure, whose digest would be in doubt.
    """
    if not is_large(image) or not list(_decisive(encoded)):
        return 1
    width, height = image.size
    scale = next((scale for scale in SCALES if min(width, height) >= scale * LEAST_SIDE_PX), 1)
    if scale > 1:
        image.draft(None, (width // scale, height // scale))
    return scale


def jpeg_digest(scaled: Image.Image, encoded: bytes, about: str) -> bytes:
    """32 bytes of a large JPEG that was decoded at a smaller scale. about: scale, mode, size and orientation.

    The first 8, the key of an image, are of the sha256 of the scaled pixels: compressing the same coefficients in another way does not change them. The
    others are of the sha256 of the compressed image, without metadata: two images with equal digests have the same pixels.
    """
    pixels = hashlib.sha256(f"JPEG {about}: {scaled.mode} {scaled.width} {scaled.height} ".encode())
    pixels.update(scaled.tobytes())
    compressed = hashlib.sha256(f"JPEG {about} ".encode())
    for part in _decisive(encoded):
        compressed.update(part)
    return pixels.digest()[:KEY_BYTES] + compressed.digest()[KEY_BYTES:]


def _decisive(encoded: bytes) -> Iterator[memoryview]:
    """The parts of a JPEG that decide its pixels, but for EXIF's orientation; nothing if its structure is unusual.

    That is all but comments and application segments before the first scan, and all from there.
    """
    content, at = memoryview(encoded), 2
    parts: list[memoryview] = []
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == START_OF_SCAN:
            yield from [*parts, content[at:]]
            return
        if marker in WITHOUT_LENGTH or marker == 0xFF or (marker in FRAMES and marker not in COSINE_FRAMES):
            return
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker in OF_COLOURS and encoded.startswith(OF_COLOURS[marker][0], at + 4):
            parts.append(content[at + 4 : at + 4 + OF_COLOURS[marker][1]])
        elif marker not in (*APPLICATION, COMMENT):
            parts.append(content[at:end])
        at = end
