"""From an image as people have it to the array that a network takes. Bytes and arrays only; Pillow decodes.

`preprocess` uses it for every image, and the registered model carries it along: both prepare an image with the same code.
"""

import io
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageFile, ImageOps

from pipeline.errors import SourceError

GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
MOST_PIXELS = 100_000_000
RESAMPLING = Image.Resampling.BICUBIC  # Pillow widens the filter when it shrinks an image: no aliasing


@dataclass(frozen=True)
class ImageSpec:
    """What a network takes: height and width in px, 1 or 3 channels, and how an image of another shape is fitted in."""

    height: int
    width: int
    channels: int
    resize: Literal["pad", "crop", "stretch"]


@dataclass(frozen=True)
class Description:
    """An image as it was found: width and height in px once upright, Pillow's mode, whether it is grey."""

    width: int
    height: int
    mode: str
    grey: bool


def describe(encoded: bytes) -> Description:
    """The description of an encoded image that has been decoded whole. Raises SourceError where that fails."""
    image = decode(encoded)
    mode = image.info.get("mode_in_file", image.mode)
    return Description(image.width, image.height, mode, mode in GREY_MODES)


def decode(encoded: bytes) -> Image.Image:
    """An image, decoded whole and turned upright; its `info` has the mode in the file. Raises SourceError for what cannot be decoded."""
    if not encoded:
        raise SourceError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Image.Image = Image.open(io.BytesIO(encoded))
            if image.width * image.height > MOST_PIXELS:
                raise SourceError(f"{image.width} x {image.height} px is more than {MOST_PIXELS // 1_000_000} million pixels")
            mode = image.mode
            if ImageFile.LOAD_TRUNCATED_IMAGES:
                raise AssertionError("Pillow is set to accept truncated images")
            image.load()
            image = ImageOps.exif_transpose(image)
    except SourceError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly everything on damaged files
        raise SourceError(_reason(error)) from None
    image.info["mode_in_file"] = mode
    return image


def encoded_to_input(encoded: bytes, spec: ImageSpec) -> np.ndarray:
    """uint8 (height, width, channels) of an encoded image. Raises SourceError for what cannot be decoded."""
    return image_to_input(decode(encoded), spec)


def array_to_input(image: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """uint8 (height, width, channels) of an array uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4). Raises SourceError for another one."""
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    values_fit = np.issubdtype(image.dtype, np.integer) and image.size > 0 and image.min() >= 0 and image.max() <= 255
    if not values_fit or not (image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in (3, 4))):
        raise SourceError(
            f"expected whole numbers 0 to 255 of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), found {image.dtype} {image.shape}"
        )
    return image_to_input(Image.fromarray(image.astype(np.uint8)), spec)


def image_to_input(image: Image.Image, spec: ImageSpec) -> np.ndarray:
    """uint8 (height, width, channels) of a decoded image: transparency on white, 8 bits, grey or colour, resized."""
    image = _to_eight_bits(image)
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    image = image.convert("L" if spec.channels == 1 else "RGB")
    resized = np.asarray(_resize(image, spec))
    return resized.reshape(spec.height, spec.width, spec.channels)


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG of an array uint8 (H, W) or (H, W, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """16 bits by division, other depths as Pillow has them."""
    if image.mode.startswith("I"):
        pixels = np.asarray(image).astype(np.int64)
        return Image.fromarray(np.clip(pixels // 257 if pixels.max(initial=0) > 255 else pixels, 0, 255).astype(np.uint8))
    return image


def _resize(image: Image.Image, spec: ImageSpec) -> Image.Image:
    size = (spec.width, spec.height)
    if image.size == size:
        return image
    if spec.resize == "stretch":
        return image.resize(size, RESAMPLING)
    if spec.resize == "crop":
        return ImageOps.fit(image, size, RESAMPLING)
    return ImageOps.pad(image, size, RESAMPLING, color=0)


def _reason(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0]
    if "cannot identify image file" in text:
        return "not an image that Pillow can read"
    return f"cannot be decoded: {text or type(error).__name__}"
