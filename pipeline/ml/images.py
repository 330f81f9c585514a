"""From an image as people have it to the array that a network takes. Bytes and arrays only; Pillow decodes.

`preprocess` uses it for every image, and the registered model carries it along: both prepare an image with the same code.
"""

import functools
import io
import struct
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from pipeline.errors import SourceError

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
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
            image: Image.Image = Image.open(io.BytesIO(encoded), formats=_formats())
            _check(image)
            image.load()
            upright = _turn_upright(image)
    except SourceError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly everything on damaged files
        raise SourceError(_reason(error)) from None
    upright.info["mode_in_file"] = image.mode
    return upright


def encoded_to_input(encoded: bytes, spec: ImageSpec) -> np.ndarray:
    """uint8 (height, width, channels) of an encoded image. Raises SourceError for what cannot be decoded."""
    return image_to_input(decode(encoded), spec)


def encoded_to_inputs(images: Iterable[bytes], spec: ImageSpec) -> np.ndarray:
    """uint8 (N, height, width, channels) of N encoded images, at least one. Raises SourceError as `encoded_to_input` does."""
    return np.stack([encoded_to_input(image, spec) for image in images])


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
    """A PNG of an array uint8 (H, W), grey, or (H, W, 3), RGB. Four times as fast as Pillow's on images of 28 px."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + pixels[0].size), np.uint8)  # each row starts with 0: it is not filtered
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), level=1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, content) for kind, content in parts)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@functools.cache
def _formats() -> list[str]:
    """The formats of FORMATS that this Pillow has. Left out are those that run another program, as PostScript does, and obscure ones."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _check(image: Image.Image) -> None:
    """Refuse, before it is decoded, what would fill the memory or has colours that cannot be converted."""
    if image.width * image.height > MOST_PIXELS:
        raise SourceError(f"{image.width} x {image.height} px is more than {MOST_PIXELS // 1_000_000} million pixels")
    if image.mode not in (*GREY_MODES, *COLOUR_MODES):
        raise SourceError(f"its colours, {image.mode}, are neither grey nor RGB, CMYK, YCbCr or HSV")
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise AssertionError("Pillow is set to accept truncated images")


def _turn_upright(image: Image.Image) -> Image.Image:
    """The image as its EXIF orientation says; as it is where EXIF is damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return image if orientation == 1 else ImageOps.exif_transpose(image)
    except Exception:  # of a damaged EXIF block; the pixels are whole
        return image


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits divided by 257. Of 32 bits too, where they exceed 8 bits; numbers with a point are taken as 0 to 1 where all are."""
    if not image.mode.startswith(("I", "F")):
        return image
    pixels = np.nan_to_num(np.asarray(image).astype(np.float64))
    most = pixels.max(initial=0)
    sixteen_bits = image.mode.startswith("I;") or (image.mode == "I" and most > 255)
    scale = 1 / 257 if sixteen_bits else 255.0 if image.mode == "F" and most <= 1 else 1.0
    return Image.fromarray(np.clip(np.rint(pixels * scale), 0, 255).astype(np.uint8))


def _resize(image: Image.Image, spec: ImageSpec) -> Image.Image:
    size = (spec.width, spec.height)
    if image.size == size:
        return image
    if spec.resize == "stretch":
        return image.resize(size, RESAMPLING)
    if spec.resize == "crop":
        return ImageOps.fit(image, size, RESAMPLING)
    scale = min(spec.width / image.width, spec.height / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    padded = Image.new(image.mode, size)
    padded.paste(image.resize(inner, RESAMPLING), ((spec.width - inner[0]) // 2, (spec.height - inner[1]) // 2))
    return padded


def _reason(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0]
    if "cannot identify image file" in text:
        return "not an image"
    return f"cannot be decoded: {text or type(error).__name__}"
