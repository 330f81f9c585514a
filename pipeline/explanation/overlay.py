"""A map over its image, as a picture. Arrays in, encoded bytes and words out; no TensorFlow."""

import io
import math

import numpy as np
from PIL import Image

SIDE_PX = 160
SMALL_PX = 63
FOR, AGAINST = (213, 94, 0), (0, 114, 178)
"""Vermilion and blue, which colour-blind people tell apart. Source: Okabe and Ito (2008), Color universal design."""
MOST_COVERED = 0.85
DIMMED = 0.8
"""How bright the grey image is left, so that colours stand out on white."""
JPEG_QUALITY = 85
ROWS, COLUMNS = ("top", "", "bottom"), ("left", "", "right")


def enlarged(image: np.ndarray) -> Image.Image:
    """An image, uint8 (H, W, 1) or (H, W, 3), about SIDE_PX high or wide: small ones enlarged by a whole factor, large ones reduced."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    longest = max(picture.size)
    if longest > SIDE_PX:
        picture.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        return picture
    factor = math.ceil(SIDE_PX / longest)
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def picture(image: np.ndarray) -> bytes:
    """The image itself, uint8 (H, W, C): a small one as a PNG of its own size, for a page that enlarges it; a large one reduced, as a JPEG."""
    if max(image.shape[:2]) > SMALL_PX:
        return _encoded(enlarged(image), "JPEG")
    return _encoded(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), "PNG")


def overlay(image: np.ndarray, places: np.ndarray) -> bytes:
    """A JPEG of the image in grey, uint8 (H, W, C), covered by its map, float (h, w): FOR above 0, AGAINST below, as far as the strongest place is."""
    picture = enlarged(image).convert("L")
    strength = scaled(places, picture.width, picture.height)[..., None]
    grey = DIMMED * np.asarray(picture, np.float32)[..., None]
    colour = np.where(strength > 0, np.array(FOR, np.float32), np.array(AGAINST, np.float32))
    cover = MOST_COVERED * np.abs(strength)
    blended = np.rint((1 - cover) * grey + cover * colour).astype(np.uint8)
    return _encoded(Image.fromarray(blended), "JPEG")


def _encoded(picture: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=image_format, quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def scaled(places: np.ndarray, width: int, height: int) -> np.ndarray:
    """float32 (height, width), -1 to 1: a map, float (h, w), at another size, divided by its largest absolute value; zeros if it has none."""
    most = float(np.abs(places).max(initial=0))
    if not np.isfinite(most) or most == 0:
        return np.zeros((height, width), np.float32)
    resized = Image.fromarray((places / most).astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    clipped: np.ndarray = np.clip(np.asarray(resized), -1, 1)
    return clipped


def strongest(places: np.ndarray) -> str:
    """Where a map, float (h, w), is largest, in words for those who cannot see it: "top left", "centre"; "nowhere" if nothing is above 0."""
    if not places.max(initial=0) > 0:
        return "nowhere"
    row, column = (
        int((at + 0.5) * 3 / side) for at, side in zip(np.unravel_index(int(places.argmax()), places.shape), places.shape, strict=True)
    )
    return " ".join(filter(None, (ROWS[row], COLUMNS[column]))) or "centre"
