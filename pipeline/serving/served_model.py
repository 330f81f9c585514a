"""The registered model: encoded images or arrays in, labels and probabilities out, and how sure they are.

MLflow loads it by this module's name, from the code stored with the model (travelling_code.py), so that images are prepared as they were when the
model was trained. `pipeline predict` and `load` use the same two parts, `preparation` and `runtime`. Needs `model.keras` and `spec.json` in one
folder, for calibrated answers `calibration.json`, and `familiar.npz` to tell images that are unlike all training images; knows nothing of MLflow, but
for what it calls.
"""

import hashlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.certainty.calibration import CALIBRATION_FILE, SURE, UNSURE, Calibration
from pipeline.errors import SourceError, TrackingError
from pipeline.familiarity.reference import FAMILIAR_FILE, FAMILIAR_KEY, UNLIKE, Familiar
from pipeline.images.decoding import ImageSpec
from pipeline.serving.notes import TrainingImages
from pipeline.serving.preparing import Preparation
from pipeline.serving.runtime import Runtime, open_runtime

if TYPE_CHECKING:
    import pandas as pd

SPEC_FILE, TRAINING_FILE = "spec.json", "training_images.json"
LOG = logging.getLogger(__name__)


class NotedAnswers(NamedTuple):
    """As Answers, with the note of each image, empty where there is none."""

    probabilities: np.ndarray
    decisions: list[str]
    one_of: list[list[str] | None]
    notes: list[str]


class ServedModel:
    """Predicts from encoded images (bytes, or base64 text) or uint8 arrays (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of any size.

    Values of images of more than 8 bits per channel that are outside the range of the training images are clipped. What the model cannot know of an
    image is its note, and is logged as a warning.
    """

    def __init__(self, runtime: Runtime, preparation: Preparation, calibration: Calibration, familiar: Familiar | None = None) -> None:
        self.runtime = runtime
        self.preparation = preparation
        self.calibration = calibration
        self.familiar = familiar if runtime.has_features else None
        self.class_names = list(calibration.class_names)

    def answers(self, prepared: np.ndarray, notes: Sequence[str]) -> NotedAnswers:
        """The calibrated answers to prepared images, uint8 (N, height, width, channels). notes: N, to which what the network sees may add.

        Of an image that has a note no answer is sure: what is promised of sure answers holds for images like the training images.
        """
        if self.familiar is None:
            probabilities = self.runtime.probabilities(prepared)
        else:
            probabilities, features = self.runtime.with_features(prepared)
            unlike = self.familiar.is_unlike(features).tolist()
            notes = ["; ".join(filter(None, [note, UNLIKE if is_unlike else ""])) for note, is_unlike in zip(notes, unlike, strict=True)]
        found = self.calibration.answers(probabilities)
        decisions = [UNSURE if note and decision == SURE else decision for note, decision in zip(notes, found.decisions, strict=True)]
        return NotedAnswers(found.probabilities, decisions, found.one_of, list(notes))

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> "pd.DataFrame":
        """One row per image: `label`, its `probability`, `decision`, `one_of`, `probabilities` by class name, and `note`, empty where there is none.

        `decision`: sure or unsure, empty if the model was not told which error it may make. `one_of`: the candidates, empty if they are not known.

        model_input: a data frame with the one column `image`, or a sequence of images. Raises SourceError with the row of an input that is not an image.
        """
        import pandas as pd  # takes half a second, and `pipeline predict` does without

        prepared = self.preparation(_images_of(model_input))
        for row, fault in enumerate(prepared.faults):
            if fault:
                raise SourceError(f"image {row}: {fault}")
        probabilities, decisions, one_of, notes = self.answers(prepared.inputs, ["; ".join(found) for found in prepared.notes])
        for row, note in enumerate(notes):
            if note:
                LOG.warning("image %d: %s", row, note)
        best = probabilities.argmax(axis=1)
        return pd.DataFrame(
            {
                "label": [self.class_names[i] for i in best],
                "probability": probabilities.max(axis=1, initial=0.0).astype(float),
                "decision": decisions,
                "one_of": [candidates or [] for candidates in one_of],
                "probabilities": [dict(zip(self.class_names, map(float, row), strict=True)) for row in probabilities],
                "note": notes,
            }
        )


def load(folder: Path, runtime: Runtime | None = None) -> ServedModel:
    """The model in a folder with spec.json, and if that is known how sure it is, and what its training images are like.

    runtime: what computes it; by default what `open_runtime` finds in the folder.
    """
    spec = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
    training = folder / TRAINING_FILE
    known = json.loads(training.read_text(encoding="utf-8")) if training.exists() else {}
    calibration = _calibration(folder, spec["class_names"])
    familiar = _familiar(folder, calibration)
    return ServedModel(
        runtime or open_runtime(folder, features=familiar is not None),
        Preparation(ImageSpec.read(spec), TrainingImages.read(known)),
        calibration,
        familiar,
    )


def _calibration(folder: Path, class_names: Sequence[str]) -> Calibration:
    """That of the model; of one without, the probabilities are as the network gives them."""
    file = folder / CALIBRATION_FILE
    return Calibration.read(json.loads(file.read_text(encoding="utf-8")), class_names) if file.exists() else Calibration(class_names)


def _familiar(folder: Path, calibration: Calibration) -> Familiar | None:
    """What is familiar to the model; None where that is not known. Raises TrackingError if it is not what the calibration was made with."""
    file, expected = folder / FAMILIAR_FILE, calibration.fitted_on.get(FAMILIAR_KEY)
    if not expected or not file.exists():
        return None
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise TrackingError(f"{FAMILIAR_FILE} is not the one that {CALIBRATION_FILE} was written with: the file was changed")
    familiar = Familiar.read(content)
    return familiar if familiar.is_known else None


def _load_pyfunc(path: str) -> Any:
    """What MLflow calls: the model, with errors as MLflow's server reports them in one line."""
    find_also_in(Path(path).parents[1] / "code", __name__.split(".", maxsplit=1)[0])
    from pipeline.serving.for_mlflow import ForMlflow

    return ForMlflow(load(Path(path)))


def find_also_in(code: Path, package: str) -> None:
    """Let modules that this code imports later be found: if it was loaded before, from a folder that is gone since, Python would look there."""
    for name, module in list(sys.modules.items()):
        place = code.joinpath(*name.split("."))
        if name.split(".")[0] == package and hasattr(module, "__path__") and place.is_dir():
            module.__path__ = [os.fspath(place), *filter(os.path.isdir, module.__path__)]


def _images_of(model_input: Any) -> list[Any]:
    """One value per image. MLflow gives the images of `instances` and `inputs` as one row, with a list in it."""
    if not hasattr(model_input, "columns"):
        return list(model_input)
    if "image" not in model_input.columns:
        raise SourceError(f"expected a column named image, found {', '.join(map(str, model_input.columns))}")
    images: list[Any] = []
    for cell in model_input["image"]:
        is_several = isinstance(cell, list | tuple) or (isinstance(cell, np.ndarray) and cell.dtype.kind in "OSU")
        images += list(cell) if is_several else [cell]
    return images
