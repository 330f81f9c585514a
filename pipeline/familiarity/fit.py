"""From what the network sees in training images, and in others that it was not fitted to, to the distance from which an image is noted. Arrays only.

An image is noted if it is farther than the k-th farthest of n held-out images, k = (n + 1) RATE rounded down, at least 1. A further image like these is
so with a chance of k / (n + 1). Source: Laxhammar and Falkman (2010), Conformal prediction for distribution-independent anomaly detection; the
threshold is that of split conformal prediction.
"""

from dataclasses import replace

import numpy as np

from pipeline.familiarity.reference import Familiar, prepared

RATE = 0.005
FEWEST = 100
"""With fewer held-out images, or groups of images, more than one in a hundred images like them would be noted; also of those to be near to."""
MOST_IMAGES = 2000
"""Of each of the two: the network has to see them."""
MOST_AXES, MOST_NUMBERS, IMAGES_PER_AXIS = 256, 450_000, 4
"""Axes and means have at most so many numbers together, 1.8 MB."""
LEAST_VARIANCE = 1e-9


def fit_familiar(known: np.ndarray, labels: np.ndarray, held_out: np.ndarray) -> Familiar:
    """From features of images that the network was fitted to, float32 (N, F), with labels int (N,), and of such that it was not, float32 (M, F), one of
    each group.

    With so many classes that their means would take more than half of the room, there is one mean for all. Few of either give one that notes no image,
    and says why.
    """
    if min(len(held_out), len(known)) < FEWEST:
        return Familiar.unknown(too_few(min(len(held_out), len(known))))
    values = prepared(known).astype(np.float64)
    classes, nearest = np.unique(labels, return_inverse=True)
    room = MOST_NUMBERS // values.shape[1]
    if len(classes) > room // 2:
        classes, nearest = classes[:1], np.zeros(len(values), int)
    means = np.stack([values[nearest == k].mean(axis=0) for k in range(len(classes))])
    centred = values - means[nearest]
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    count = max(1, min(MOST_AXES, len(variances) - 1, room - len(means), len(known) // IMAGES_PER_AXIS))
    rest = max(float(variances[:-count].mean()), LEAST_VARIANCE)
    along = np.maximum(variances[::-1][:count], rest)
    kept = Familiar(means.astype(np.float32), directions[:, ::-1][:, :count].astype(np.float32), along.astype(np.float32), rest)
    rank = max(1, int((len(held_out) + 1) * RATE + 1e-9))
    farthest = float(np.sort(kept.distances(held_out))[-rank])
    return replace(kept, farthest=farthest, held_out=len(held_out), rate=rank / (len(held_out) + 1))


def too_few(count: int) -> str:
    """Why no image is noted, in a sentence."""
    return f"No image is noted as unlike the training images: {count:,} images that the model was not fitted to are too few; it takes {FEWEST}."
