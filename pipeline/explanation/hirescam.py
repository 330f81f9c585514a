"""HiResCAM: how much each place of an image speaks for a class. A saved model and arrays in, arrays out; in float32, from the logits.

The gradient of the logit by the last layer that still has places, times the values of that layer, summed over its filters. Source: Draelos and Carin
(2020), Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks, arXiv:2011.08891.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.models.predict import MOST_PIXELS

MOST_IMAGES = 64


@dataclass(frozen=True)
class Explained:
    """A saved model in the parts that a map needs. trunk: standardised images (N, H, W, C) to (N, h, w, F). head: these to logits (N, K).

    mirrored: whether the model averages an image and its mirror image. is_exact: whether the head is global pooling and a linear classifier: then a map
    sums to the logit less its bias, whether the pooling is by mean or by maximum. Where it is not, the bias of other layers is missing in the sum.
    """

    standardise: keras.layers.Layer
    trunk: keras.Model
    head: keras.Model
    mirrored: bool
    is_exact: bool

    def maps(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """float32 (N, h, w), of images uint8 (N, H, W, C), for the classes int (N,): above 0 speaks for the class, below 0 against it.

        If the model averages mirror images, the mean of the map and of the mirrored map of the mirror image.
        """
        size = max(1, min(MOST_IMAGES, MOST_PIXELS // (images.shape[1] * images.shape[2])))
        batches = [self._of(np.asarray(images[i : i + size]), classes[i : i + size]) for i in range(0, len(images), size)]
        return np.concatenate(batches) if batches else np.empty((0, *self.trunk.output_shape[1:3]), np.float32)

    def _of(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        standardised = self.standardise(images)
        found = self._map(standardised, classes)
        if self.mirrored:
            found = (found + self._map(keras.ops.flip(standardised, axis=2), classes)[:, :, ::-1]) / 2
        return found

    def _map(self, standardised: Any, classes: np.ndarray) -> np.ndarray:
        values = self.trunk(standardised, training=False)
        with tf.GradientTape() as tape:
            tape.watch(values)
            logits = tf.gather(self.head(values, training=False), classes, axis=1, batch_dims=1)
        found: np.ndarray = tf.reduce_sum(tape.gradient(logits, values) * values, axis=-1).numpy()
        return found


def explained(model: keras.Model) -> Explained | None:
    """The parts of a model of `network.build_to_keep`; None if no layer of its network goes from places to none, so that there is nothing to map."""
    body = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    ends = [i for i, layer in enumerate(body.layers) if _rank(layer.input) == 4 and _rank(layer.output) == 2]
    if not ends:
        return None
    end = body.layers[ends[-1]]
    return Explained(
        next(layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling)),
        keras.Model(body.input, end.input, name="trunk"),
        keras.Model(end.input, body.output, name="head"),
        any(operation.name == "mirror" for operation in model.operations),
        _is_exact(end, body.layers[ends[-1] + 1 :]),
    )


def _rank(tensor: Any) -> int:
    """The number of axes; 0 for several tensors."""
    return 0 if isinstance(tensor, list | tuple | dict) else len(tensor.shape)


def _is_exact(end: keras.layers.Layer, after: list[keras.layers.Layer]) -> bool:
    is_pooling = isinstance(end, keras.layers.GlobalAveragePooling2D | keras.layers.GlobalMaxPooling2D)
    dense = [layer for layer in after if not isinstance(layer, keras.layers.Dropout)]
    return is_pooling and len(dense) == 1 and isinstance(dense[0], keras.layers.Dense) and dense[0].activation is keras.activations.linear
