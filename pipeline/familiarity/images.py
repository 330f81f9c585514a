"""Which training images a model was fitted to, and which it was not: reads data/preprocess, and lets the model say what it sees in them."""

from collections.abc import Callable

import numpy as np

from pipeline.dataset.arrays import read_training_set
from pipeline.familiarity.fit import FEWEST, MOST_IMAGES, fit_familiar, too_few
from pipeline.familiarity.reference import Familiar
from pipeline.paths import Paths

AT_A_TIME = 250
NO_FEATURES = "No image is noted as unlike the training images: the network has no last layer that gets one vector per image."
SeeFeatures = Callable[[np.ndarray], np.ndarray | None]
"""Features float32 (N, F) of images uint8 (N, H, W, C), of a network that was fitted; None if it has none."""


def find_familiar(paths: Paths, see: SeeFeatures, validation_fraction: float, *, seed: int) -> Familiar:
    """What is familiar to the model in data/train. validation_fraction, seed: by which `train` held images out."""
    training = read_training_set(paths.stage("preprocess"))
    held_out = training.held_out(validation_fraction, seed=seed)
    rng = np.random.default_rng(seed)
    known = _some(np.flatnonzero(~held_out), MOST_IMAGES, rng)
    watched = np.flatnonzero(held_out)
    order = rng.permutation(len(watched))
    watched = watched[order[np.unique(training.groups[watched][order], return_index=True)[1]]]  # one of each group: these are independent
    if min(len(watched), len(known)) < FEWEST:
        return Familiar.unknown(too_few(min(len(watched), len(known))))
    of_known, of_watched = (_seen(see, training.images, rows) for rows in (known, _some(watched, MOST_IMAGES, rng)))
    if of_known is None or of_watched is None:
        return Familiar.unknown(NO_FEATURES)
    return fit_familiar(of_known, training.labels[known], of_watched)


def _seen(see: SeeFeatures, images: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
    """Features float32 (N, F) of the images at some rows, which are never in memory together."""
    parts = [see(images[rows[start : start + AT_A_TIME]]) for start in range(0, len(rows), AT_A_TIME)]
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _some(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most so many of the rows, int (N,), in order."""
    return np.sort(rng.choice(rows, most, replace=False)) if len(rows) > most else np.sort(rows)
