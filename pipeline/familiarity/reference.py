"""What the network sees in training images, kept beside the model, and how far an image is from it. NumPy alone; travels with the registered model.

The distance is that of Mahalanobis to the nearest class mean, with one covariance for all classes: along D main axes as training images vary around
their means, and the same little in all other directions. Features are replaced by their square roots and brought to length 1 first. Sources: Lee et
al. (2018), A simple unified framework for detecting out-of-distribution samples and adversarial attacks, NeurIPS; Tipping and Bishop (1999),
Probabilistic principal component analysis, JRSS B 61, for the covariance; Mueller and Hein (2025), Mahalanobis++, ICML, for the length; Yang, Liu and
Xu (2021), Free lunch for few-shot learning, ICLR, for the square root, which brings what ReLU gives closer to normal.
"""

import io
from dataclasses import dataclass

import numpy as np

FAMILIAR_FILE = "familiar.npz"
FAMILIAR_KEY = "familiar_sha256"
"""Its digest, in what a calibration was fitted on: so it cannot be changed without the calibration, of which a version has the digest."""
UNLIKE = "unlike all training images"
SHORTEST = 1e-6
"""Features of less length are not brought to length 1."""
AT_A_TIME = 64


@dataclass(frozen=True)
class Familiar:
    """Of F features, D axes and K means. means: float32 (K, F), of prepared features. axes: float32 (F, D), of length 1. variances: float32 (D,), along
    each. rest: the variance in each other direction.

    farthest: the largest distance that is not noted; NaN if it is not known. held_out: how many images it is from. rate: the share of images like these
    that are farther, on average. missing: why it is not known.
    """

    means: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    rest: float
    farthest: float = float("nan")
    held_out: int = 0
    rate: float = 0.0
    missing: str = ""

    @classmethod
    def unknown(cls, why: str) -> "Familiar":
        """That of a model of which nothing is known: it notes no image."""
        return cls(np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32), np.zeros(0, np.float32), 1.0, missing=why)

    @property
    def is_known(self) -> bool:
        return bool(np.isfinite(self.farthest))

    def distances(self, features: np.ndarray) -> np.ndarray:
        """float32 (N,): how far images with these features, float32 (N, F), are from the training images; the mean of its square is about F."""
        found = np.empty(len(features), np.float32)
        means_along, squares = self.means @ self.axes, np.square(self.means).sum(axis=1)
        for start in range(0, len(features), AT_A_TIME):
            some = prepared(features[start : start + AT_A_TIME])
            along = np.square((some @ self.axes)[:, None] - means_along)
            whole = np.square(some).sum(axis=1)[:, None] + squares - 2 * some @ self.means.T
            outside = np.maximum(whole - along.sum(axis=2), 0)
            found[start : start + AT_A_TIME] = np.sqrt(((along / self.variances).sum(axis=2) + outside / self.rest).min(axis=1))
        return found

    def is_unlike(self, features: np.ndarray) -> np.ndarray:
        """bool (N,): whether images with these features, float32 (N, F), are noted."""
        found: np.ndarray = ~(self.distances(features) <= self.farthest)  # features that are no numbers are noted, too
        return found

    def as_bytes(self) -> bytes:
        """The content of familiar.npz, the same for the same values."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **{name: np.asarray(value) for name, value in vars(self).items()})
        return content.getvalue()

    @classmethod
    def read(cls, content: bytes) -> "Familiar":
        """Of the content of familiar.npz."""
        with np.load(io.BytesIO(content), allow_pickle=False) as kept:
            means, axes, variances = (kept[name] for name in ("means", "axes", "variances"))
            rest, farthest, rate = (float(kept[name]) for name in ("rest", "farthest", "rate"))
            return cls(means, axes, variances, rest, farthest, int(kept["held_out"]), rate, str(kept["missing"]))


def prepared(features: np.ndarray) -> np.ndarray:
    """float32 (N, F): square roots, with the sign of the feature, each row divided by its Euclidean length."""
    roots = np.sign(features) * np.sqrt(np.abs(features))
    found: np.ndarray = roots / np.maximum(np.sqrt(np.square(roots).sum(axis=1, keepdims=True)), np.float32(SHORTEST))
    return found
