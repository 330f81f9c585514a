"""Predictions of a saved model: from images to probabilities. Needs only Keras and the `.keras` file."""

from pathlib import Path

import keras
import numpy as np

MOST_IMAGES = 1000
MOST_PIXELS = 800_000
"""Of a batch: while EfficientNet-Lite0 computes, TensorFlow takes up to 1,700 bytes per pixel of its input."""


def load_model(path: Path) -> keras.Model:
    """The model of a `.keras` file: images uint8 (N, H, W, C) to probabilities float32 (N, K)."""
    model = keras.models.load_model(path, compile=False)
    model.jit_compile = False  # on GPUs Keras would compile for every batch size, which takes longer than it saves
    return model


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Probabilities float32 (N, K) of images, uint8 (N, H, W, C); reads `images` batch by batch, so it may be a memory map."""
    size = max(1, min(MOST_IMAGES, MOST_PIXELS // (images.shape[1] * images.shape[2])))
    batches = [np.asarray(model.predict_on_batch(np.ascontiguousarray(images[i : i + size]))) for i in range(0, len(images), size)]
    return np.concatenate(batches).astype(np.float32) if batches else np.empty((0, model.output_shape[-1]), np.float32)
