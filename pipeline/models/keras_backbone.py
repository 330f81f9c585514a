"""Pretrained networks computed by Keras, for machines that ONNX Runtime has no wheel for.

The same features but for their last bits, at little more than half the speed.
"""

import keras
import numpy as np
import tensorflow as tf

from pipeline.backbone.architecture import FEATURES, Architecture, stage_input
from pipeline.backbone.runtime import Compute
from pipeline.backbone.weights import Weights
from pipeline.models.efficientnet_lite import STANDARDISATION, build_body, stage_starts
from pipeline.models.network import layers_in


class KerasRuntime:
    """A Runtime whose every operation uses all cores, so that it is called by one thread."""

    name = f"tensorflow-{tf.__version__}"
    threads = 1

    def compile(self, network: Architecture, weights: Weights, shape: tuple[int, int, int], output: str) -> Compute:
        """A function from images uint8 (B, *shape) to an output, traced at its first call."""
        with layers_in("float32"):
            body = build_body(network, weights, shape, keras.layers.BatchNormalization)
        layers = {stage_input(stage): layer for stage, layer in stage_starts(network.name).items()}
        wanted = keras.Model(body.input, body.output if output == FEATURES else body.get_layer(layers[output]).output)
        dtype = np.float32 if output == FEATURES else np.float16
        scale, offset = STANDARDISATION

        def standardise_and_run(images: tf.Tensor) -> tf.Tensor:
            return wanted(tf.cast(images, tf.float32) * scale + offset, training=False)

        run = tf.function(standardise_and_run, input_signature=[tf.TensorSpec((None, *shape), tf.uint8)])

        def compute(images: np.ndarray) -> np.ndarray:
            result: np.ndarray = run(images).numpy().astype(dtype)
            return result

        return compute
