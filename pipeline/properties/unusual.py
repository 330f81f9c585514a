"""Images whose brightness, contrast or sharpness stands out: dark, light, nearly empty, blurry, and those that are odd in all together. Arrays in."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

FEW = 0.05
"""A limit counts unless more images than this are beyond it: then it is how this data set looks."""
FENCE = 3.0
"""Tukey (1977), Exploratory data analysis: far out is what lies so many interquartile ranges beyond the quartiles."""


class Limit(NamedTuple):
    """A way to stand out: the property, whether by little or by much of it, and the value beyond which an image always does."""

    name: str
    column: str
    by_little: bool
    value: float


LIMITS = (
    Limit("dark", "brightness", True, 15.0),
    Limit("light", "brightness", False, 245.0),
    Limit("nearly empty", "contrast", True, 4.0),
    Limit("blurry", "sharpness", True, 1.0),
)
ODD = "unlike all others"


def find_unusual(columns: Mapping[str, np.ndarray], odd: int) -> dict[str, np.ndarray]:
    """Rows, int (M,), of the images that stand out, by how; the most unusual first. columns: float (N,) by name. odd: how many are odd at most.

    Those that are odd in all together have the largest Mahalanobis distance (1936) from the mean.
    """
    found = {limit.name: _beyond(columns[limit.column], limit) for limit in LIMITS if limit.column in columns}
    named = set(np.concatenate([*found.values(), np.empty(0, np.int64)]).tolist())
    others = [row for row in _distances(columns).argsort(kind="stable")[::-1].tolist() if row not in named]
    return {**found, ODD: np.array(others[:odd], np.int64)}


def _beyond(values: np.ndarray, limit: Limit) -> np.ndarray:
    sign = 1 if limit.by_little else -1
    low, high = np.quantile(values, [0.25, 0.75])
    fence = low - FENCE * (high - low) if limit.by_little else high + FENCE * (high - low)
    beyond = sign * values < sign * fence
    always = sign * values < sign * limit.value
    if always.mean() <= FEW:
        beyond |= always
    rows = np.flatnonzero(beyond)
    return rows[np.argsort(sign * values[rows], kind="stable")]


def _distances(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    rows = np.stack([np.asarray(values, np.float64) for values in columns.values()], axis=1)
    spread = rows.std(axis=0)
    scaled = (rows - rows.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    if not scaled.size:
        return np.zeros(len(rows))
    inverse = np.linalg.pinv(np.atleast_2d(np.cov(scaled, rowvar=False)))
    found: np.ndarray = np.einsum("ij,jk,ik->i", scaled, inverse, scaled)
    return found
