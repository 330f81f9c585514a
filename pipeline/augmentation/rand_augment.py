"""RandAugment: two random operations per image, all of the same strength. Cubuk et al., 2019.

Operations are drawn with NumPy. Those that move pixels become part of the image's affine warp (`transforms.py`), which comes before those that change
values; these run here in TensorFlow and match Pillow's. keras.layers.RandAugment (3.15) is not used: it draws two operations per batch instead of per
image, rotates in one direction only, by up to 360 degrees x strength, equalises by the histogram of the batch, and computes all eleven operations
twice to keep two: 26 ms of CPU time for 256 images of 28 x 28 x 1, against 3 ms here, warp included.
"""

import numpy as np
import tensorflow as tf

OPERATIONS_PER_IMAGE = 2
MOVING = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
CHANGING = ("brightness", "contrast", "colour", "sharpness", "posterize", "solarize", "auto_contrast", "equalize")
OPERATIONS = ("identity", *MOVING, *CHANGING)
MOST_DEGREES = 30.0
MOST_SHEAR = 0.3
MOST_TRANSLATION = 0.45
MOST_ENHANCEMENT = 0.9
MOST_BITS_LOST = 4
GREY_OF_RGB = (0.299, 0.587, 0.114)


def sample_operations(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(operations int32 (count, 2), indices into OPERATIONS; signs float32 (count, 2), -1 or 1)."""
    shape = (count, OPERATIONS_PER_IMAGE)
    return rng.integers(len(OPERATIONS), size=shape, dtype=np.int32), rng.choice(np.array([-1, 1], np.float32), shape)


def movement(operations: np.ndarray, signs: np.ndarray, strength: float, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(linear maps float64 (N, 2, 2), shifts float64 (N, 2) in px), x and y, from output to input, of one operation per image."""
    linear, shift = np.tile(np.eye(2), (len(operations), 1, 1)), np.zeros((len(operations), 2))
    amount = dict(zip(MOVING, (np.where(operations == OPERATIONS.index(name), signs, 0.0) * strength for name in MOVING), strict=True))
    angle = np.radians(MOST_DEGREES) * amount["rotate"]
    linear[:, 0, 0] = linear[:, 1, 1] = np.cos(angle)
    linear[:, 0, 1] = MOST_SHEAR * amount["shear_x"] - np.sin(angle)
    linear[:, 1, 0] = MOST_SHEAR * amount["shear_y"] + np.sin(angle)
    shift[:, 0] = MOST_TRANSLATION * width * amount["translate_x"]
    shift[:, 1] = MOST_TRANSLATION * height * amount["translate_y"]
    return linear, shift


def change_pixels(images: tf.Tensor, operations: tf.Tensor, signs: tf.Tensor, strength: float) -> tf.Tensor:
    """Images float32 (N, H, W, C), 0 to 255, after one operation each on their values; operations that move pixels do nothing here.

    operations: int32 (N,). signs: float32 (N,). Only its own operation is computed for an image.
    """
    first = OPERATIONS.index(CHANGING[0])
    factors = 1 + MOST_ENHANCEMENT * strength * signs[:, None, None, None]
    rows = [tf.where(operations < first)[:, 0]]
    changed = [tf.gather(images, rows[0])]
    for i, name in enumerate(CHANGING):
        rows.append(tf.where(operations == first + i)[:, 0])
        changed.append(_change(name, tf.gather(images, rows[-1]), tf.gather(factors, rows[-1]), strength))
    return tf.gather(tf.concat(changed, axis=0), tf.argsort(tf.concat(rows, axis=0)))


def _change(name: str, images: tf.Tensor, factors: tf.Tensor, strength: float) -> tf.Tensor:
    if name == "brightness":
        return _blend(tf.zeros_like(images), images, factors)
    if name == "contrast":
        return _blend(tf.reduce_mean(_grey(images), axis=(1, 2), keepdims=True), images, factors)
    if name == "colour":
        return _blend(_grey(images), images, factors)
    if name == "sharpness":
        return _blend(_smooth(images), images, factors)
    if name == "posterize":
        step = 2.0 ** round(MOST_BITS_LOST * strength)
        return tf.floor(images / step) * step
    if name == "solarize":
        return tf.where(images < 255 * (1 - strength), images, 255 - images)
    return _auto_contrast(images) if name == "auto_contrast" else _equalize(images)


def _blend(plain: tf.Tensor, images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(plain + factors * (images - plain), 0.0, 255.0)


def _grey(images: tf.Tensor) -> tf.Tensor:
    return images if images.shape[-1] == 1 else tf.reduce_sum(images * tf.constant(GREY_OF_RGB), axis=-1, keepdims=True)


def _smooth(images: tf.Tensor) -> tf.Tensor:
    """Pillow's SMOOTH: a mean over 3 x 3 pixels in which the centre has weight 5."""
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * images) / 13


def _auto_contrast(images: tf.Tensor) -> tf.Tensor:
    low, high = (reduce(images, axis=(1, 2), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    return tf.where(high > low, tf.math.divide_no_nan((images - low) * 255, high - low), images)


def _equalize(images: tf.Tensor) -> tf.Tensor:
    """Pillow's equalize: a table of 256 values per image and channel, from the cumulative histogram."""
    height, width, channels = images.shape[1:]
    values = tf.reshape(tf.transpose(tf.cast(tf.round(images), tf.int32), (0, 3, 1, 2)), (-1, height * width))
    with tf.device("/CPU:0"):  # the GPU kernel counts in no fixed order, and fails if operations must be deterministic
        counts = tf.math.bincount(values, minlength=256, maxlength=256, axis=-1)
    highest = tf.reduce_max(values, axis=1, keepdims=True)
    step = (height * width - tf.gather(counts, highest, axis=1, batch_dims=1)) // 255
    below = tf.cumsum(counts, axis=1, exclusive=True)
    table = tf.where(step > 0, tf.minimum((step // 2 + below) // tf.maximum(step, 1), 255), tf.range(256))
    equalised = tf.reshape(tf.gather(table, values, axis=1, batch_dims=1), (-1, channels, height, width))
    return tf.cast(tf.transpose(equalised, (0, 2, 3, 1)), tf.float32)
