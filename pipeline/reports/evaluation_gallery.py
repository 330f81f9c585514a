"""Test images with the answers of the model, each beside the map of what the answer rests on: mistakes, and the answers that it is least sure of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from pipeline.evaluation.metrics import confident_mistakes
from pipeline.explanation.overlay import AGAINST, FOR, overlay, picture, strongest

MISTAKES_SHOWN = 24
UNSURE_SHOWN = 24


class Explaining(Protocol):
    """What gives maps, as `explanation/kept_model.py`."""

    def maps(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray | None: ...

    @property
    def maps_are_exact(self) -> bool: ...


@dataclass(frozen=True)
class Answer:
    """A test image and what the model says. thumbnail, map: PNG or JPEG; map is None if there is none. place: where the map is strongest, in words.

    probability: of the predicted class, 0 to 1.
    """

    thumbnail: bytes
    path: str
    label: str
    predicted: str
    probability: float
    map: bytes | None = None
    place: str = ""

    @property
    def is_right(self) -> bool:
        return self.label == self.predicted


@dataclass(frozen=True)
class Gallery:
    """mistakes: the most confident first. unsure: the least sure answers first, right or wrong, without those among the mistakes.

    colours: of the maps, as in CSS: what speaks for the answer, and what against it. is_exact: whether a map sums to the logit less its bias.
    """

    mistakes: Sequence[Answer]
    unsure: Sequence[Answer]
    colours: tuple[str, str]
    is_exact: bool

    @property
    def has_maps(self) -> bool:
        """Whether any image has a map."""
        return any(answer.map for answer in (*self.mistakes, *self.unsure))


def gallery(
    model: Explaining,
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    scores: np.ndarray,
    class_names: Sequence[str],
    paths: pa.ChunkedArray,
) -> Gallery:
    """The worst mistakes and the least sure answers, with maps of the predicted classes.

    images: uint8 (N, H, W, C). labels: int (N,). probabilities: float (N, K). scores: float (N,), by which answers are ranked. paths: of the images.
    """
    mistakes = confident_mistakes(labels, probabilities, MISTAKES_SHOWN)
    rows = np.concatenate([mistakes, least_sure(scores, mistakes, UNSURE_SHOWN)])
    shown, predicted = np.stack([np.asarray(images[i]) for i in rows]), probabilities[rows].argmax(axis=1)
    maps = model.maps(shown, predicted)
    answers = [
        Answer(
            thumbnail=picture(shown[at]),
            path=paths[int(row)].as_py(),
            label=class_names[labels[row]],
            predicted=class_names[predicted[at]],
            probability=float(probabilities[row].max()),
            map=None if maps is None else overlay(shown[at], maps[at]),
            place="" if maps is None else strongest(maps[at]),
        )
        for at, row in enumerate(rows)
    ]
    return Gallery(answers[: len(mistakes)], answers[len(mistakes) :], (_as_css(FOR), _as_css(AGAINST)), model.maps_are_exact)


def least_sure(scores: np.ndarray, shown: np.ndarray, count: int) -> np.ndarray:
    """int (M,), M at most `count`: the rows with the lowest scores, float (N,), lowest first, without the rows `shown`."""
    order = np.argsort(scores, kind="stable")
    return order[~np.isin(order, shown)][:count]


def _as_css(colour: tuple[int, int, int]) -> str:
    """A colour, red, green and blue from 0 to 255, as in CSS."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
