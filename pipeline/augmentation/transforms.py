"""Random transforms of training images: one affine matrix per image, and boxes to erase. NumPy and SciPy; no TensorFlow.

The matrices map output to input: pixel (x, y) of the result is taken from (a0 x + a1 y + a2, a3 x + a4 y + a5), as in TensorFlow's
ImageProjectiveTransformV3, which applies them during training (`warp.py`). Here `warp` does the same, for the preview and as the reference in tests.
"""

import math

import numpy as np
from scipy.ndimage import affine_transform

from pipeline.params.augment import Fill, FitAugment

RECTANGLE_AREA = (0.02, 0.33)
RECTANGLE_ASPECT = (0.3, 1 / 0.3)


def moves_between_pixels(augment: FitAugment) -> bool:
    """Whether transforms need interpolation: all except a flip do."""
    parameters = (augment.rotation_degrees, augment.shift_fraction, augment.shear_degrees, augment.zoom_fraction, augment.rand_augment)
    return any(parameters)


def sample_transforms(augment: FitAugment, count: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Transforms float32 (count, 8) about the image's centre: rotation, shear, zoom, flip, then shift, combined into one matrix each."""
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


def compose(transforms: np.ndarray, linear: np.ndarray, shift: np.ndarray, height: int, width: int) -> np.ndarray:
    """Transforms float32 (N, 8): `transforms`, followed by a linear map about the centre and a shift.

    linear: float (N, 2, 2), from output to input, (x, y). shift: float (N, 2), x and y in px.
    """
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    first = transforms[:, :6].astype(np.float64).reshape(-1, 2, 3)
    between = centre - np.einsum("nij,nj->ni", linear, centre + shift)
    both = np.zeros((len(transforms), 2, 3))
    both[..., :2] = first[..., :2] @ linear
    both[..., 2] = np.einsum("nij,nj->ni", first[..., :2], between) + first[..., 2]
    return np.pad(both.reshape(-1, 6), ((0, 0), (0, 2))).astype(np.float32)


def sample_boxes(augment: FitAugment, count: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Boxes int32 (count, 4), top, left, bottom, right: anywhere inside the image; empty if nothing is erased. DeVries and Taylor, 2017."""
    side_y, side_x = round(height * augment.erase_fraction), round(width * augment.erase_fraction)
    top = rng.integers(0, height - side_y, count, endpoint=True)
    left = rng.integers(0, width - side_x, count, endpoint=True)
    return np.stack([top, left, top + side_y, left + side_x], axis=1).astype(np.int32)


def sample_rectangles(augment: FitAugment, count: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Boxes int32 (count, 4) like those of `sample_boxes`: a rectangle for `random_erase_fraction` of the images, empty for the rest. Zhong et al., 2017.

    Area and aspect ratio as in the paper, 2 % to 33 % and 0.3 to 1/0.3, but log-uniform in the ratio, so that wide and tall are equally likely.
    A side that would be longer than the image's is cut and the other one lengthened, which keeps the area; the paper draws again.
    """
    area = rng.uniform(*RECTANGLE_AREA, count) * height * width
    aspect = np.exp(rng.uniform(math.log(RECTANGLE_ASPECT[0]), math.log(RECTANGLE_ASPECT[1]), count))
    side_y = np.clip(np.sqrt(area * aspect), area / width, height)
    rows = np.clip(np.rint(side_y), 1, height).astype(np.int64)
    columns = np.clip(np.rint(area / rows), 1, width).astype(np.int64)
    top = rng.integers(0, height - rows, endpoint=True)
    left = rng.integers(0, width - columns, endpoint=True)
    erased = rng.random(count) < augment.random_erase_fraction
    return np.where(erased[:, None], np.stack([top, left, top + rows, left + columns], axis=1), 0).astype(np.int32)


def warp(images: np.ndarray, transforms: np.ndarray, fill: Fill) -> np.ndarray:
    """The transformed images, uint8 (N, H, W, C), bilinear; `fill` says how the border is filled."""
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
