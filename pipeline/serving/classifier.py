"""A model at work in Python: `load` a registered version, then `predict` files, encoded images or arrays. Documented in docs/serving.md."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipeline.errors import SourceError
from pipeline.listing.walk import DiskFile
from pipeline.paths import find_paths
from pipeline.serving.base64_text import image_bytes
from pipeline.serving.batches import Batch, Unusable, in_batches
from pipeline.serving.located import Located, locate
from pipeline.serving.own_code import open_served

Image: TypeAlias = str | os.PathLike[str] | bytes | np.ndarray


@dataclass(frozen=True)
class Prediction:
    """The answer to one image. probabilities: float32 (K,), in the order of the model's class names. sha256: of the file, empty for an array.

    decision: sure or unsure, empty if the model was not told which error it may make. one_of: the candidates, the label among them, empty if not known.

    note: what the model cannot know of the image; it has answered, but not on what it was trained for. error: why the image cannot be used; then
    label is empty, and the probabilities, too.
    """

    label: str
    probability: float
    probabilities: np.ndarray
    sha256: str = ""
    note: str = ""
    error: str = ""
    decision: str = ""
    one_of: Sequence[str] = ()


class Classifier:
    """A loaded model. `name` and `version` tell which; `class_names` are in the order of the probabilities."""

    def __init__(self, served: Any, located: Located) -> None:
        self.name, self.version, self.shown = located.name, located.version, located.shown
        self._served = served
        self._preparation = getattr(served, "preparation", None)
        self.class_names: list[str] = list(getattr(served, "class_names", None) or served._class_names)

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

    def answer(self, values: Sequence[Any]) -> list[Prediction]:
        """One prediction per image, each with an `error` if it cannot be used; prepared in this process, so that threads may call it.

        values: encoded images as HTTP brings them: bytes, base64 text, or an object with base64 text.
        """
        return list(self.stream([_sent(value) for value in values], workers=1))

    def stream(self, images: Sequence[Any], workers: int | None = None) -> Iterator[Prediction]:
        """Predictions as they come.

        images: arrays, and functions that give an encoded image and can be sent to other processes. workers: processes that prepare them, by default
        as many as pay.
        """
        spec = getattr(self._preparation, "spec", None)
        input_bytes = spec.height * spec.width * spec.channels if spec else 0
        for batch in in_batches(images, self._preparation, input_bytes, workers):
            yield from self._answers(batch)

    def _answers(self, batch: Batch) -> Iterator[Prediction]:
        if self._preparation is None:
            yield from self._answers_one_by_one(batch)
            return
        probabilities, decisions, one_of = self._answered(batch)
        rows = iter(zip(probabilities, decisions, one_of, strict=True))
        for fault, sha256, note in zip(batch.faults, batch.sha256, batch.notes, strict=True):
            if fault:
                yield _failed(sha256, fault)
            else:
                row, decision, candidates = next(rows)
                best = int(row.argmax())
                yield Prediction(self.class_names[best], float(row[best]), row, sha256, note, decision=decision, one_of=candidates or ())

    def _answered(self, batch: Batch) -> tuple[np.ndarray, Sequence[str], Sequence[Sequence[str] | None]]:
        """Probabilities float32 (N, K), decisions and candidates. A model of an earlier version has the probabilities alone."""
        if hasattr(self._served, "answers"):
            notes = [note for fault, note in zip(batch.faults, batch.notes, strict=True) if not fault]
            probabilities, decisions, one_of = self._served.answers(batch.prepared, notes)
            return probabilities, decisions, one_of
        probabilities = self._served.runtime.probabilities(batch.prepared)
        return probabilities, [""] * len(probabilities), [None] * len(probabilities)

    def _answers_one_by_one(self, batch: Batch) -> Iterator[Prediction]:
        """By a model of an earlier version, which takes encoded images and stops at the first that is none."""
        waiting = iter(batch.prepared)
        for fault, sha256 in zip(batch.faults, batch.sha256, strict=True):
            try:
                answer = None if fault else self._served.predict([next(waiting)]).iloc[0]
            except Exception as error:  # of the error classes of its own code
                fault = str(error).removeprefix("image 0: ")
            if fault or answer is None:
                yield _failed(sha256, fault)
            else:
                row = np.array([answer["probabilities"][name] for name in self.class_names], np.float32)
                yield Prediction(str(answer["label"]), float(answer["probability"]), row, sha256)


def load(model: str | os.PathLike[str] = "champion", project: str | os.PathLike[str] | None = None) -> Classifier:
    """A registered model, ready to predict, with the code that was registered with it.

    model: a version (3), an alias, NAME/3, NAME@alias, the id of a run, or a .keras file. project: a folder of the project; the current one if not
    given. Raises ConfigError if there is no such model, TrackingError if it cannot be read or loaded.
    """
    paths = find_paths(Path(project) if project is not None else Path.cwd())
    folder = Path(tempfile.mkdtemp(prefix="classifier-"))
    try:
        located = locate(os.fspath(model), paths, folder)
        classifier = Classifier(open_served(located.folder, located.shown), located)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(classifier, shutil.rmtree, folder, ignore_errors=True)  # its code is loaded from there as long as it lives
    return classifier


def _failed(sha256: str, error: str) -> Prediction:
    return Prediction("", float("nan"), np.empty(0, np.float32), sha256, error=error)


def _is_one(images: object) -> bool:
    """Whether this is one image, not several."""
    return isinstance(images, str | os.PathLike | bytes) or (isinstance(images, np.ndarray) and images.ndim < 4 and images.dtype != object)


def _sent(value: Any) -> Any:
    try:
        return partial(bytes, image_bytes(value))
    except SourceError as error:
        return Unusable(str(error))


def _source(image: Image) -> Any:
    if isinstance(image, str | os.PathLike):
        return DiskFile(os.fspath(image))
    return partial(bytes, image) if isinstance(image, bytes | bytearray) else np.asarray(image)
