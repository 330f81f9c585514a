"""All that is known of new images beside the reference, and whether it is an alarm: by the size of an effect, never by a p-value alone. Values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.drift.answers import ClassMix, OutputShift, class_mix, output_shift
from pipeline.drift.expected_accuracy import expected_accuracy
from pipeline.drift.nearest import NewKind, find_new_kind
from pipeline.drift.ranking import Interval
from pipeline.drift.separation import Separation, separate

AREA_ALARM, UNLIKE_ALARM, MIX_ALARM = 0.55, 0.0, 0.02
"""The lower end of the interval above which the area, the share unlike the reference, or the distance of the class mixes is an alarm."""
OUTPUT_ALARM = 0.1
"""The largest difference of two distributions of a probability from which it is one."""
SMALLEST = 1e-3
"""A property that varies less than by this, relative to its middle, does not vary: rounding must not tell images apart."""
MOST = 2000
"""Images of a side; more would hardly narrow an interval."""


@dataclass(frozen=True)
class Side:
    """Images of one side, M or N: features float (M, F) of a pretrained network, F 0 without one; properties float (M, P); probabilities float (M, K).

    groups: int (M,), images that belong together. The reference has two sets: images for features and properties, and held-out images for
    probabilities, with their labels, int.
    """

    features: np.ndarray
    properties: np.ndarray
    groups: np.ndarray
    probabilities: np.ndarray
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class Drift:
    """What is known. content: by features of a pretrained network, None without; looks: by properties; kind: by the first of these that is known.

    expected: the accuracy to expect; true: as it is, None without labels.
    """

    images: int
    content: Separation | None
    looks: Separation
    kind: NewKind
    mix: ClassMix
    outputs: OutputShift
    expected: Interval
    true: float | None

    @property
    def newest(self) -> np.ndarray:
        """int (M,): all images, those that look newest first, by the highest of their scores."""
        return np.argsort(-np.max(list(self.scores.values()), axis=0), kind="stable")

    @property
    def separations(self) -> Mapping[str, Separation]:
        """By `content`, if it is known, and by `looks`."""
        return {name: each for name, each in (("content", self.content), ("looks", self.looks)) if each}

    @property
    def scores(self) -> Mapping[str, np.ndarray]:
        """How new each image looks, float (M,), by `content`, `looks` and `kind`."""
        return {**{name: each.scores for name, each in self.separations.items()}, "kind": self.kind.scores}

    @property
    def alarms(self) -> Sequence[str]:
        """What is an alarm: of `content`, `looks`, `kind`, `mix` and `outputs`."""
        found = {
            "content": self.content is not None and self.content.area.low > AREA_ALARM,
            "looks": self.looks.area.low > AREA_ALARM,
            "kind": self.kind.unlike.low > UNLIKE_ALARM,
            "mix": self.mix.distance.low > MIX_ALARM,
            "outputs": self.outputs.largest > OUTPUT_ALARM,
        }
        return [name for name, is_alarm in found.items() if is_alarm]


def sample(count: int, seed: int) -> np.ndarray:
    """int (M,): at most MOST of so many images, ascending, the same each time."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:MOST])


def find_drift(new: Side, reference: Side, *, seed: int = 0) -> Drift:
    """New images beside the reference; both have FEWEST images or more."""
    groups = new.groups, reference.groups
    content = separate(new.features, reference.features, *groups, seed=seed) if new.features.shape[1] else None
    properties = with_squares(new.properties, reference.properties)
    looks = separate(*properties, *groups, seed=seed)
    kind = find_new_kind(*((new.features, reference.features) if content else properties), *groups, seed=seed)
    answers, held_out = new.probabilities.argmax(axis=1), reference.probabilities.argmax(axis=1)
    assert reference.labels is not None
    known = reference.probabilities.shape[1]
    counts = [np.bincount(found, minlength=known) for found in (answers, held_out)]
    return Drift(
        len(new.features),
        content,
        looks,
        kind,
        class_mix(counts[0], counts[1], len(np.unique(new.groups)), len(held_out), seed=seed),
        output_shift(new.probabilities, reference.probabilities),
        expected_accuracy(new.probabilities.max(axis=1), reference.probabilities.max(axis=1), held_out == reference.labels),
        None if new.labels is None else float((answers == new.labels).mean()),
    )


def with_squares(new: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Properties float (M, P) and (N, P), and their squares about the middle of the reference: so a linear classifier also sees what is in between."""
    middle = np.median(reference, axis=0)
    scale = np.maximum(np.abs(reference - middle).mean(axis=0), SMALLEST * np.maximum(np.abs(middle), 1))
    centred = [np.round((each - middle) / scale, 2) for each in (new, reference)]
    return tuple(np.concatenate([each, np.minimum(each**2, 100)], axis=1) for each in centred)  # type: ignore[return-value]
