"""How the images of two versions differ: added, removed, relabelled, on another side. Values in, values out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.changes.image_list import Placed

HELD_OUT = "test"


@dataclass(frozen=True)
class ClassChange:
    """A class: its images before and now, how many were added and removed, and how many got this label or lost it."""

    name: str
    before: int
    now: int
    added: int
    removed: int
    relabelled_to: int
    relabelled_from: int


@dataclass(frozen=True)
class DataChanges:
    """added, removed, relabelled: sha256 of images. moved: how many are in test that were in train or validation, or the other way round."""

    before: int
    now: int
    added: Sequence[str]
    removed: Sequence[str]
    relabelled: Sequence[str]
    moved: int
    classes: Sequence[ClassChange]


@dataclass(frozen=True)
class Yardstick:
    """The test images that both versions have: how many labels were corrected, and how many answers are right by the old and by the new labels."""

    images: int
    corrected: int
    champion_before: int
    champion_now: int
    challenger_before: int
    challenger_now: int


def compare_images(before: Mapping[str, Placed], now: Mapping[str, Placed]) -> DataChanges:
    """The changes; lists are in alphabetical order."""
    both = sorted(before.keys() & now.keys())
    relabelled = [sha256 for sha256 in both if before[sha256].label != now[sha256].label]
    added, removed = sorted(now.keys() - before.keys()), sorted(before.keys() - now.keys())
    moved = sum((before[sha256].split == HELD_OUT) != (now[sha256].split == HELD_OUT) for sha256 in both)
    counts = [
        Counter(placed.label for placed in before.values()),
        Counter(placed.label for placed in now.values()),
        Counter(now[sha256].label for sha256 in added),
        Counter(before[sha256].label for sha256 in removed),
        Counter(now[sha256].label for sha256 in relabelled),
        Counter(before[sha256].label for sha256 in relabelled),
    ]
    names = sorted(counts[0].keys() | counts[1].keys())
    classes = [ClassChange(name, *(count[name] for count in counts)) for name in names]
    return DataChanges(len(before), len(now), added, removed, relabelled, moved, classes)


def compare_yardstick(
    before: Mapping[str, Placed], sha256: Sequence[str], labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray
) -> Yardstick:
    """sha256, labels, champion, challenger: of the N test images now, and both answers to them, text (N,)."""
    known = [i for i, key in enumerate(sha256) if key in before and before[key].split == HELD_OUT]
    old = np.array([before[sha256[i]].label for i in known], dtype=object)
    new, was, answer = labels[known], champion[known], challenger[known]
    hits = [int((answers == truth).sum()) for answers in (was, answer) for truth in (old, new)]
    return Yardstick(len(known), int((old != new).sum()), *hits)
