"""Accuracy per class of two models on the same test images, with paired intervals. Arrays in, values out."""

from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.clusters import cluster_interval
from pipeline.evaluation.paired import tango_interval


@dataclass(frozen=True)
class Paired:
    """Of so many images: the share that each model gets right, and the difference with its 95 % interval; NaN without images."""

    name: str
    images: int
    champion: float
    challenger: float
    difference: float
    low: float
    high: float


def per_class(labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray, groups: np.ndarray) -> list[Paired]:
    """The classes among N labels, those with the largest loss first. labels, champion, challenger: text (N,); groups: int (N,)."""
    rows = [paired(name, labels == name, labels, champion, challenger, groups) for name in sorted(set(labels.tolist()))]
    return sorted(rows, key=lambda row: (row.difference, row.name))


def paired(name: str, chosen: np.ndarray, labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray, groups: np.ndarray) -> Paired:
    """The images chosen, bool (N,) with one at least. Tango's interval (1998); where images come in groups, theirs."""
    truth, inside = labels[chosen], groups[chosen]
    was, is_right = champion[chosen] == truth, challenger[chosen] == truth
    differences = is_right.astype(np.int64) - was
    if len(np.unique(inside)) < len(truth):
        low, high = cluster_interval(differences, inside)
    else:
        low, high = map(float, tango_interval((differences > 0).sum(), (differences < 0).sum(), len(truth)))
    return Paired(name, len(truth), float(was.mean()), float(is_right.mean()), float(differences.mean()), low, high)
