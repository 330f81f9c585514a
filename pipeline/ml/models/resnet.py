"""A small residual network for images of 28 to 96 px: the default.

Stem, then stages of max-pool, convolution and one residual block, each at half the resolution and twice the filters of the one before, until
8 px are left; global max-pool; a linear classifier. After He et al., 2015, made shallow and wide for short fits.
"""

from typing import Any

import keras

from pipeline.config import Model
from pipeline.ml.layers import BatchNormalization, convolve, filters

STEM_FILTERS = 32
MOST_FILTERS = 256
LARGE_IMAGE_PX = 40


def build(shape: tuple[int, int, int], class_count: int, options: Model, batch_normalization: BatchNormalization) -> keras.Model:
    """Logits (N, class_count) of standardised images, float (N, H, W, C)."""
    large = max(shape[:2]) > LARGE_IMAGE_PX
    inputs = keras.Input(shape, name="images")
    x = convolve(inputs, filters(STEM_FILTERS, options.width), batch_normalization, "stem", strides=2 if large else 1)
    for i in range(_stage_count(max(shape[:2]) // (2 if large else 1))):
        count = filters(min(STEM_FILTERS * 2 ** (i + 1), MOST_FILTERS), options.width)
        x = keras.layers.MaxPooling2D(2, padding="same", name=f"stage{i + 1}_pool")(x)
        x = convolve(x, count, batch_normalization, f"stage{i + 1}_widen")
        x = _residual(x, count, batch_normalization, f"stage{i + 1}_residual")
    x = keras.layers.GlobalMaxPooling2D(name="global_pool")(x)
    logits = keras.layers.Dense(class_count, name="logits")(x)
    return keras.Model(inputs, logits, name="resnet")


def _stage_count(side_px: int) -> int:
    """How many times `side_px` is halved until at most 8 px are left; at least twice."""
    count = 0
    while side_px > 8 or count < 2:
        side_px = (side_px + 1) // 2
        count += 1
    return count


def _residual(x: Any, count: int, batch_normalization: BatchNormalization, name: str) -> Any:
    y = convolve(x, count, batch_normalization, f"{name}1")
    y = convolve(y, count, batch_normalization, f"{name}2")
    return keras.layers.Add(name=f"{name}_add")([x, y])
