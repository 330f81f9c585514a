"""What the last dense layer of a saved Keras model gets, beside its probabilities: one pass through the network gives both."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from pipeline.models.predict import MOST_IMAGES, MOST_PIXELS


def with_features(model: keras.Model) -> keras.Model | None:
    """The same model, with the same layers, and two outputs: probabilities (N, K), and features (N, F), what its last dense layer gets.

    Where the network sees an image and its mirror image, the features are those of the image. None if no dense layer gets one vector per image.
    """
    traced = _Traced(next((layer for layer in reversed([*_layers(model)]) if isinstance(layer, keras.layers.Dense)), None))
    images = keras.Input(model.input_shape[1:], dtype="uint8", name="images")
    probabilities = traced.call(model, images)
    if traced.features is None or len(traced.features.shape) != 2:
        return None
    both = keras.Model(images, [probabilities, traced.features], name=model.name)
    both.jit_compile = False
    return both


def predict_with_features(model: keras.Model, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities float32 (N, K), features float32 (N, F)) of images uint8 (N, H, W, C), by what `with_features` gave."""
    size = max(1, min(MOST_IMAGES, MOST_PIXELS // (images.shape[1] * images.shape[2])))
    empty = [np.empty((0, shape[-1])) for shape in model.output_shape]
    batches = [model.predict_on_batch(np.ascontiguousarray(images[i : i + size])) for i in range(0, len(images), size)]
    probabilities, features = (np.concatenate(parts).astype(np.float32) for parts in zip(empty, *batches, strict=True))
    return probabilities, features


def features_alone(model: keras.Model) -> keras.Model | None:
    """The part of a model that gives the features alone, without a pass for the mirror image. None if it has none."""
    both = with_features(model)
    if both is None:
        return None
    alone = keras.Model(both.input, both.output[1])
    alone.jit_compile = False
    return alone


class _Traced:
    """Calls a model's layers one by one, nested networks included, and keeps what `classifier` gets of images that are not mirrored."""

    def __init__(self, classifier: Any) -> None:
        self._classifier = classifier
        self._mirrored: list[Any] = []
        self.features: Any = None

    def call(self, operation: Any, *inputs: Any, **arguments: Any) -> Any:
        if isinstance(operation, keras.Sequential):
            (x,) = inputs
            for layer in operation.layers:
                x = self.call(layer, x)
            return x
        if isinstance(operation, keras.src.models.Functional):
            return operation._run_through_graph(list(inputs), call_fn=self.call)  # as keras.models.clone_model does
        is_mirrored = type(operation).__name__ == "Flip" or any(x is known for x in keras.tree.flatten(inputs) for known in self._mirrored)
        if operation is self._classifier and not is_mirrored:
            self.features = inputs[0]
        result = operation(*inputs, **{name: value for name, value in arguments.items() if name != "training" and value is not None})
        self._mirrored += keras.tree.flatten(result) if is_mirrored else []
        return result


def _layers(model: keras.Model) -> Iterator[Any]:
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else (layer,)
