"""Images in the order in which a person should look at their labels. Pure functions of arrays."""

from dataclasses import dataclass

import numpy as np

from pipeline.labels.neighbours import find_neighbours, neighbour_doubts, votes
from pipeline.labels.scores import fitting_doubts, margin_doubts, mean_rank, model_doubts

MOST_ASKED = 10_000
"""Of more images, the neighbours of those most doubtful by the model are found: all of 60,000 would take minutes."""


@dataclass(frozen=True)
class Ranking:
    """rows: int (M,), the images that the model or the neighbours would give another class, the most doubtful label first. suggested: int (M,): it.

    by_model, by_neighbours: float (N,), 0 to 1, how doubtful each of all labels is, by_neighbours 0 where they were not asked. near: int (N, C), the
    nearest images, -1 where there are none. Both are None without features.
    """

    rows: np.ndarray
    suggested: np.ndarray
    by_model: np.ndarray
    by_neighbours: np.ndarray | None
    near: np.ndarray | None


def rank(
    labels: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    features: np.ndarray | None,
    margins: np.ndarray | None = None,
    most_asked: int = MOST_ASKED,
) -> Ranking:
    """The ranking of N images. labels, groups: int (N,). probabilities: float (N, K), out of fold. features: float (N, F), of a pretrained network.
    margins: float (N,), while networks were fitted to the image.

    The model and the neighbours, or without features the margins, count alike, by their ranks: all three together were not measured. The model's is the
    mean of two ranks, by the probability of the label and by its margin: one finds labels that are any other class, the other those of confused classes
    (docs/benchmarks.md). The suggested class is the model's answer; where that is the label, the neighbours'.
    """
    by_model, said = model_doubts(labels, probabilities), probabilities.argmax(axis=1)
    of_model = mean_rank([by_model, margin_doubts(labels, probabilities)])
    if features is None:
        doubts = of_model if margins is None else mean_rank([of_model, fitting_doubts(margins)])
        return Ranking(*_doubted(labels, said, doubts), by_model, None, None)
    asked = np.argsort(-of_model, kind="stable")[:most_asked]
    neighbours = find_neighbours(features, groups, asked)
    shares = votes(neighbours, labels, probabilities.shape[1])
    by_neighbours, near, voted = np.zeros(len(labels)), np.full((len(labels), neighbours.rows.shape[1]), -1), labels.copy()
    by_neighbours[asked], near[asked] = neighbour_doubts(shares, labels[asked]), neighbours.rows
    is_outvoted = shares.max(axis=1) > shares[np.arange(len(asked)), labels[asked]]
    voted[asked[is_outvoted]] = shares.argmax(axis=1)[is_outvoted]
    suggested = np.where(said != labels, said, voted)
    return Ranking(*_doubted(labels, suggested, mean_rank([of_model, by_neighbours])), by_model, by_neighbours, near)


def _doubted(labels: np.ndarray, suggested: np.ndarray, doubts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows with another class than suggested, the most doubtful first, and that class, int (M,) each."""
    rows = np.flatnonzero(suggested != labels)
    rows = rows[np.argsort(-doubts[rows], kind="stable")]
    return rows, suggested[rows]
