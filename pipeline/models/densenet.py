"""Stages in which every layer gets the outputs of all layers before it.

After Huang et al., 2016: normalisation and activation before each convolution, a 1x1 bottleneck, half the filters kept between stages.
"""

from typing import Any

import keras

from pipeline.models.layers import BatchNormalization, Parts, stage_count
from pipeline.params.model import FitModel

STEM_FILTERS = 32
GROWTH = 32
LAYERS_PER_STAGE = 4


def build(shape: tuple[int, int, int], class_count: int, options: FitModel, batch_normalization: BatchNormalization) -> keras.Model:
    """Logits (N, class_count) of standardised images, float (N, H, W, C)."""
    parts = Parts(options, batch_normalization)
    inputs = keras.Input(shape, name="images")
    x = parts.pool(parts.stem(inputs, parts.filters(STEM_FILTERS)), "stem_pool")
    stages = stage_count(shape)
    for i in range(1, stages + 1):
        for j in range(1, LAYERS_PER_STAGE + 1):
            x = _dense_layer(x, parts.filters(GROWTH), parts, f"stage{i}_layer{j}")
        if i < stages:
            x = _prepare(x, x.shape[-1] // 16 * 8, parts, f"stage{i}_transition")
            x = parts.pool(x, f"stage{i}_pool")
    x = parts.activate(parts.normalize(x, "last"), "last")
    return keras.Model(inputs, parts.classify(x, class_count), name="densenet")


def _dense_layer(x: Any, growth: int, parts: Parts, name: str) -> Any:
    """(N, H, W, C) to (N, H, W, C + growth)."""
    y = _prepare(x, 2 * growth, parts, f"{name}_narrow")
    y = parts.convolve_alone(parts.activate(parts.normalize(y, name), name), growth, name)
    return keras.layers.Concatenate(name=f"{name}_join")([x, y])


def _prepare(x: Any, filters: int, parts: Parts, name: str) -> Any:
    return parts.convolve_alone(parts.activate(parts.normalize(x, name), name), filters, name, kernel=1)
