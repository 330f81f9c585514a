"""Images that were taken out of a container, as pixels or as encoded bytes. Each is a callable that gives encoded bytes, and can be pickled."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.errors import ImageError
from pipeline.images.decoding import encode_png

IMAGES_READ_AT_ONCE = 1024
BYTES_READ_AT_ONCE = 32 * 2**20


@dataclass(frozen=True)
class Pixels:
    """Encodes pixels without loss: uint8 (H, W), (H, W, 3) or (H, W, 4) and uint16 (H, W) as PNG, float32 (H, W) as TIFF."""

    pixels: np.ndarray

    def __call__(self) -> bytes:
        if self.pixels.dtype == np.uint8 and self.pixels.shape[2:] in ((), (3,)):
            return encode_png(self.pixels)
        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, suffix_of(self.pixels.dtype)[1:])
        return buffer.getvalue()


@dataclass(frozen=True)
class EncodedImage:
    """Returns an image that is already encoded. Raises ImageError if its row has none."""

    content: bytes | None

    def __call__(self) -> bytes:
        if not self.content:
            raise ImageError("its row has no image", "empty")
        return self.content


def suffix_of(dtype: np.dtype) -> str:
    """The extension of the files that Pixels of this type become."""
    return ".tiff" if dtype.kind == "f" else ".png"


def images_at_once(image_bytes: int) -> int:
    """The number of images to read at a time: a thousand, or some megabytes."""
    return max(1, min(IMAGES_READ_AT_ONCE, BYTES_READ_AT_ONCE // max(1, image_bytes)))


def is_encoded_image(content: bytes) -> bool:
    """Whether bytes start like an image file that Pillow knows."""
    try:
        with Image.open(io.BytesIO(content)):
            return True
    except Exception:  # on damaged files, Pillow raises nearly any exception
        return False
