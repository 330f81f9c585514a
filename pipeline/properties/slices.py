"""Where is a model worse? Accuracy in slices of the test images: the dark ones, the small ones, those of a folder. Arrays in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.proportion import wilson_interval

FEWEST = 20
"""Images of a slice that is looked at."""
PARTS = 4
MOST_VALUES = 50
LEVEL = 0.05


@dataclass(frozen=True)
class Slice:
    """Images of which `column` is `value`: how many, the share that is right, with an interval; expected: the share by their classes alone."""

    column: str
    value: str
    images: int
    accuracy: float
    low: float
    high: float
    expected: float

    @property
    def is_worse(self) -> bool:
        """Whether it is shown to be worse than its classes alone explain."""
        return self.high < self.expected - 1e-9  # not by rounding


@dataclass(frozen=True)
class Slices:
    """All slices that were looked at, those that fall furthest below what is expected first. columns: what was looked at."""

    every: Sequence[Slice]
    columns: Sequence[str]

    @property
    def worse(self) -> Sequence[Slice]:
        """Those that are shown to be worse."""
        return [each for each in self.every if each.is_worse]


def find_slices(correct: np.ndarray, labels: np.ndarray, groups: np.ndarray, columns: Mapping[str, np.ndarray]) -> Slices:
    """Slices of N images. correct: bool (N,); labels, groups: int (N,); columns: numbers, cut into PARTS of equally many images, or text, (N,) each.

    The intervals hold for all slices together: each is Wilson's (1927) at a level of LEVEL divided by their number (Bonferroni). A slice counts as so
    many images as it has groups.
    """
    chosen = [
        (name, value, rows) for name, values in columns.items() for value, rows in _parts(values) if FEWEST <= rows.sum() < len(correct)
    ]
    if not chosen:
        return Slices([], [])
    of_class = np.bincount(labels, weights=correct) / np.maximum(np.bincount(labels), 1)
    expected = of_class[labels]
    found = []
    for name, value, rows in chosen:
        share = float(correct[rows].mean())
        count = len(np.unique(groups[rows]))
        low, high = wilson_interval(round(share * count), count, 1 - LEVEL / len(chosen))
        found.append(Slice(name, value, int(rows.sum()), share, low, high, float(expected[rows].mean())))
    return Slices(
        sorted(found, key=lambda each: (each.accuracy - each.expected, each.column, each.value)),
        list(dict.fromkeys(name for name, *_ in chosen)),
    )


def _parts(values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """(value in words, rows bool (N,)) of a column."""
    if values.dtype.kind in "OUS":
        names = sorted(set(values.tolist()))
        return [(name, values == name) for name in names] if 1 < len(names) <= MOST_VALUES else []
    limits = np.unique(np.quantile(values, np.linspace(0, 1, PARTS + 1)[1:-1], method="lower"))
    part = np.searchsorted(limits, values, side="left")
    return [(_range(values[part == k]), part == k) for k in np.unique(part).tolist()] if len(np.unique(part)) > 1 else []


def _range(values: np.ndarray) -> str:
    low, high = (f"{end:.4g}" for end in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"
