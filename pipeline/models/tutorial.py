"""The tutorial's own network, for comparison: Conv32-pool-Conv64-pool-Conv64-pool-Dense64, relu, no normalisation."""

import keras

from pipeline.models.layers import BatchNormalization, Parts, linear_classifier
from pipeline.params.model import FitModel


def build(shape: tuple[int, int, int], class_count: int, options: FitModel, batch_normalization: BatchNormalization) -> keras.Model:
    """Logits (N, class_count) of standardised images, float (N, H, W, C). `width` 1 is the tutorial's size."""
    parts = Parts(options, batch_normalization)
    inputs = keras.Input(shape, name="images")
    x = inputs
    for i, base in enumerate((32, 64, 64), start=1):
        x = keras.layers.Conv2D(parts.filters(base), options.kernel_size, padding="same", name=f"convolution{i}")(x)
        x = parts.activate_and_pool(x, f"convolution{i}")
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(parts.filters(64), activation=options.activation, name="dense")(x)
    return keras.Model(inputs, linear_classifier(x, class_count, options.dropout), name="tutorial")
