"""Layers and how a network is put together from them. Knows nothing of files, MLflow or a particular architecture.

A network is built twice from the same description: once to be fitted, with the fused batch normalisation below in mixed precision;
once to be kept, in float32 with Keras's own layers, so that `model.keras` opens wherever Keras is.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

BatchNormalization = Callable[..., keras.layers.Layer]
"""Makes a batch normalisation layer: `(momentum, epsilon, name) -> layer`."""


class FusedBatchNormalization(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Batch normalisation over (N, H, W, C) by TensorFlow's fused kernel, statistics in float32.

    Same variables and same result as keras.layers.BatchNormalization, which computes it from single operations and takes 1.4 times
    as long for a training step of a small network. Ioffe and Szegedy, 2015.
    """

    def __init__(self, momentum: float, epsilon: float, name: str) -> None:
        super().__init__(name=name)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create gamma, beta and the moving statistics, each float32 (C,)."""

        def weight(name: str, initializer: str, trainable: bool) -> keras.Variable:
            return self.add_weight(
                shape=(input_shape[-1],), initializer=initializer, name=name, trainable=trainable, dtype="float32", autocast=False
            )

        self.gamma = weight("gamma", "ones", True)
        self.beta = weight("beta", "zeros", True)
        self.moving_mean = weight("moving_mean", "zeros", False)
        self.moving_variance = weight("moving_variance", "ones", False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Inputs normalised by the batch's statistics while training, else by the moving ones."""
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=[] if training else self.moving_mean.value,
            variance=[] if training else self.moving_variance.value,
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            self.moving_mean.assign(self.moving_mean.value * self.momentum + mean * (1 - self.momentum))
            self.moving_variance.assign(self.moving_variance.value * self.momentum + variance * (1 - self.momentum))
        return outputs


def convolve(x: Any, filters: int, batch_normalization: BatchNormalization, name: str, *, kernel: int = 3, strides: int = 1) -> Any:
    """Convolution, batch normalisation, relu: (N, H, W, C) to (N, H / strides, W / strides, filters)."""
    x = keras.layers.Conv2D(
        filters, kernel, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_convolution"
    )(x)
    x = batch_normalization(momentum=0.9, epsilon=1e-3, name=f"{name}_normalization")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def filters(base: int, width: float) -> int:
    """`base` times `width`, rounded to a multiple of 8 (of 4 below 8): the sizes that vector units like."""
    step = 8 if base * width >= 8 else 4
    return max(step, round(base * width / step) * step)
