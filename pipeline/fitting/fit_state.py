"""The state of one fit: its history and, with early stopping, the variables of the best epoch. Arrays; no files, no MLflow."""

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


class FitState:
    """What one fit has reached; `patience`: epochs without a better one after which it stops early, 0 for never."""

    def __init__(self, trainer: Trainer, patience: int) -> None:
        self.history: list[Epoch] = []
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
        return state | {f"best_{key}": value for key, value in (self._best or {}).items()}

    def restore(self, state: State | None) -> None:
        """Resume from a state."""
        if state is None:
            return
        self._trainer.restore(state)
        self.history = read_history(state["history"])
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
