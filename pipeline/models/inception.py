"""Stages with convolutions of several sizes side by side.

After Szegedy et al., 2014 (the four branches) and 2015 (batch normalisation, two small convolutions in place of a large one).
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
        base = min(STEM_FILTERS * 2 ** (i + 1), MOST_FILTERS)
        x = parts.pool(x, f"stage{i + 1}_pool")
        x = _inception(x, base, parts, f"stage{i + 1}_first")
        x = _inception(x, base, parts, f"stage{i + 1}_second")
    return keras.Model(inputs, parts.classify(x, class_count), name="inception")


def _inception(x: Any, base: int, parts: Parts, name: str) -> Any:
    """(N, H, W, C) to (N, H, W, about `base` times width): a quarter from 1x1, half from one window, the rest from a wider one and from pooling."""
    quarter, half, eighth = (parts.filters(base // share) for share in (4, 2, 8))
    point = parts.convolve(x, quarter, f"{name}_point", kernel=1)
    window = parts.convolve(parts.convolve(x, quarter, f"{name}_window1", kernel=1), half, f"{name}_window2")
    wide = parts.convolve(x, eighth, f"{name}_wide1", kernel=1)
    wide = parts.convolve(parts.convolve(wide, eighth, f"{name}_wide2"), eighth, f"{name}_wide3")
    pooled = parts.convolve(parts.pool(x, f"{name}_pool", size=3, strides=1), eighth, f"{name}_pooled", kernel=1)
    return keras.layers.Concatenate(name=f"{name}_join")([point, window, wide, pooled])
