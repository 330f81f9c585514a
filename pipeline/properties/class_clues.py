"""How much a single property gives away of the class: brightness, size, sharpness, the folder. Arrays in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

BINS = 16
LARGE = 0.2
"""A property that does better than chance by so much is named."""
HALVES = 2


@dataclass(frozen=True)
class Clue:
    """A property. accuracy: the mean share of each class that is told by it alone, out of fold; chance: the same of guessing.

    class_name: of which it says most; area: the chance, 0 to 1, that an image of that class has more of it than another; NaN if it is no number.
    """

    name: str
    accuracy: float
    chance: float
    class_name: str
    area: float

    @property
    def is_large(self) -> bool:
        """Whether it gives away so much that it is named."""
        return self.accuracy - self.chance > LARGE


def find_clues(labels: np.ndarray, columns: Mapping[str, np.ndarray], class_names: Sequence[str], *, seed: int = 0) -> list[Clue]:
    """The properties by what they give away, the most first. labels: int (N,), indices into class_names; columns: numbers or text (N,) by name."""
    half = np.random.default_rng(seed).integers(0, HALVES, len(labels))
    found = [_clue(name, values, labels, half, class_names) for name, values in columns.items() if len(np.unique(values)) > 1]
    return sorted(found, key=lambda clue: (-clue.accuracy, clue.name))


def _clue(name: str, values: np.ndarray, labels: np.ndarray, half: np.ndarray, class_names: Sequence[str]) -> Clue:
    is_text = values.dtype.kind in "OUS"
    bins = np.unique(values, return_inverse=True)[1] if is_text else _bins(values)
    told = _told(bins, labels, half, len(class_names))
    sizes = np.bincount(labels, minlength=len(class_names))
    present = np.flatnonzero(sizes)
    shares = np.bincount(labels, weights=told == labels, minlength=len(class_names))[present] / sizes[present]
    best, area = (int(present[shares.argmax()]), float("nan")) if is_text else _most_apart(values, labels, sizes)
    return Clue(name, float(shares.mean()), 1 / len(present), class_names[best], area)


def _bins(values: np.ndarray) -> np.ndarray:
    limits = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(limits, values, side="right")


def _told(bins: np.ndarray, labels: np.ndarray, half: np.ndarray, count: int) -> np.ndarray:
    """int (N,): for each image the class that has the largest share of its images in this bin, in the half that the image is not in."""
    told = np.empty(len(labels), np.int64)
    for part in range(HALVES):
        table = np.zeros((bins.max() + 1, count))
        others = half != part
        np.add.at(table, (bins[others], labels[others]), 1)
        shares = table / np.maximum(table.sum(axis=0), 1)
        told[~others] = shares.argmax(axis=1)[bins[~others]]
    return told


def _most_apart(values: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> tuple[int, float]:
    """The class whose images differ most from all others in rank, and the area (Mann and Whitney 1947)."""
    ranks = np.bincount(labels, weights=stats.rankdata(values), minlength=len(sizes))
    pairs = sizes * (len(labels) - sizes)
    areas = np.where(pairs > 0, (ranks - sizes * (sizes + 1) / 2) / np.maximum(pairs, 1), 0.5)
    best = int(np.abs(areas - 0.5).argmax())
    return best, float(areas[best])
