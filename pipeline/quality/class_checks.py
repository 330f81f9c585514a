"""Problems with the classes of a data set: few images, imbalance, shortcuts. Pure functions of counts and of arrays over N images."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.names import shown

FEW_IMAGES = 20  # the largest number of folds
MOST_TIMES_LARGER = 10
LEAST_GAP = 0.9  # share of a class that has an attribute minus the share of all other classes
LEAST_IMAGES = 5  # fewer may have the same attribute by chance
AREA_BINS = 64


class ClassProblem(NamedTuple):
    """A finding about classes: its kind, the classes, and a note."""

    kind: str
    classes: tuple[str, ...]
    note: str


def check_counts(counts: Mapping[str, Mapping[str, int]], class_names: Sequence[str]) -> list[ClassProblem]:
    """Small, imbalanced and missing classes. counts: images by split and class; validation images count as training images."""
    training = {name: counts["train"][name] + counts["validation"][name] for name in class_names}
    problems = [
        ClassProblem("small_class", (name,), f"{count:,} training images") for name, count in training.items() if 0 < count < FEW_IMAGES
    ]
    largest, smallest = max(training, key=training.__getitem__), min(training, key=training.__getitem__)
    if training[largest] > MOST_TIMES_LARGER * training[smallest]:
        note = f"{training[largest]:,} training images against {training[smallest]:,}"
        problems.append(ClassProblem("imbalance", (largest, smallest), note))
    for split, by_class in counts.items():
        absent = [name for name in class_names if not by_class[name]]
        if len(absent) < len(class_names):
            problems += [ClassProblem("missing_in_split", (name,), f"no images in {split}") for name in absent]
    return problems


def find_shortcuts(
    labels: np.ndarray, marks: Mapping[str, np.ndarray], areas: np.ndarray, class_names: Sequence[str]
) -> list[ClassProblem]:
    """Classes that can be predicted without looking at the content of the images.

    labels: int (N,). marks: attributes of the images, text (N,), by the name of the attribute ("colour mode"). areas: int (N,), pixels of each image. A
    class is named if the share of its images that have an attribute exceeds the share of all other images by LEAST_GAP.
    """
    sizes = np.bincount(labels, minlength=len(class_names))
    enough = (sizes >= LEAST_IMAGES) & (len(labels) - sizes >= LEAST_IMAGES)
    problems = []
    for mark, values in marks.items():
        texts, number = np.unique(values, return_inverse=True)
        inside, outside = _shares(labels, number, sizes, len(texts))
        for label, value in np.argwhere((inside - outside >= LEAST_GAP) & enough[:, None]).tolist():
            problems.append(_shortcut(class_names[label], f"{mark} {texts[value]}", inside[label, value], outside[label, value]))
    if not any(problem.note.startswith("size") for problem in problems):
        problems += _area_shortcuts(labels, areas, sizes, enough, class_names)
    return problems


def _area_shortcuts(
    labels: np.ndarray, areas: np.ndarray, sizes: np.ndarray, enough: np.ndarray, class_names: Sequence[str]
) -> list[ClassProblem]:
    """Classes whose images are larger or smaller than all others."""
    limits = np.unique(np.quantile(areas, np.linspace(0, 1, AREA_BINS + 1), method="lower"))
    inside, outside = _shares(labels, np.searchsorted(limits, areas, side="right") - 1, sizes, len(limits))
    inside, outside = inside[:, ::-1].cumsum(axis=1)[:, ::-1], outside[:, ::-1].cumsum(axis=1)[:, ::-1]  # share of this bin and all above
    problems = []
    for label in np.flatnonzero(enough).tolist():
        gap = inside[label] - outside[label]
        for sign, words in ((1, "or more"), (-1, "or less")):
            at = int((sign * gap).argmax())
            if sign * gap[at] >= LEAST_GAP:
                seen = (inside[label, at], outside[label, at]) if sign > 0 else (1 - inside[label, at], 1 - outside[label, at])
                limit = limits[at] if sign > 0 else limits[at] - 1
                problems.append(_shortcut(class_names[label], f"size of {limit:,} pixels {words}", *seen))
    return problems


def _shares(labels: np.ndarray, values: np.ndarray, sizes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(share of each class that has each value, share of all other images), float64 (K, count) each."""
    table = np.zeros((len(sizes), count))
    np.add.at(table, (labels, values), 1)
    others = np.maximum(len(labels) - sizes, 1)[:, None]
    return table / np.maximum(sizes, 1)[:, None], (table.sum(axis=0) - table) / others


def _shortcut(name: str, seen: str, inside: float, outside: float) -> ClassProblem:
    return ClassProblem("shortcut", (name,), f"{seen}: {inside:.0%} of {shown(name)}, {outside:.0%} of all others")
