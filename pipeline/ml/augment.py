"""Random transforms of training images: one affine matrix and one erased box per image. NumPy and SciPy; no TensorFlow.

The matrices go from output to input: pixel (x, y) of the result is taken from (a0 x + a1 y + a2, a3 x + a4 y + a5), as in TensorFlow's
ImageProjectiveTransformV3, which applies them while fitting (`warp.py`). Here `warp` does the same, for the preview and as the reference in tests.
"""

import numpy as np
from scipy.ndimage import affine_transform

from pipeline.config import Augment, Fill

IDENTITY = np.array([1, 0, 0, 0, 1, 0, 0, 0], np.float32)


def moves_between_pixels(augment: Augment) -> bool:
    """Whether transforms need interpolation: all but a flip do."""
    return any((augment.rotation_degrees, augment.shift_fraction, augment.shear_degrees, augment.zoom_fraction))


def sample_transforms(augment: Augment, count: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Transforms float32 (count, 8) about the image's centre: shift, then rotation, shear, zoom and flip, composed into one matrix each."""
    angle = np.radians(_symmetric(augment.rotation_degrees, count, rng))
    shear = np.radians(_symmetric(augment.shear_degrees, count, rng))
    zoom = 1 + _symmetric(augment.zoom_fraction, count, rng)
    shift_x = _symmetric(augment.shift_fraction, count, rng) * width
    shift_y = _symmetric(augment.shift_fraction, count, rng) * height
    flip = np.where(rng.random(count) < (0.5 if augment.horizontal_flip else 0.0), -1.0, 1.0)
    # inverse of flip . zoom . shear . rotation, column by column
    xx, xy = np.cos(angle) * flip / zoom, (np.cos(angle) * np.tan(shear) - np.sin(angle)) / zoom
    yx, yy = np.sin(angle) * flip / zoom, (np.sin(angle) * np.tan(shear) + np.cos(angle)) / zoom
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    moved_x, moved_y = centre_x + shift_x, centre_y + shift_y
    transforms = np.zeros((count, 8))
    transforms[:, 0], transforms[:, 1], transforms[:, 2] = xx, xy, centre_x - xx * moved_x - xy * moved_y
    transforms[:, 3], transforms[:, 4], transforms[:, 5] = yx, yy, centre_y - yx * moved_x - yy * moved_y
    return transforms.astype(np.float32)


def sample_boxes(augment: Augment, count: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Boxes int32 (count, 4), top, left, bottom, right: wholly inside the image, anywhere; empty where nothing is erased. DeVries and Taylor, 2017."""
    side_y, side_x = round(height * augment.erase_fraction), round(width * augment.erase_fraction)
    top = rng.integers(0, height - side_y, count, endpoint=True)
    left = rng.integers(0, width - side_x, count, endpoint=True)
    return np.stack([top, left, top + side_y, left + side_x], axis=1).astype(np.int32)


def warp(images: np.ndarray, transforms: np.ndarray, fill: Fill) -> np.ndarray:
    """The images moved by their transforms, uint8 (N, H, W, C), bilinear; what comes in from outside is as `fill` says."""
    mode = "grid-constant" if fill == "constant" else fill
    result = np.empty_like(images)
    for image, (xx, xy, x, yx, yy, y, _, _), moved in zip(images, transforms.astype(np.float64), result, strict=True):
        matrix, offset = np.array([[yy, yx], [xy, xx]]), np.array([y, x])
        for channel in range(image.shape[-1]):
            plane = affine_transform(image[..., channel].astype(np.float64), matrix, offset, order=1, mode=mode)
            moved[..., channel] = np.clip(np.rint(plane), 0, 255)
    return result


def erase(images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The images uint8 (N, H, W, C) with their boxes set to the mean colour of all of them."""
    result = images.copy()
    mean = images.mean(axis=(0, 1, 2)).astype(np.uint8)
    for image, (top, left, bottom, right) in zip(result, boxes, strict=True):
        image[top:bottom, left:right] = mean
    return result


def _symmetric(limit: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform numbers from -limit to limit, float64 (count,)."""
    return rng.uniform(-1.0, 1.0, count) * limit
