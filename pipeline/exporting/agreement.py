"""Does an exported model answer as its `.keras` file does? Arrays in, values out."""

from dataclasses import dataclass

import numpy as np

from pipeline.conversion.faults import ExportError
from pipeline.evaluation.paired import tango_interval

SAME_NUMBERS = 1e-4
"""Probabilities that differ by less are those of the model, rounded."""


@dataclass(frozen=True)
class Agreement:
    """Both on the same `images` test images. hits: correct answers of the `.keras` file and of the export. equal_labels: images with the same answer.

    low, high: the 95 % interval of the difference in accuracy, export minus model, by Tango. largest_difference: of two probabilities.
    """

    images: int
    model_hits: int
    export_hits: int
    equal_labels: int
    low: float
    high: float
    largest_difference: float

    @property
    def difference(self) -> float:
        return (self.export_hits - self.model_hits) / self.images

    def in_words(self) -> str:
        """Two clauses of a sentence."""
        return (
            f"accuracy {self.export_hits / self.images:.4f}, the model {self.model_hits / self.images:.4f}, on {self.images:,} test images; "
            f"difference {100 * self.difference:+.2f} points (95 % interval {100 * self.low:+.2f} to {100 * self.high:+.2f}), "
            f"the same label on {100 * self.equal_labels / self.images:.2f} %"
        )


def agreement(labels: np.ndarray, expected: np.ndarray, found: np.ndarray) -> Agreement:
    """labels: int (N,), N >= 1. expected, found: probabilities float (N, K) of the model and of the export. Raises ExportError if they do not fit."""
    if expected.shape != found.shape or not np.isfinite(found).all():
        raise ExportError(
            f"The export gives probabilities of shape {found.shape}, or some that are no numbers; the model {expected.shape}."
        )
    ours, theirs = found.argmax(axis=1), expected.argmax(axis=1)
    gained, lost = int(((ours == labels) & (theirs != labels)).sum()), int(((theirs == labels) & (ours != labels)).sum())
    low, high = (float(end) for end in tango_interval(gained, lost, len(labels)))
    hits = int((theirs == labels).sum())
    return Agreement(len(labels), hits, hits + gained - lost, int((ours == theirs).sum()), low, high, float(np.abs(expected - found).max()))


def check_agreement(found: Agreement, margin: float) -> None:
    """Raise ExportError unless the export gives the model's own numbers, or is shown to lose at most `margin` (0 to 1) of accuracy."""
    same = found.largest_difference <= SAME_NUMBERS and found.equal_labels >= found.images - 1  # one at a tie
    if not same and found.low < -margin:
        raise ExportError(
            f"This export was refused, and nothing was written: {found.in_words()}. It may lose more than the {100 * margin:g} points that --margin "
            "allows. Export without --int8, evaluate on more test images, or allow more with --margin."
        )
