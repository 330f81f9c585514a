"""Classes that consist of one picture many times over, or of the pictures of another class. Pure functions of arrays over N images.

pictures: a digest of the pixels of each image, uint64 (N,). labels: int (N,), indices into class_names.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.names import shown

TIMES_REPEATED = 10
MOST_OF_A_CLASS = 0.5


class Repetition(NamedTuple):
    """A class with its number of images and of different pictures."""

    name: str
    images: int
    pictures: int

    @property
    def in_words(self) -> str:
        """For example "30 images of cat are 1 picture"."""
        return f"{self.images:,} images of {shown(self.name)} are {self.pictures:,} picture{'s' if self.pictures > 1 else ''}"


class SharedImages(NamedTuple):
    """A class of which most images have the same pixels as images of another class."""

    name: str
    other: str
    shared: int
    images: int

    @property
    def in_words(self) -> str:
        """For example "class cat repeats class dog (60 of 60 images)"."""
        return f"class {shown(self.name)} repeats class {shown(self.other)} ({self.shared:,} of {self.images:,} images)"


def count_pictures(pictures: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> list[Repetition]:
    """Every class that has images."""
    _, pair_labels, _ = _pairs(pictures, labels, len(class_names))
    images, different = (np.bincount(numbers, minlength=len(class_names)).tolist() for numbers in (labels, pair_labels))
    return [Repetition(*counted) for counted in zip(class_names, images, different, strict=True) if counted[1]]


def find_shared(pictures: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> list[SharedImages]:
    """The pairs of classes of which one repeats the other for the most part, each pair once: the class with the larger share is said to repeat."""
    picture, label, counts = _pairs(pictures, labels, len(class_names))
    images = np.bincount(labels, minlength=len(class_names)).tolist()
    several = np.flatnonzero(np.bincount(picture) > 1)
    shared: Counter[tuple[int, int]] = Counter()
    for start, end in zip(np.searchsorted(picture, several), np.searchsorted(picture, several, side="right"), strict=True):
        classes = list(zip(label[start:end].tolist(), counts[start:end].tolist(), strict=True))
        shared.update({(own, other): count for own, count in classes for other, _ in classes if own != other})
    found = []
    for own, other in sorted(shared):
        share, back = shared[own, other] / images[own], shared[other, own] / images[other]
        if share > MOST_OF_A_CLASS and (share, -own) > (back, -other):
            found.append(SharedImages(class_names[own], class_names[other], shared[own, other], images[own]))
    return found


def _pairs(pictures: np.ndarray, labels: np.ndarray, class_count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of a picture and a class that occur, in the order of the pictures: (numbers of pictures, labels, images), int64 (M,) each."""
    _, numbers = np.unique(pictures, return_inverse=True)
    pairs, counts = np.unique(numbers.astype(np.int64) * class_count + labels, return_counts=True)
    return pairs // class_count, pairs % class_count, counts
