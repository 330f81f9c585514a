"""A residual network in the style of vision transformers: patches, wide depthwise windows, layer normalisation, few activations.

After Liu et al., 2022. A block's last layer starts at zero, which replaces their layer scale; no stochastic depth. The windows are always 7 px
wide, regardless of `model.kernel_size`; the paper's activation is gelu.
"""

from typing import Any

import keras

from pipeline.models.layers import LARGE_IMAGE_PX, BatchNormalization, Parts, stage_count
from pipeline.params.model import FitModel

STEM_FILTERS = 48
MOST_FILTERS = 192
BLOCKS_PER_STAGE = 2
WINDOW = 7


def build(shape: tuple[int, int, int], class_count: int, options: FitModel, batch_normalization: BatchNormalization) -> keras.Model:
    """Logits (N, class_count) of standardised images, float (N, H, W, C)."""
    parts = Parts(options, batch_normalization)
    inputs = keras.Input(shape, name="images")
    x = _patches(inputs, parts.filters(STEM_FILTERS), 4 if max(shape[:2]) > LARGE_IMAGE_PX else 2, "stem")
    x = _normalize(x, "stem")
    for i in range(stage_count(shape)):
        count = parts.filters(min(STEM_FILTERS * 2**i, MOST_FILTERS))
        if i:
            x = _patches(_normalize(x, f"stage{i + 1}_widen"), count, 2, f"stage{i + 1}_widen")
        for j in range(1, BLOCKS_PER_STAGE + 1):
            x = _block(x, count, parts, f"stage{i + 1}_block{j}")
    return keras.Model(inputs, parts.classify(_normalize(x, "last"), class_count), name="convnext")


def _patches(x: Any, count: int, side: int, name: str) -> Any:
    """Each square of `side` px as one vector: (N, H, W, C) to (N, H / side, W / side, count)."""
    return keras.layers.Conv2D(count, side, strides=side, padding="same", kernel_initializer="he_normal", name=f"{name}_patches")(x)


def _normalize(x: Any, name: str) -> Any:
    return keras.layers.LayerNormalization(epsilon=1e-6, name=f"{name}_normalization")(x)


def _block(x: Any, count: int, parts: Parts, name: str) -> Any:
    y = keras.layers.DepthwiseConv2D(WINDOW, padding="same", name=f"{name}_window")(x)
    y = keras.layers.Dense(4 * count, kernel_initializer="he_normal", name=f"{name}_expand")(_normalize(y, name))
    y = keras.layers.Dense(count, kernel_initializer="zeros", name=f"{name}_contract")(parts.activate(y, name))
    return keras.layers.Add(name=f"{name}_add")([x, y])
