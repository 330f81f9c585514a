"""Affine warps and erasing inside TensorFlow.

The transforms and boxes are drawn in `transforms.py`; here they are only applied, on the device that trains.
"""

import tensorflow as tf

from pipeline.augmentation.transforms import moves_between_pixels
from pipeline.params.augment import FitAugment


def warp_images(images: tf.Tensor, transforms: tf.Tensor, augment: FitAugment) -> tf.Tensor:
    """The transformed images uint8 (N, H, W, C): float32 if that takes interpolation, else uint8.

    transforms: float32 (N, 8), output to input pixel coordinates.
    """
    if moves_between_pixels(augment):
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(images, tf.float32),
            transforms=transforms,
            output_shape=images.shape[1:3],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode=augment.fill.upper(),
        )
    if augment.horizontal_flip:  # whole pixels: exact on uint8, and four times as fast as a warp
        return tf.where(transforms[:, 0, None, None, None] < 0, tf.reverse(images, [2]), images)
    return images


def erase_boxes(images: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Standardised images float32 (N, H, W, C) with a box each set to 0, the mean colour. boxes: int32 (N, 4), top, left, bottom, right."""
    top, left, bottom, right = tf.unstack(boxes[:, :, None], axis=1)
    rows, columns = tf.range(tf.shape(images)[1]), tf.range(tf.shape(images)[2])
    inside_rows = (rows >= top) & (rows < bottom)
    inside_columns = (columns >= left) & (columns < right)
    erased = inside_rows[:, :, None] & inside_columns[:, None, :]
    return tf.where(erased[..., None], 0.0, images)
