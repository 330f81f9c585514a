"""The state of one fit: its history, the margins of its images and, with early stopping, the variables of the best epoch. Arrays; no files, no MLflow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np

from pipeline.errors import FitError
from pipeline.fitting.trainer import Trainer

State = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Epoch:
    """One epoch of a history. `seconds` and `images_per_second` change from run to run; no output of a stage has them."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float


@dataclass(frozen=True)
class Margins:
    """How far the logit of its label is above the largest other one while a network is fitted to an image: the less, the more doubtful the label. Sums
    float64 (N,) over the epochs and, int32 (N,), of how many; 0 of 0 for images that are not fitted to.

    Source: Pleiss et al. (2020), Identifying mislabeled data using the area under the margin ranking, NeurIPS.
    """

    sums: np.ndarray
    counts: np.ndarray

    @classmethod
    def none_of(cls, count: int) -> Margins:
        """Of `count` images, nothing yet."""
        return cls(np.zeros(count), np.zeros(count, np.int32))

    @classmethod
    def read(cls, arrays: State) -> Margins:
        """Of arrays that have been `named`."""
        return cls(arrays["margin_sums"].copy(), arrays["margin_counts"].copy())

    @property
    def named(self) -> dict[str, np.ndarray]:
        """Copies of its arrays, by name."""
        return {"margin_sums": self.sums.copy(), "margin_counts": self.counts.copy()}

    def add(self, rows: np.ndarray, margins: np.ndarray) -> None:
        """Add those of a part of an epoch, float32 of any shape, of different rows, an int array of that shape; NaN does not count."""
        known = ~np.isnan(margins)
        self.sums[rows[known]] += margins[known]
        self.counts[rows[known]] += 1

    def __add__(self, other: Margins) -> Margins:
        """Of two fits."""
        return Margins(self.sums + other.sums, self.counts + other.counts)

    def of_images(self, views: int) -> Margins:
        """Of N images, whose views are N V rows."""
        return Margins(self.sums.reshape(-1, views).sum(axis=1), self.counts.reshape(-1, views).sum(axis=1, dtype=np.int32))

    @property
    def mean(self) -> np.ndarray:
        """float32 (N,), NaN for images that were never fitted to."""
        return np.where(self.counts > 0, self.sums / np.maximum(self.counts, 1), np.nan).astype(np.float32)


class FitState:
    """What one fit to some of `count` rows has reached; `patience`: epochs without a better one after which it stops early, 0 for never."""

    def __init__(self, trainer: Trainer, patience: int, count: int) -> None:
        self.history: list[Epoch] = []
        self.margins = Margins.none_of(count)
        self._trainer, self._patience = trainer, patience
        self._best: State | None = None

    @property
    def best_epoch(self) -> int:
        """The number of the epoch with the lowest validation loss, from 1; of the last one without early stopping."""
        losses = [epoch.validation_loss for epoch in self.history]
        return int(np.argmin(losses)) + 1 if self._patience and not math.isnan(losses[-1]) else len(losses)

    @property
    def should_stop(self) -> bool:
        return self._patience > 0 and bool(self.history) and len(self.history) - self.best_epoch >= self._patience

    def add(self, epoch: Epoch) -> None:
        self.history.append(epoch)
        if self._patience and self.best_epoch == len(self.history):
            self._best = self._trainer.state()

    def state(self) -> State:
        """Everything that the rest of the fit depends on. Raises FitError if it is no longer finite."""
        state = {**self._trainer.state(), "history": np.array([astuple(epoch) for epoch in self.history])}
        if any(
            np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all() for key, value in state.items() if key != "history"
        ):
            raise FitError(f"A weight is no longer finite after epoch {len(self.history)}. Lower train.learning_rate.")
        best = {f"best_{key}": value for key, value in (self._best or {}).items()}
        return state | best | self.margins.named

    def restore(self, state: State | None) -> None:
        """Resume from a state."""
        if state is None:
            return
        self._trainer.restore(state)
        self.history = read_history(state["history"])
        self.margins = Margins.read(state)
        best = {key.removeprefix("best_"): value for key, value in state.items() if key.startswith("best_")}
        self._best = best or None

    def take_best(self) -> int:
        """The number of the best epoch, whose variables are set in the network."""
        if self._best is not None and self.best_epoch < len(self.history):
            self._trainer.restore(self._best)
        return self.best_epoch


def read_history(rows: np.ndarray) -> list[Epoch]:
    """The epochs of an array float64 (E, 8) of their fields."""
    return [Epoch(int(row[0]), *map(float, row[1:])) for row in rows]
