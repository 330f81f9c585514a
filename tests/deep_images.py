"""Images of more than 8 bits per channel, as microscopes, satellites and simulations write them."""

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def encoded(pixels: np.ndarray) -> bytes:
    """A PNG of an array uint8 or uint16, a TIFF of one int32 or float32; (H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG" if pixels.dtype in (np.uint8, np.uint16) else "TIFF")
    return buffer.getvalue()


def colour_png(pixels: np.ndarray) -> bytes:
    """A PNG with 16 bits per channel of an array uint16 (H, W, 3), which Pillow cannot write."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content)) for kind, content in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def colour_tiff(pixels: np.ndarray) -> bytes:
    """A TIFF with 16 bits per channel of an array uint16 (H, W, 3), which Pillow cannot write."""
    height, width = pixels.shape[:2]
    start = 8 + 2 + 9 * 12 + 4  # the header, and a directory of nine tags
    content = pixels.astype("<u2").tobytes()
    tags = {256: width, 257: height, 258: (3, start), 259: 1, 262: 2, 273: start + 6, 277: 3, 278: height, 279: len(content)}
    entries = (
        struct.pack("<HHII", tag, 3 if tag == 258 else 4, *(value if isinstance(value, tuple) else (1, value)))
        for tag, value in tags.items()
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(entries) + bytes(4) + struct.pack("<3H", 16, 16, 16) + content


def unsigned_tiff(pixels: np.ndarray) -> bytes:
    """A TIFF of an array uint32 (H, W): that of the same bits as signed numbers, called unsigned."""
    signed = struct.pack("<HHIH", 339, 3, 1, 2)
    content = encoded(pixels.view(np.int32))
    assert content.count(signed) == 1
    return content.replace(signed, struct.pack("<HHIH", 339, 3, 1, 1))


def write_images(folder: Path, images: Mapping[str, bytes]) -> Path:
    """Files by their paths below a folder, each with the extension of its format."""
    for name, content in images.items():
        path = folder / f"{name}.{'png' if content[1:4] == b'PNG' else 'tif'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
