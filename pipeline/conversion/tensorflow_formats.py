"""A Keras model as LiteRT or SavedModel, by TensorFlow's own converters; and a LiteRT file at work."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipeline.models.layers import copy_network


def load_in_float32(file: Path) -> keras.Model:
    """The model of a `.keras` file; one in mixed precision is rebuilt in float32, with the same weights: the converters fail on it in silence."""
    model = keras.models.load_model(file, compile=False)
    if all(layer.compute_dtype in ("float32", "uint8", None) for layer in model.layers):
        return model
    return copy_network(model, lambda layer: type(layer).from_config(layer.get_config() | {"dtype": "float32"}))


def write_litert(model: keras.Model, file: Path, calibration: np.ndarray | None) -> None:
    """Write a LiteRT file. calibration: uint8 (N, H, W, C), training images, for one in 8-bit whole numbers; None for float32."""
    options = {}
    if calibration is not None:

        def images() -> Iterator[list[np.ndarray]]:
            for image in calibration:
                yield [np.ascontiguousarray(image[None])]

        options = {
            "optimizations": [tf.lite.Optimize.DEFAULT],
            "representative_dataset": images,
            "target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
        }
    with _quiet():
        model.export(str(file), format="litert", verbose=False, **options)


def write_saved_model(model: keras.Model, folder: Path) -> None:
    """Write a SavedModel with the end point `serve`."""
    with _quiet():
        model.export(str(folder), format="tf_saved_model", verbose=False)


def litert_probabilities(file: Path, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """float32 (N, K) of images, uint8 (N, H, W, C), by a LiteRT file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this interpreter moves to another package
        interpreter = tf.lite.Interpreter(str(file))
    given, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    parts = []
    for start in range(0, len(images), batch_size):
        batch = np.ascontiguousarray(images[start : start + batch_size])
        interpreter.resize_tensor_input(given, batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given, batch)
        interpreter.invoke()
        parts.append(interpreter.get_tensor(result))
    return np.concatenate(parts)


def saved_model_probabilities(folder: Path, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """float32 (N, K) of images, uint8 (N, H, W, C), by a SavedModel."""
    model = tf.saved_model.load(str(folder))
    return np.concatenate(
        [model.serve(np.ascontiguousarray(images[start : start + batch_size])).numpy() for start in range(0, len(images), batch_size)]
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the converters' own lines back."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
