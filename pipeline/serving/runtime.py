"""What computes a model's probabilities: a Runtime. TensorFlow is loaded when it is needed, not when this module is imported.

Where the model has a verified ONNX file, ONNX Runtime computes it: the same answers, without TensorFlow's seconds to start.
"""

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.conversion.record import MODEL_FILE, verified_onnx
from pipeline.errors import ConfigError

CHOICE = "PIPELINE_RUNTIME"
"""The environment variable that names one of these; without it, the first that the model and the installation have."""
ONNX_RUNTIME, TENSORFLOW = RUNTIMES = ("onnxruntime", "tensorflow")


class Runtime(Protocol):
    """A model that is ready to answer."""

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """float32 (N, K), rows that add up to 1, of prepared images, uint8 (N, H, W, C)."""


class KerasRuntime:
    """A `.keras` file, computed by TensorFlow."""

    def __init__(self, file: Path) -> None:
        from pipeline.models.predict import load_model

        self._model: Any = load_model(file)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        from pipeline.models.predict import predict

        return predict(self._model, images)


def open_runtime(folder: Path) -> Runtime:
    """The runtime for the model in a folder.

    Raises ConfigError if the one that PIPELINE_RUNTIME names cannot compute it, TrackingError if its ONNX file is not the one that was verified.
    """
    wanted = os.environ.get(CHOICE, "").strip()
    if wanted and wanted not in RUNTIMES:
        raise ConfigError(f"{CHOICE} is {wanted!r}, which is no runtime. Set it to {' or '.join(RUNTIMES)}, or leave it out")
    file = verified_onnx(folder)
    if wanted == TENSORFLOW or (file is None and not wanted):
        return KerasRuntime(folder / MODEL_FILE)
    if file is None:
        raise ConfigError(f"{CHOICE} is {wanted}, but this model has no verified ONNX file. Leave {CHOICE} out")
    try:
        from pipeline.conversion.onnx_session import OnnxRuntime
    except ImportError as error:
        if wanted:
            raise ConfigError(f"{CHOICE} is {wanted}, which cannot be imported here: {error}") from None
        return KerasRuntime(folder / MODEL_FILE)
    return OnnxRuntime(file)
