"""A small residual network for images of 28 to 96 px: the default.

Stem, then stages of max-pool, convolution and one residual block, each at half the resolution with twice the filters of the one before, until
8 px are left; global max-pool; a linear classifier. After He et al., 2015, made shallow and wide for short training.
"""

from typing import Any

import keras

from pipeline.models.layers import BatchNormalization, Parts, stage_count
from pipeline.params.model import FitModel

STEM_FILTERS = 32
MOST_FILTERS = 256


def build(shape: tuple[int, int, int], class_count: int, options: FitModel, batch_normalization: BatchNormalization) -> keras.Model:
    """Logits (N, class_count) of standardised images, float (N, H, W, C)."""
    parts = Parts(options, batch_normalization)
    inputs = keras.Input(shape, name="images")
    x = parts.stem(inputs, parts.filters(STEM_FILTERS))
    for i in range(stage_count(shape)):
        count = parts.filters(min(STEM_FILTERS * 2 ** (i + 1), MOST_FILTERS))
        x = parts.pool(x, f"stage{i + 1}_pool")
        x = parts.convolve(x, count, f"stage{i + 1}_widen")
        x = _residual(x, count, parts, f"stage{i + 1}_residual")
    return keras.Model(inputs, parts.classify(x, class_count), name="resnet")


def _residual(x: Any, count: int, parts: Parts, name: str) -> Any:
    y = parts.convolve(x, count, f"{name}1")
    y = parts.convolve(y, count, f"{name}2")
    return keras.layers.Add(name=f"{name}_add")([x, y])
