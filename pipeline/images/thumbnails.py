"""Thumbnails for pages. Pillow images in, encoded bytes out."""

import io

from PIL import Image

from pipeline.images.decoding import GREY_MODES, ImageSpec, image_to_input
from pipeline.images.values import stretch

LARGEST_PNG_BYTES = 4096


def thumbnail(image: Image.Image, most_px: int = 64) -> bytes:
    """A thumbnail of a decoded image, at most `most_px` high and wide, never enlarged: a PNG, or a JPEG if the PNG is larger than 4 kB.

    Transparency becomes white; an image of more than 8 bits is shown from its own least to its own largest value. The same image gives the same bytes.
    """
    scale = min(1.0, most_px / max(image.size))
    width, height = (max(1, round(scale * side)) for side in image.size)
    pixels = image_to_input(stretch(image), ImageSpec(height, width, 1 if image.mode in GREY_MODES else 3, "stretch"))
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    png = _encode(picture, "PNG")
    return png if len(png) <= LARGEST_PNG_BYTES else _encode(picture, "JPEG")


def _encode(picture: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=image_format, optimize=True, quality=85)
    return buffer.getvalue()
