"""How doubtful each label is by the images that look most alike to a pretrained network. Pure functions of arrays."""

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS = 10
SPARE = 30
"""Asked for beyond these, as images of the own group do not count."""


@dataclass(frozen=True)
class Neighbours:
    """rows: int (N, M), the nearest images of each, the nearest first, -1 where there are no more. likeness: float (N, M), cosine, 0 where there are none.

    A group, near copies of one picture or images that the source says belong together, has no vote on its own images.
    """

    rows: np.ndarray
    likeness: np.ndarray


def find_neighbours(features: np.ndarray, groups: np.ndarray, count: int = NEIGHBOURS) -> Neighbours:
    """The nearest `count` images of each by the cosine of their features, float (N, F), without those of the same group, int (N,)."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(features.dtype).tiny)
    asked = min(len(unit), count + SPARE)
    distances, found = NearestNeighbors(n_neighbors=asked, algorithm="brute").fit(unit).kneighbors(unit)
    counts = groups[found] != groups[:, None]
    order = np.argsort(~counts, axis=1, kind="stable")[:, :count]
    there = np.take_along_axis(counts, order, axis=1)
    likeness = 1 - np.take_along_axis(distances, order, axis=1) ** 2 / 2
    return Neighbours(np.where(there, np.take_along_axis(found, order, axis=1), -1), np.where(there, likeness, 0))


def votes(neighbours: Neighbours, labels: np.ndarray, class_count: int) -> np.ndarray:
    """float (N, K), rows sum to 1, or to 0 without a neighbour: the share of each class among the neighbours, weighted by likeness."""
    shares = np.zeros((len(labels), class_count))
    voters = np.arange(len(labels))[:, None]
    np.add.at(shares, (voters, labels[neighbours.rows]), np.maximum(neighbours.likeness, 0))
    result: np.ndarray = shares / np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return result


def neighbour_doubts(shares: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float (N,), 0 to 1: one minus the margin of the label's share of the votes, float (N, K), over that of the strongest other class, halved."""
    rows, others = np.arange(len(labels)), shares.copy()
    others[rows, labels] = -np.inf
    doubts: np.ndarray = (1 - (shares[rows, labels] - others.max(axis=1))) / 2
    return doubts
