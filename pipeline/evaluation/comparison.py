"""Two models on the same images: which changed, by how much accuracy differs, and the verdict. Arrays of names in, values out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.evaluation.class_drops import dropped
from pipeline.evaluation.clusters import cluster_interval
from pipeline.evaluation.margin import images_needed, power
from pipeline.evaluation.paired import CONFIDENCE_LEVEL, mid_p, tango_interval

Verdict = Literal["better", "not worse", "worse", "can't tell"]
ROUNDING = 1e-9


@dataclass(frozen=True)
class Pair:
    """What a new and an old model answer to the same N images: labels, new, old, class names (N,). groups: int (N,), images that belong together.

    `class_names`: the classes that both know. `against`: who the old model is.
    """

    against: str
    labels: np.ndarray
    new: np.ndarray
    old: np.ndarray
    groups: np.ndarray
    class_names: Sequence[str]


@dataclass(frozen=True)
class ClassDrop:
    """A class that the new model is shown to get right less often, by more than the limit: shares of its images, 0 to 1. `against`: as in Pair."""

    name: str
    before: float
    after: float
    against: str


@dataclass(frozen=True)
class Comparison:
    """A new model against an old one on `images` images of `groups` groups; N is at least 1.

    `gained`, `lost`: images that only the new, or only the old model gets right. `changed`: images that both get wrong, with different answers.
    `low`, `high`: the 95 % interval of the difference in accuracy, new minus old, -1 to 1. `p_value`: of McNemar's mid-p test, two-sided, images
    counted one by one. `design_effect`: how many images of this set say as much as one that belongs to no group; at least 1.
    """

    images: int
    groups: int
    gained: int
    lost: int
    changed: int
    low: float
    high: float
    p_value: float
    design_effect: float

    @property
    def difference(self) -> float:
        return (self.gained - self.lost) / self.images

    @property
    def discordance(self) -> float:
        return (self.gained + self.lost) / self.images

    @property
    def effective_images(self) -> float:
        """The number of independent images that would say as much."""
        return self.images / self.design_effect

    @property
    def test(self) -> str:
        """How the interval was made."""
        return "Tango score interval" if self.groups == self.images else "cluster bootstrap over groups of images"

    def verdict(self, margin: float) -> Verdict:
        """Better or worse: the interval is on one side of 0 and the p-value below 5 %. Not worse: the interval is above minus the margin."""
        significant = self.p_value < 1 - CONFIDENCE_LEVEL
        if self.low > 0 and significant:
            return "better"
        if self.low >= -margin - ROUNDING:
            return "not worse"
        return "worse" if self.high < 0 and significant else "can't tell"

    def power(self, margin: float) -> float:
        """The chance, 0 to 1, that an equally good model is found not worse."""
        return power(self.discordance, self.effective_images, margin)

    def images_that_would_tell(self, margin: float, *, better: bool) -> int | None:
        """How many such images would, with 80 % chance, show an equally good model not to be worse; or, if these are as many, one with this difference.

        better: how many would show this difference to be better. None if no number would do.
        """
        equal = self._images_needed(margin) if margin > 0 and not better else 0
        lead = self.difference if better else margin + min(self.difference, 0)
        if equal > self.images:
            return equal
        return self._images_needed(lead) if lead > 0 else None

    def _images_needed(self, lead: float) -> int:
        return round(images_needed(self.discordance, lead) * self.design_effect)


def compare(pair: Pair) -> Comparison:
    """The comparison of two models' answers to N images, N at least 1."""
    new_right, old_right = pair.new == pair.labels, pair.old == pair.labels
    differences = new_right.astype(np.int64) - old_right
    gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
    changed = int((~new_right & ~old_right & (pair.new != pair.old)).sum())
    images, groups = len(pair.labels), len(np.unique(pair.groups))
    low, high = narrow = tuple(float(end) for end in tango_interval(gained, lost, images))
    if groups < images:
        low, high = cluster_interval(differences, pair.groups)
    effect = max(1.0, ((high - low) / (narrow[1] - narrow[0])) ** 2)
    return Comparison(images, groups, gained, lost, changed, low, high, float(mid_p(gained, lost)), effect)


def class_drops(pairs: Sequence[Pair], limit: float) -> list[ClassDrop]:
    """The classes that are shown to have dropped by more than `limit` against any of the old models, corrected for the number of all comparisons.

    A class is counted as so many images as it has groups: copies of an image are no further evidence.
    """
    rows = [(pair, name, counts) for pair in pairs for name, counts in zip(pair.class_names, _by_class(pair), strict=True) if counts[2]]
    if not rows:
        return []
    new, old, images, units, gained, lost = np.array([counts for _, _, counts in rows]).T
    shares = units / images
    is_down = dropped(np.ceil(gained * shares), np.floor(lost * shares), units, limit)
    return [
        ClassDrop(rows[i][1], float(old[i] / images[i]), float(new[i] / images[i]), rows[i][0].against) for i in np.flatnonzero(is_down)
    ]


def untested(pair: Pair) -> list[str]:
    """The classes without images, in their order."""
    there = set(pair.labels.tolist())
    return [name for name in pair.class_names if name not in there]


def _by_class(pair: Pair) -> np.ndarray:
    """int (K, 6): images of each class that the new model gets right, the old one, all, groups, and those that only the new or only the old gets right."""
    place = {name: k for k, name in enumerate(pair.class_names)}
    code = np.array([place[label] for label in pair.labels.tolist()], np.int64)
    new, old = pair.new == pair.labels, pair.old == pair.labels
    group = np.unique(pair.groups, return_inverse=True)[1]
    in_groups = np.unique(np.stack([code, group], axis=1), axis=0)[:, 0]
    members = (code[new], code[old], code, in_groups, code[new & ~old], code[old & ~new])
    return np.stack([np.bincount(found, minlength=len(place)) for found in members], axis=1)
