"""What computes a model's probabilities: a Runtime. TensorFlow is loaded when one is opened, not when this module is imported.

Another runtime is another class here, and a line in `open_runtime`, which chooses by the files of the model.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

MODEL_FILE = "model.keras"


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
    """The runtime for the model in a folder."""
    return KerasRuntime(folder / MODEL_FILE)
