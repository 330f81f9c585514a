"""What computes a model's probabilities: a Runtime. TensorFlow is loaded when it is needed, not when this module is imported.

Where the model has a verified ONNX file, ONNX Runtime computes it: the same answers, without TensorFlow's seconds to start.
"""

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.conversion.record import MODEL_FILE, features_name, verified_onnx
from pipeline.errors import ConfigError

CHOICE = "PIPELINE_RUNTIME"
"""The environment variable that names one of these; without it, the first that the model and the installation have."""
ONNX_RUNTIME, TENSORFLOW = RUNTIMES = ("onnxruntime", "tensorflow")


class Runtime(Protocol):
    """A model that is ready to answer."""

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """float32 (N, K), rows that add up to 1, of prepared images, uint8 (N, H, W, C)."""

    @property
    def has_features(self) -> bool:
        """Whether `with_features` can be called."""

    def with_features(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(probabilities, features float32 (N, F)): what the last dense layer gets of the images, from the same pass through the network."""


class KerasRuntime:
    """A `.keras` file, computed by TensorFlow."""

    def __init__(self, file: Path, *, features: bool = False) -> None:
        from pipeline.models.predict import load_model

        self._model: Any = load_model(file)
        self._both: Any = None
        if features:
            from pipeline.conversion.keras_features import with_features

            self._both = with_features(self._model)

    @property
    def has_features(self) -> bool:
        return self._both is not None

    def with_features(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from pipeline.conversion.keras_features import predict_with_features

        return predict_with_features(self._both, images)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        from pipeline.models.predict import predict

        return predict(self._model, images)


def open_runtime(folder: Path, *, features: bool = False) -> Runtime:
    """The runtime for the model in a folder. features: whether it is asked for them, too.

    Raises ConfigError if the one that PIPELINE_RUNTIME names cannot compute it, TrackingError if its ONNX file is not the one that was verified.
    """
    wanted = os.environ.get(CHOICE, "").strip()
    if wanted and wanted not in RUNTIMES:
        raise ConfigError(f"{CHOICE} is {wanted!r}, which is no runtime. Set it to {' or '.join(RUNTIMES)}, or leave it out")
    file = verified_onnx(folder)
    if wanted == TENSORFLOW or (file is None and not wanted):
        return KerasRuntime(folder / MODEL_FILE, features=features)
    if file is None:
        raise ConfigError(f"{CHOICE} is {wanted}, but this model has no verified ONNX file. Leave {CHOICE} out")
    try:
        from pipeline.conversion.onnx_session import OnnxRuntime
    except ImportError as error:
        if wanted:
            raise ConfigError(f"{CHOICE} is {wanted}, which cannot be imported here: {error}") from None
        return KerasRuntime(folder / MODEL_FILE, features=features)
    return OnnxRuntime(file, features_name(folder) if features else "")
