"""Augmentation inside TensorFlow: one affine warp per image, then standardisation and erasing.

The transforms and boxes are drawn by `augment.py`; here they are only applied, on the device that fits.
"""

import tensorflow as tf

from pipeline.config import Augment
from pipeline.ml.augment import moves_between_pixels


def augment_images(
    images: tf.Tensor, transforms: tf.Tensor, boxes: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, augment: Augment
) -> tf.Tensor:
    """Standardised images float32 (N, H, W, C) of images uint8 (N, H, W, C).

    transforms: float32 (N, 8), output to input pixel coordinates. boxes: int32 (N, 4) top, left, bottom, right of what is set to 0, the mean colour.
    scale, offset: float32 (C,).
    """
    warped = _warp(images, transforms, augment)
    standardised = tf.cast(warped, tf.float32) * scale + offset
    return _erase(standardised, boxes) if augment.erase_fraction > 0 else standardised


def _warp(images: tf.Tensor, transforms: tf.Tensor, augment: Augment) -> tf.Tensor:
    between_pixels = moves_between_pixels(augment)
    if not between_pixels and not augment.horizontal_flip:
        return images
    return tf.raw_ops.ImageProjectiveTransformV3(
        # A flip alone moves whole pixels: nearest on uint8 is exact, and 1.4 times as fast
        images=tf.cast(images, tf.float32) if between_pixels else images,
        transforms=transforms,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR" if between_pixels else "NEAREST",
        fill_mode=augment.fill.upper(),
    )


def _erase(images: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    top, left, bottom, right = tf.unstack(boxes[:, :, None], axis=1)
    rows, columns = tf.range(tf.shape(images)[1]), tf.range(tf.shape(images)[2])
    inside_rows = (rows >= top) & (rows < bottom)
    inside_columns = (columns >= left) & (columns < right)
    erased = inside_rows[:, :, None] & inside_columns[:, None, :]
    return tf.where(erased[..., None], 0.0, images)
