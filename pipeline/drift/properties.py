"""Which properties of images differ: brightness, size, sharpness and others, one by one. Arrays in, values out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LARGE = 0.1
"""So far from .5 the area of a property is worth a word."""


@dataclass(frozen=True)
class PropertyShift:
    """A property: its median of the new images and of the reference, and the chance, 0 to 1, that a new image has more of it."""

    name: str
    new: float
    reference: float
    area: float

    @property
    def is_large(self) -> bool:
        """Whether it differs by so much that it is named."""
        return abs(self.area - 0.5) > LARGE


def property_shifts(names: Sequence[str], new: np.ndarray, reference: np.ndarray) -> list[PropertyShift]:
    """The properties, float (M, P) and (N, P), those that differ most first; the area is that of Mann and Whitney (1947)."""
    found = []
    for k, name in enumerate(names):
        ranks = stats.rankdata(np.concatenate([new[:, k], reference[:, k]]))[: len(new)]
        area = (ranks.mean() - (len(new) + 1) / 2) / len(reference)
        found.append(PropertyShift(name, float(np.median(new[:, k])), float(np.median(reference[:, k])), float(area)))
    return sorted(found, key=lambda each: -abs(each.area - 0.5))
