"""The one way to fit a network, for `train` and for every fold.

Arrays in, a model and its history out; no files, no MLflow. Everything random is drawn from (seed, epoch), so that the state of a fit is its variables
and its history: one that goes on from a kept state ends with the same bits as one never interrupted. There is no tf.data: a thread gathers the
next steps' images while TensorFlow runs the present ones, which it does many to a call, since a call costs more than a millisecond.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import FitError
from pipeline.fitting.device import Compute
from pipeline.fitting.plan import Plan, plan_fit
from pipeline.fitting.trainer import Trainer
from pipeline.models.network import build_to_keep, input_standardisation

if TYPE_CHECKING:
    from pipeline.params.reader import Config

STEPS_PER_CALL = 16
BYTES_PER_CALL = 64 * 2**20
STANDARDISATION_SAMPLE = 10_000

State = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Epoch:
    """One line of a history. `seconds` is for people: it differs from run to run and is no part of what is stored."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float


@dataclass(frozen=True)
class Fitted:
    """`model`: uint8 images (N, H, W, C) to probabilities float32 (N, K), in plain float32 Keras layers. `epoch`: the one it is of."""

    model: keras.Model
    history: list[Epoch]
    epoch: int


class Checkpoint(Protocol):
    """Where the state of one fit is kept."""

    def load(self) -> State | None:
        """What was saved last, or nothing."""

    def save(self, state: Callable[[], State]) -> None:
        """Keep a state in place of the one before; may be left out where that would slow the fit down."""


class NoCheckpoint:
    """Keeps nothing."""

    def load(self) -> State | None:
        return None

    def save(self, state: Callable[[], State]) -> None:
        pass


def fit_notice(label: str, plan: Plan, compute: Compute) -> str:
    """What is about to be fitted, on which device: for the person who waits."""
    return (
        f"{label}: {plan.epochs} epochs of {plan.steps_per_epoch} steps of {plan.batch_size} images, "
        f"learning rate up to {plan.phases[0].peak_learning_rate:.3g}, on {compute.device} in {compute.precision}"
    )


def prepare(seed: int) -> None:
    """Seed everything that TensorFlow and Keras draw from, and let the same inputs give the same bits."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


class Fitter:
    """Fits one architecture, as often as asked, each time as if it were the first: the graph is traced once, all variables are set back.

    shape: (H, W, C) of the images. Building it sets TensorFlow's seeds and its switch for deterministic operations.
    """

    def __init__(self, shape: tuple[int, int, int], class_count: int, config: Config, compute: Compute) -> None:
        prepare(config.seed)
        self._config, self._class_count = config, class_count
        self._trainer = Trainer(shape, class_count, config, compute)
        self._compute = compute

    def fit(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        rows: np.ndarray,
        watched: np.ndarray | None = None,
        *,
        on_resume: Callable[[list[Epoch]], None] = lambda history: None,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        on_steps: Callable[[int], None] = lambda count: None,
        checkpoint: Checkpoint | None = None,
    ) -> Fitted:
        """A model fitted to some rows of the images, and its history.

        images: uint8 (N, H, W, C), an array or a memory map. labels: int32 (N,), from 0. rows, watched: int64 (n,), (m,), the rows to fit to
        and those to score after every epoch. `on_resume` is told the epochs of a state that `checkpoint` had kept, `on_epoch` each one that
        follows, `on_steps` how many steps were done since it was last called. Raises FitError where the loss is no longer finite or memory
        runs out.
        """
        watched = np.empty(0, np.int64) if watched is None else watched
        checkpoint = checkpoint or NoCheckpoint()
        plan = plan_fit(len(rows), self._config)
        scale, offset = input_standardisation(images[rows[:: max(1, len(rows) // STANDARDISATION_SAMPLE)]], self._config.model)
        self._trainer.reset(scale, offset, _class_weights(labels[rows], self._class_count))
        run = _Run(self._trainer, self._config.train.early_stopping_epochs)
        run.restore(checkpoint.load())
        if run.history:
            on_resume(run.history)
        placed = self._trainer.place(images, labels) if self._compute.holds(images) else None
        while len(run.history) < plan.epochs and not run.should_stop:
            started, epoch_number = time.monotonic(), len(run.history)
            sums = self._train_epoch((images, labels), placed, rows, plan, epoch_number, on_steps)
            seconds = time.monotonic() - started
            validation = self._trainer.score(images, labels, watched) if len(watched) else (math.nan, math.nan)
            run.add(_describe_epoch(epoch_number, plan, sums, validation, seconds))
            checkpoint.save(run.state)
            on_epoch(run.history[-1])
        best = run.take_best()
        return Fitted(build_to_keep(self._trainer.network, self._config.model, scale, offset), run.history, best)

    def _train_epoch(
        self,
        arrays: tuple[np.ndarray, np.ndarray],
        placed: tuple[Any, Any] | None,
        rows: np.ndarray,
        plan: Plan,
        epoch: int,
        on_steps: Callable[[int], None],
    ) -> np.ndarray:
        """The sums of loss and of hits, float64 (2,)."""
        self._trainer.augmenter.begin_epoch(self._config.seed, epoch)
        sums, step = np.zeros(2), epoch * plan.steps_per_epoch
        for chunk, gathered, draws in self._gather_ahead(None if placed else arrays, rows, plan, epoch):
            batches = (*placed, chunk.astype(np.int32)) if placed else gathered
            sums += self._trainer.train(batches, draws, plan, step)
            step += len(chunk)
            on_steps(len(chunk))
        return sums

    def _gather_ahead(
        self, arrays: tuple[np.ndarray, np.ndarray] | None, rows: np.ndarray, plan: Plan, epoch: int
    ) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...], tuple[np.ndarray, ...]]]:
        """(rows (S, B), their arrays, what augmentation draws) of an epoch, several steps at a time, by a thread that works one ahead."""
        seed, augmenter = self._config.seed, self._trainer.augmenter
        order = np.random.default_rng([seed, epoch, 0]).permutation(rows)[: plan.steps_per_epoch * plan.batch_size]
        order = order.reshape(plan.steps_per_epoch, plan.batch_size)
        bytes_per_step = plan.batch_size * (arrays[0][0].nbytes if arrays else 1)
        per_call = max(1, min(STEPS_PER_CALL, BYTES_PER_CALL // max(1, bytes_per_step)))
        starts = range(0, len(order), per_call)

        def gather(first: int) -> tuple[np.ndarray, tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
            chunk = order[first : first + per_call]
            draws = augmenter.draw(chunk.shape, np.random.default_rng([seed, epoch, 1, first]))
            return chunk, tuple(array[chunk] for array in arrays or ()), draws

        with ThreadPoolExecutor(1) as thread:
            ahead = thread.submit(gather, starts[0])
            for i in range(len(starts)):
                gathered = ahead.result()
                if i + 1 < len(starts):
                    ahead = thread.submit(gather, starts[i + 1])
                yield gathered


class _Run:
    """How far one fit has come: its history, and with early stopping the variables of the best epoch."""

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
        """Everything that the rest of the fit depends on. Raises FitError where it is no longer finite."""
        state = {**self._trainer.state(), "history": np.array([astuple(epoch) for epoch in self.history])}
        if any(
            np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all() for key, value in state.items() if key != "history"
        ):
            raise FitError(f"A weight is no longer finite after epoch {len(self.history)}. Lower train.learning_rate.")
        return state | {f"best_{key}": value for key, value in (self._best or {}).items()}

    def restore(self, state: State | None) -> None:
        """Go on from a state."""
        if state is None:
            return
        self._trainer.restore(state)
        self.history = read_history(state["history"])
        best = {key.removeprefix("best_"): value for key, value in state.items() if key.startswith("best_")}
        self._best = best or None

    def take_best(self) -> int:
        """The best epoch; its variables are those of the network from now on."""
        if self._best is not None and self.best_epoch < len(self.history):
            self._trainer.restore(self._best)
        return self.best_epoch


def read_history(rows: np.ndarray) -> list[Epoch]:
    """The epochs of an array float64 (E, 8) of their fields."""
    return [Epoch(int(row[0]), *map(float, row[1:])) for row in rows]


def _describe_epoch(epoch: int, plan: Plan, sums: np.ndarray, validation: tuple[float, float], seconds: float) -> Epoch:
    image_count = plan.steps_per_epoch * plan.batch_size
    rate = float(plan.learning_rates((epoch + 1) * plan.steps_per_epoch - 1, 1)[0])
    loss, accuracy = (float(total / image_count) for total in sums)
    return Epoch(epoch + 1, loss, accuracy, *validation, rate, seconds, image_count / seconds)


def _class_weights(labels: np.ndarray, class_count: int) -> np.ndarray:
    """float32 (K,): how much an image of a class counts so that all classes count the same, 1 on average over the images."""
    counts = np.bincount(labels, minlength=class_count)
    return (len(labels) / (class_count * np.maximum(counts, 1))).astype(np.float32)
