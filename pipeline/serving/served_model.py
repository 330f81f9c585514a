"""The registered model: encoded images or arrays in, labels and probabilities out.

MLflow loads it by this module's name, from the copy of this package stored with the model, so that images are prepared as they were when the
model was trained. Needs `model.keras` and `spec.json` in one folder; knows nothing of MLflow.
"""

import base64
import binascii
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.errors import SourceError
from pipeline.images.decoding import ImageSpec, array_to_input, decode, image_to_input
from pipeline.images.values import find_extremes, is_deep, number, values_of, why_unlike
from pipeline.models.predict import load_model, predict

MODEL_FILE = "model.keras"
SPEC_FILE = "spec.json"
LOG = logging.getLogger(__name__)


class ServedModel:
    """Predicts from encoded images (bytes, or base64 text) or uint8 arrays (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of any size.

    Values of images of more than 8 bits per channel that are outside the range of the training images are clipped. A warning is logged for these, and
    for such images that seem to be on another scale.
    """

    def __init__(self, model: keras.Model, spec: ImageSpec, class_names: Sequence[str]) -> None:
        self._model = model
        self._spec = spec
        self._class_names = list(class_names)

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row per image: `label`, its `probability`, and `probabilities` by class name.

        model_input: a data frame with the one column `image`, or a sequence of images. Raises SourceError with the row of an input that is not an image.
        """
        images = _images_of(model_input)
        inputs = [self._prepare(row, image) for row, image in enumerate(images)]
        probabilities = predict(self._model, np.stack(inputs)) if inputs else np.empty((0, len(self._class_names)), np.float32)
        best = probabilities.argmax(axis=1)
        return pd.DataFrame(
            {
                "label": [self._class_names[i] for i in best],
                "probability": probabilities.max(axis=1, initial=0.0).astype(float),
                "probabilities": [dict(zip(self._class_names, map(float, row), strict=True)) for row in probabilities],
            }
        )

    def _prepare(self, row: int, image: Any) -> np.ndarray:
        """The network's input for one image, uint8 (height, width, channels)."""
        try:
            if isinstance(image, str):
                image = base64.b64decode(image, validate=True)
            if isinstance(image, bytes | bytearray):
                return self._prepare_decoded(row, decode(bytes(image), self._spec))
            return array_to_input(np.asarray(image), self._spec)
        except (SourceError, binascii.Error, ValueError) as error:
            raise SourceError(f"image {row}: {error}") from None

    def _prepare_decoded(self, row: int, image: Image.Image) -> np.ndarray:
        if self._spec.value_range and is_deep(image):
            low, high = self._spec.value_range
            values = values_of(image)
            found = find_extremes(values)
            if unlike := why_unlike(values, found, self._spec.value_range):
                LOG.warning(
                    "image %d: values from %s to %s, %s; the range is %s to %s: bring it to the scale of the training images",
                    row, number(found.least), number(found.most), unlike, number(low), number(high),
                )  # fmt: skip
            if found.least < low or found.most > high or found.not_finite:
                LOG.warning(
                    "image %d: values from %s to %s, %d not finite: clipped to %s to %s",
                    row, number(found.least), number(found.most), found.not_finite, number(low), number(high),
                )  # fmt: skip
        return image_to_input(image, self._spec)


def load(folder: Path) -> ServedModel:
    """The model in a folder with model.keras and spec.json."""
    spec = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
    return ServedModel(load_model(folder / MODEL_FILE), ImageSpec.read(spec), spec["class_names"])


def _load_pyfunc(path: str) -> ServedModel:
    """What MLflow calls."""
    return load(Path(path))


def _images_of(model_input: Any) -> list[Any]:
    if isinstance(model_input, pd.DataFrame):
        if "image" not in model_input.columns:
            raise SourceError(f"expected a column named image, found {', '.join(map(str, model_input.columns))}")
        return list(model_input["image"])
    return list(model_input)
