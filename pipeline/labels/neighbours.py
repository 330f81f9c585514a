"""How doubtful each label is by the images that look most alike to a pretrained network. Pure functions of arrays."""

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS = 20
SPARE = 20
"""Asked for beyond these, as images of the own group do not count."""


@dataclass(frozen=True)
class Neighbours:
    """rows: int (M, C), the nearest images of each of M, the nearest first, -1 where there are no more. likeness: float (M, C), their cosine, 0 there.

    A group, near copies of one picture or images that the source says belong together, has no vote on its own images.
    """

    rows: np.ndarray
    likeness: np.ndarray


def find_neighbours(features: np.ndarray, groups: np.ndarray, asked: np.ndarray, count: int = NEIGHBOURS) -> Neighbours:
    """The `count` nearest of N images to those in the rows `asked`, int (M,), by the cosine of their features, float (N, F), without those of the same
    group, int (N,).
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(features.dtype).tiny)
    index = NearestNeighbors(n_neighbors=min(len(unit), count + SPARE), algorithm="brute").fit(unit)
    distances, found = index.kneighbors(unit[asked])
    counts = groups[found] != groups[asked][:, None]
    order = np.argsort(~counts, axis=1, kind="stable")[:, :count]
    there = np.take_along_axis(counts, order, axis=1)
    likeness = 1 - np.take_along_axis(distances, order, axis=1) ** 2 / 2
    return Neighbours(np.where(there, np.take_along_axis(found, order, axis=1), -1), np.where(there, np.maximum(likeness, 0), 0))


def votes(neighbours: Neighbours, labels: np.ndarray, class_count: int) -> np.ndarray:
    """float (M, K), rows sum to 1, or to 0 without a neighbour: the share of each class among the neighbours, weighted by likeness. labels: int (N,)."""
    shares = np.zeros((len(neighbours.rows), class_count))
    np.add.at(shares, (np.arange(len(shares))[:, None], labels[neighbours.rows]), neighbours.likeness)
    result: np.ndarray = shares / np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return result


def neighbour_doubts(shares: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float (M,), 0 to 1: one minus the label's share of the votes, float (M, K). labels: int (M,), of the images asked about."""
    doubts: np.ndarray = 1 - shares[np.arange(len(labels)), labels]
    return doubts
