"""From an encoded image to the input array of a network. Bytes and arrays only; Pillow decodes.

Used by `preprocess`, and shipped with the registered model, so that both prepare images with the same code.
"""

import functools
import hashlib
import io
import logging
import math
import re
import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, TiffImagePlugin

from pipeline.errors import ImageError, SourceError
from pipeline.images.formats import SNIFF_BYTES, identify, why_not_read
from pipeline.images.header_formats import HEIC
from pipeline.images.large_jpegs import is_large, reduce_large
from pipeline.images.tiff_pages import tiff_fault, why_tiff_not_read
from pipeline.images.values import is_deep, note_samples, scale_values, to_eight_bits, values_of

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "HEIF")
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
MOST_PIXELS = 100_000_000  # of an image for a model that says nothing else
RESAMPLING = Image.Resampling.BICUBIC  # Pillow widens the filter when it shrinks an image: no aliasing
PIXELS_AT_ONCE = 100_000
TURNED = range(5, 9)  # orientations by EXIF that swap width and height
DECODED_AT = 2  # an image larger than this many times the target size is first reduced by averaging blocks, as in Pillow's thumbnails


@dataclass(frozen=True)
class ImageSpec:
    """The input of a network: height and width in px, 1 or 3 channels, and how images of another shape are resized.

    value_range: the values of images of more than 8 bits per channel that become 0 and 255; None if the data set has no such images. max_pixels: larger
    images are refused.
    """

    height: int
    width: int
    channels: int
    resize: Literal["pad", "crop", "stretch"]
    value_range: tuple[float, float] | None = None
    max_pixels: int = MOST_PIXELS

    def described(self) -> dict[str, Any]:
        """The part of spec.json about images; without what is as in most data sets."""
        usual = {"value_range": None, "max_pixels": MOST_PIXELS}
        return {name: value for name, value in asdict(self).items() if name not in usual or value != usual[name]}

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> "ImageSpec":
        """The spec in the content of a spec.json, also one of an earlier version."""
        spec = cls(*(described[name] for name in ("height", "width", "channels", "resize")))
        low_high, most = described.get("value_range"), described.get("max_pixels", MOST_PIXELS)
        return replace(spec, value_range=(low_high[0], low_high[1]) if low_high else None, max_pixels=most)


def decode(
    encoded: bytes, spec: ImageSpec | None = None, max_pixels: int = MOST_PIXELS, *, reduce_large_jpegs: bool = False
) -> Image.Image:
    """A decoded image, turned upright. Raises ImageError if it cannot be decoded.

    Its `info` has `mode_in_file`, and what `note_samples` finds. With a `spec`, which has a limit of pixels of its own, a JPEG of more than twice its
    size is decoded at 1/2, 1/4 or 1/8 (the inverse cosine transform averages blocks of pixels). With `reduce_large_jpegs`, a large JPEG is decoded as
    `reduce_large` says; then `info` has `full_size`, upright, and `reduced`, in words.
    """
    if not encoded:
        raise ImageError("empty file", "empty")
    most = spec.max_pixels if spec else max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = _open(encoded, most)
            _check(image, most)
            samples: dict[str, Any] = note_samples(image, encoded)
            if spec and (image.format == "JPEG" or is_large(image)):
                _draft(image, spec)
            full_size, scale = image.size, reduce_large(image, encoded) if reduce_large_jpegs else 1
            image.load()
            upright = _turn_upright(image)
            samples |= _of_reduced(full_size, scale, 1 if upright is image else _orientation(image)) if scale > 1 else {}
    except SourceError:
        raise
    except Image.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        raise ImageError(f"{int(found[0]) if found else 0:,} px is more than {_limit_in_words(most)}", "too_large") from None
    except Exception as error:  # on damaged files, Pillow's decoders raise nearly any exception
        raise ImageError(_reason(error, encoded)) from None
    upright.info.update(samples, mode_in_file=image.mode)
    upright.format = image.format
    return upright


def pixel_digest(image: Image.Image) -> bytes:
    """sha256 (32 bytes) of a decoded image: mode, size and pixels; palettes are replaced by their colours. Of a deep image, the values in the file."""
    if is_deep(image):
        values = values_of(image)
        mode = "I;16" if values.dtype == np.uint16 else "I unsigned" if values.dtype == np.uint32 else image.mode
        header = f"{mode} {image.width} {image.height} ".encode()
        return hashlib.sha256(header + values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()).digest()
    if image.mode in ("P", "PA", "1"):
        image = image.convert("L" if image.mode == "1" else "RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    digest = hashlib.sha256(f"{image.mode} {image.width} {image.height} ".encode())
    rows = max(1, PIXELS_AT_ONCE // image.width)
    for top in range(0, image.height, rows):  # a part stays in the processor's cache
        bottom = min(top + rows, image.height)
        digest.update((image.crop((0, top, image.width, bottom)) if rows < image.height else image).tobytes())
    return digest.digest()


def encoded_to_input(encoded: bytes, spec: ImageSpec) -> np.ndarray:
    """uint8 (height, width, channels) of an encoded image. Raises ImageError if it cannot be decoded."""
    return image_to_input(decode(encoded, spec), spec)


def array_to_input(image: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """uint8 (height, width, channels) of an array uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4). Raises SourceError for any other array.

    With a spec that has a range of values, also of an array (H, W) or (H, W, 1) of numbers of another type.
    """
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if spec.value_range and image.ndim == 2 and image.size and image.dtype != np.uint8 and image.dtype.kind in "iuf":
        image = scale_values(image, spec.value_range)
    values_fit = np.issubdtype(image.dtype, np.integer) and image.size > 0 and image.min() >= 0 and image.max() <= 255
    if not values_fit or not (image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in (3, 4))):
        raise SourceError(
            f"expected whole numbers from 0 to 255 of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), found {image.dtype} {image.shape}"
        )
    return image_to_input(Image.fromarray(image.astype(np.uint8)), spec)


def image_to_input(image: Image.Image, spec: ImageSpec) -> np.ndarray:
    """uint8 (height, width, channels) of a decoded image: transparency on white, 8 bits, grey or colour, resized."""
    image = to_eight_bits(image, spec.value_range)
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    mode = "L" if spec.channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    resized = np.asarray(_resize(image, spec))
    return resized.reshape(spec.height, spec.width, spec.channels)


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG of an array uint8 (H, W), grey, or (H, W, 3), RGB. Four times as fast as Pillow's on images of 28 px."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + pixels[0].size), np.uint8)  # each row starts with 0, which means no filter
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), level=1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, content) for kind, content in parts)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _formats(encoded: bytes) -> tuple[str, ...]:
    """The formats of FORMATS that an image can have. Not among them: obscure formats, and those that run another program, such as PostScript."""
    is_heic = encoded[4:8] == b"ftyp" and identify(encoded[:SNIFF_BYTES]) is HEIC
    return _heic_format() if is_heic else _pillow_formats()


@functools.cache
def _pillow_formats() -> tuple[str, ...]:
    """Those that this Pillow supports by itself."""
    Image.init()
    logging.getLogger("PIL").addHandler(
        logging.NullHandler()
    )  # or it prints a line for each TIFF of many bands, which is an error here anyway
    return tuple(name for name in FORMATS if name in Image.OPEN and name != "HEIF")


@functools.cache
def _heic_format() -> tuple[str, ...]:
    """Lets Pillow open HEIC by another package, which takes 0.15 s to import. Images are decoded on all cores, so each on one thread."""
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    return ("HEIF",)


def _open(encoded: bytes, max_pixels: int) -> Image.Image:
    """An image, not decoded yet. Pillow refuses images of more than 179 million pixels, unless its limit is raised while it opens one."""
    usual = Image.MAX_IMAGE_PIXELS
    if usual is None or max_pixels <= 2 * usual:
        return Image.open(io.BytesIO(encoded), formats=_formats(encoded))
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        return Image.open(io.BytesIO(encoded), formats=_formats(encoded))
    finally:
        Image.MAX_IMAGE_PIXELS = usual


def _limit_in_words(max_pixels: int) -> str:
    return f"{max_pixels:,} pixels (ingest.max_pixels)"


def _check(image: Image.Image, max_pixels: int) -> None:
    """Raise ImageError, before decoding, if the image would not fit into memory or its colours cannot be converted."""
    if image.width * image.height > max_pixels:
        raise ImageError(f"{image.width} x {image.height} px is more than {_limit_in_words(max_pixels)}", "too_large")
    if isinstance(image, TiffImagePlugin.TiffImageFile) and (fault := tiff_fault(image.tag_v2)):
        raise ImageError(fault)
    if image.mode not in (*GREY_MODES, *COLOUR_MODES):
        raise ImageError(f"its colour mode {image.mode} is not supported: expected grey, RGB, CMYK, YCbCr or HSV")
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise AssertionError("Pillow is set to accept truncated images")


def _draft(image: Image.Image, spec: ImageSpec) -> None:
    """Let a JPEG be decoded at the smallest size that is at least DECODED_AT times the target size."""
    turned = _orientation(image) in TURNED
    width, height = (spec.height, spec.width) if turned else (spec.width, spec.height)
    fitted = min if spec.resize == "pad" else max
    scale = DECODED_AT * fitted(width / image.width, height / image.height)
    image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))


def _of_reduced(size: tuple[int, int], scale: int, orientation: int) -> dict[str, Any]:
    """What to note of a large JPEG of a size in the file that was decoded at a smaller scale, then turned upright."""
    reduced = f"at 1/{scale}, {size[0]} {size[1]}, orientation {orientation}"
    return {"full_size": size[::-1] if orientation in TURNED else size, "reduced": reduced}


def _orientation(image: Image.Image) -> int:
    """By EXIF, 1 to 8; 1 if it has none or another number."""
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in range(1, 9) else 1


def _turn_upright(image: Image.Image) -> Image.Image:
    """The image turned by its EXIF orientation, or as it is if EXIF is damaged."""
    if image.format == "PNG" and not image.info:  # EXIF would be there; to look for it takes 2 % of the time for an image of 28 px
        return image
    try:
        return image if _orientation(image) == 1 else ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF; the pixels are fine
        return image


def _resize(image: Image.Image, spec: ImageSpec) -> Image.Image:
    size = (spec.width, spec.height)
    if image.size == size:
        return image
    if spec.resize == "stretch":
        return image.resize(size, RESAMPLING, reducing_gap=DECODED_AT)
    if spec.resize == "crop":
        return _crop(image, size)
    scale = min(spec.width / image.width, spec.height / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    padded = Image.new(image.mode, size)
    padded.paste(image.resize(inner, RESAMPLING, reducing_gap=DECODED_AT), ((spec.width - inner[0]) // 2, (spec.height - inner[1]) // 2))
    return padded


def _crop(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The largest central part with the aspect ratio of `size`, resized to it."""
    scale = max(size[0] / image.width, size[1] / image.height)
    width, height = size[0] / scale, size[1] / scale
    left, top = (image.width - width) / 2, (image.height - height) / 2
    box = (max(left, 0.0), max(top, 0.0), min(left + width, image.width), min(top + height, image.height))
    return image.resize(size, RESAMPLING, box=box, reducing_gap=DECODED_AT)


def _reason(error: Exception, encoded: bytes) -> str:
    text = (str(error).splitlines() or [""])[0]
    if "cannot identify image file" not in text:
        return f"cannot be decoded: {text or type(error).__name__}"
    found = identify(encoded[:SNIFF_BYTES])
    return why_tiff_not_read(encoded) if found and found.name == "TIFF" else why_not_read(encoded)
