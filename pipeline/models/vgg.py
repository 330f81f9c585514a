"""Plain stacks of two convolutions and a pooling, with batch normalisation.

After Simonyan and Zisserman, 2014, with global pooling instead of the two dense layers that had most of its parameters.
"""

import keras

from pipeline.models.layers import BatchNormalization, Parts, stage_count
from pipeline.params.model import FitModel

FIRST_FILTERS = 32
MOST_FILTERS = 256


def build(shape: tuple[int, int, int], class_count: int, options: FitModel, batch_normalization: BatchNormalization) -> keras.Model:
    """Logits (N, class_count) of standardised images, float (N, H, W, C)."""
    parts = Parts(options, batch_normalization)
    inputs = keras.Input(shape, name="images")
    x = parts.stem(inputs, parts.filters(FIRST_FILTERS))
    x = parts.convolve_and_pool(x, parts.filters(FIRST_FILTERS), "stage0")
    for i in range(1, stage_count(shape) + 1):
        count = parts.filters(min(FIRST_FILTERS * 2**i, MOST_FILTERS))
        x = parts.convolve(x, count, f"stage{i}_convolve1")
        x = parts.convolve_and_pool(x, count, f"stage{i}_convolve2")
    return keras.Model(inputs, parts.classify(x, class_count), name="vgg")
