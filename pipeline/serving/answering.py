"""A model that answers: batches in, predictions out. Needs no registry; the server of an export imports this and not `classifier`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pipeline.errors import SourceError
from pipeline.serving.base64_text import image_bytes
from pipeline.serving.batches import Batch, Unusable, in_batches


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


class Answering:
    """A loaded model. `name` and `version` tell which; `class_names` are in the order of the probabilities."""

    def __init__(self, served: Any, name: str, version: str, shown: str) -> None:
        self.name, self.version, self.shown = name, version, shown
        self._served = served
        self._preparation = getattr(served, "preparation", None)
        self.class_names: list[str] = list(getattr(served, "class_names", None) or served._class_names)

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
        rows = iter(zip(*self._answered(batch), strict=True))
        for fault, sha256 in zip(batch.faults, batch.sha256, strict=True):
            if fault:
                yield _failed(sha256, fault)
            else:
                row, decision, candidates, note = next(rows)
                best = int(row.argmax())
                yield Prediction(self.class_names[best], float(row[best]), row, sha256, note, decision=decision, one_of=candidates or ())

    def _answered(self, batch: Batch) -> tuple[np.ndarray, Sequence[str], Sequence[Sequence[str] | None], Sequence[str]]:
        """Probabilities float32 (N, K), decisions, candidates and notes of the images without a fault. A model of an earlier version adds no note, or has
        the probabilities alone.
        """
        notes = [note for fault, note in zip(batch.faults, batch.notes, strict=True) if not fault]
        if hasattr(self._served, "answers"):
            probabilities, decisions, one_of, *noted = self._served.answers(batch.prepared, notes)
            return probabilities, decisions, one_of, noted[0] if noted else notes
        probabilities = self._served.runtime.probabilities(batch.prepared)
        return probabilities, [""] * len(probabilities), [None] * len(probabilities), notes

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


def _failed(sha256: str, error: str) -> Prediction:
    return Prediction("", float("nan"), np.empty(0, np.float32), sha256, error=error)


def _sent(value: Any) -> Any:
    try:
        return partial(bytes, image_bytes(value))
    except SourceError as error:
        return Unusable(str(error))
