"""Images in the order in which a person should look at their labels. Pure functions of arrays."""

from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.proportion import accuracy_interval
from pipeline.labels.neighbours import Neighbours, find_neighbours, neighbour_doubts, votes
from pipeline.labels.scores import mean_rank, model_doubts


@dataclass(frozen=True)
class Ranking:
    """rows: int (M,), the images that the model or the neighbours would give another class, the most doubtful label first. suggested: int (M,): it.

    by_model, by_neighbours: float (N,), 0 to 1, how doubtful each of all labels is; by_neighbours and neighbours are None without features.
    """

    rows: np.ndarray
    suggested: np.ndarray
    by_model: np.ndarray
    by_neighbours: np.ndarray | None
    neighbours: Neighbours | None


def rank(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, features: np.ndarray | None) -> Ranking:
    """The ranking of N images. labels, groups: int (N,). probabilities: float (N, K), out of fold. features: float (N, F), of a pretrained network.

    With features, both scores count alike, by their ranks. The suggested class is the model's answer; where that is the label, the neighbours'.
    """
    by_model, said = model_doubts(labels, probabilities), probabilities.argmax(axis=1)
    if features is None:
        doubted = np.flatnonzero(said != labels)
        rows = doubted[np.argsort(-by_model[doubted], kind="stable")]
        return Ranking(rows, said[rows], by_model, None, None)
    neighbours = find_neighbours(features, groups)
    shares = votes(neighbours, labels, probabilities.shape[1])
    by_neighbours = neighbour_doubts(shares, labels)
    doubts = mean_rank([by_model, by_neighbours])
    voted = np.where(shares.max(axis=1) > shares[np.arange(len(labels)), labels], shares.argmax(axis=1), labels)
    suggested = np.where(said != labels, said, voted)
    doubted = np.flatnonzero(suggested != labels)
    rows = doubted[np.argsort(-doubts[doubted], kind="stable")]
    return Ranking(rows, suggested[rows], by_model, by_neighbours, neighbours)


@dataclass(frozen=True)
class Baseline:
    """How a model compares with always guessing the largest class. share: of that class among the labels; accuracy with its 95 % interval."""

    majority_class: int
    share: float
    accuracy: float
    low: float
    high: float

    @property
    def is_beaten(self) -> bool:
        """Clearly: by the lower end of the interval."""
        return self.low > self.share


def against_baseline(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray) -> Baseline:
    """The comparison for labels, groups int (N,), probabilities float (N, K), N at least 1."""
    counts = np.bincount(labels)
    correct = probabilities.argmax(axis=1) == labels
    low, high = accuracy_interval(correct, groups)
    return Baseline(int(counts.argmax()), float(counts.max() / len(labels)), float(correct.mean()), low, high)
