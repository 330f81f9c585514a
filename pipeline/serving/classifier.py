"""A model at work in Python: `load` a registered version, then `predict` files, encoded images or arrays. Documented in docs/serving.md."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipeline.errors import SourceError
from pipeline.listing.walk import DiskFile
from pipeline.paths import find_paths
from pipeline.serving.answering import Answering, Prediction
from pipeline.serving.located import locate
from pipeline.serving.own_code import open_served

Image: TypeAlias = str | os.PathLike[str] | bytes | np.ndarray


class Classifier(Answering):
    """A loaded model. `name` and `version` tell which; `class_names` are in the order of the probabilities."""

    def predict(self, images: Image | Sequence[Image], *, strict: bool = True) -> list[Prediction]:
        """One prediction per image, in order.

        images: one or several of: the path of a file, an encoded image (bytes), an array uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4). Raises
        SourceError for the first that cannot be used; with strict=False its prediction has an `error` instead.
        """
        given: Any = images
        several = [given] if _is_one(given) else list(given)
        answers = list(self.stream([_source(image) for image in several]))
        for number, (image, answer) in enumerate(zip(several, answers, strict=True)):
            if strict and answer.error:
                which = os.fspath(image) if isinstance(image, str | os.PathLike) else f"image {number}"
                raise SourceError(f"{which}: {answer.error}")
        return answers


def load(model: str | os.PathLike[str] = "champion", project: str | os.PathLike[str] | None = None) -> Classifier:
    """A registered model, ready to predict, with the code that was registered with it.

    model: a version (3), an alias, NAME/3, NAME@alias, the id of a run, or a .keras file. project: a folder of the project; the current one if not
    given. Raises ConfigError if there is no such model, TrackingError if it cannot be read or loaded.
    """
    paths = find_paths(Path(project) if project is not None else Path.cwd())
    folder = Path(tempfile.mkdtemp(prefix="classifier-"))
    try:
        located = locate(os.fspath(model), paths, folder)
        classifier = Classifier(open_served(located.folder, located.shown), located.name, located.version, located.shown)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(classifier, shutil.rmtree, folder, ignore_errors=True)  # its code is loaded from there as long as it lives
    return classifier


def _is_one(images: object) -> bool:
    """Whether this is one image, not several."""
    if isinstance(images, np.ndarray):
        return images.ndim < 4 and images.dtype != object
    return isinstance(images, str | os.PathLike | bytes | bytearray) or hasattr(images, "__array_interface__")


def _source(image: Image) -> Any:
    if isinstance(image, str | os.PathLike):
        return DiskFile(os.fspath(image))
    if isinstance(image, bytes | bytearray):
        return partial(bytes, image)
    if not hasattr(image, "__array_interface__"):
        raise SourceError(f"expected a path, bytes or an array, found {type(image).__name__}")
    return np.asarray(image)
