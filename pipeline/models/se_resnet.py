"""The residual network in which each block weights its filters by the content of the whole image.

After Hu et al., 2017 (squeeze and excitation), on the shape of `resnet`.
"""

from typing import Any

import keras

from pipeline.models.layers import BatchNormalization, Parts, stage_count
from pipeline.params.model import FitModel

STEM_FILTERS = 32
MOST_FILTERS = 256
SQUEEZE = 4


def build(shape: tuple[int, int, int], class_count: int, options: FitModel, batch_normalization: BatchNormalization) -> keras.Model:
    """Logits (N, class_count) of standardised images, float (N, H, W, C)."""
    parts = Parts(options, batch_normalization)
    inputs = keras.Input(shape, name="images")
    x = parts.stem(inputs, parts.filters(STEM_FILTERS))
    for i in range(1, stage_count(shape) + 1):
        count = parts.filters(min(STEM_FILTERS * 2**i, MOST_FILTERS))
        x = parts.pool(x, f"stage{i}_pool")
        x = parts.convolve(x, count, f"stage{i}_widen")
        x = _residual(x, count, parts, f"stage{i}_residual")
    return keras.Model(inputs, parts.classify(x, class_count), name="se_resnet")


def _residual(x: Any, count: int, parts: Parts, name: str) -> Any:
    y = parts.convolve(x, count, f"{name}1")
    y = parts.convolve(y, count, f"{name}2")
    return keras.layers.Add(name=f"{name}_add")([x, _excite(y, count, parts, name)])


def _excite(x: Any, count: int, parts: Parts, name: str) -> Any:
    """x times a weight from 0 to 1 per filter, computed from the filters' means over the image."""
    weights = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    weights = keras.layers.Dense(max(8, count // SQUEEZE), kernel_initializer="he_normal", name=f"{name}_narrow")(weights)
    weights = parts.activate(weights, f"{name}_narrow")
    weights = keras.layers.Dense(count, activation="sigmoid", name=f"{name}_excite")(weights)
    return keras.layers.Multiply(name=f"{name}_weigh")([x, weights])
