"""A saved model at work: its answers, what it sees, and maps of what answers rest on. The only file here that reads one."""

from pathlib import Path

import numpy as np

from pipeline.conversion.keras_features import features_alone
from pipeline.explanation.hirescam import explained
from pipeline.models.predict import load_model, predict


class KeptModel:
    """The model of a `.keras` file, loaded once."""

    def __init__(self, path: Path) -> None:
        self._model = load_model(path)
        self._explained = explained(self._model)
        self._seeing = features_alone(self._model)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Probabilities float32 (N, K) of images uint8 (N, H, W, C)."""
        return predict(self._model, images)

    def features(self, images: np.ndarray) -> np.ndarray | None:
        """float32 (N, F): what the last dense layer gets of images uint8 (N, H, W, C); None if none gets one vector per image."""
        return predict(self._seeing, images) if self._seeing is not None else None

    def maps(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray | None:
        """float32 (N, h, w): what in images uint8 (N, H, W, C) speaks for the classes int (N,); None if the network has no places to map."""
        return self._explained.maps(images, classes) if self._explained else None

    @property
    def maps_are_exact(self) -> bool:
        """Whether a map sums to the logit less its bias."""
        return bool(self._explained and self._explained.is_exact)
