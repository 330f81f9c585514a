"""The tutorial's own network, for comparison: Conv32-pool-Conv64-pool-Conv64-pool-Dense64, relu, no normalisation."""

import keras

from pipeline.config import Model
from pipeline.ml.layers import BatchNormalization, filters


def build(shape: tuple[int, int, int], class_count: int, options: Model, batch_normalization: BatchNormalization) -> keras.Model:
    """Logits (N, class_count) of standardised images, float (N, H, W, C). `width` 1 is the tutorial's size."""
    inputs = keras.Input(shape, name="images")
    x = inputs
    for i, base in enumerate((32, 64, 64), start=1):
        x = keras.layers.Conv2D(filters(base, options.width), 3, activation="relu", padding="same", name=f"convolution{i}")(x)
        x = keras.layers.MaxPooling2D(2, padding="same", name=f"pool{i}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(filters(64, options.width), activation="relu", name="dense")(x)
    logits = keras.layers.Dense(class_count, name="logits")(x)
    return keras.Model(inputs, logits, name="tutorial")
