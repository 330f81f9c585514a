"""The one way to fit a network, for `train` and for every fold.

Arrays in, a model and its history out; no files, no MLflow. All randomness is seeded from (seed, epoch), so the state of a fit is its variables and its
history, and a resumed fit ends with the same bits as an uninterrupted one. There is no tf.data: a thread gathers the images of the next steps while
TensorFlow runs the current ones, many per call, as a call costs more than a millisecond.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from pipeline.fitting.device import Compute
from pipeline.fitting.fit_state import Epoch, FitState, State
from pipeline.fitting.plan import Plan, plan_fit
from pipeline.fitting.trainer import Trainer
from pipeline.models.network import build_to_keep, input_standardisation

if TYPE_CHECKING:
    from pipeline.params.reader import Config

STEPS_PER_CALL = 16
BYTES_PER_CALL = 64 * 2**20
STANDARDISATION_SAMPLE = 10_000


@dataclass(frozen=True)
class Fitted:
    """`model`: uint8 images (N, H, W, C) to probabilities float32 (N, K), in plain float32 Keras layers. `epoch`: the number of the epoch it is from."""

    model: keras.Model
    history: list[Epoch]
    epoch: int


class Checkpoint(Protocol):
    """Where the state of one fit is saved."""

    def load(self) -> State | None:
        """The state that was saved last, if any."""

    def save(self, state: Callable[[], State], *, last: bool) -> None:
        """Replace the saved state; may be skipped if it would slow the fit down, unless the fit is done."""


def fit_notice(label: str, plan: Plan, compute: Compute) -> str:
    """A line that says what is about to be fitted, on which device."""
    return (
        f"{label}: {plan.epochs} epochs of {plan.steps_per_epoch} steps of {plan.batch_size} images, "
        f"learning rate up to {plan.phases[0].peak_learning_rate:.3g}, on {compute.device} in {compute.precision}"
    )


def prepare(seed: int) -> None:
    """Seed TensorFlow and Keras, and make operations deterministic: the same inputs give the same bits."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


class Fitter:
    """Fits one architecture any number of times, each time as if it were the first: the graph is traced once, and all variables are reset.

    shape: (H, W, C) of the images. Building it seeds TensorFlow and makes its operations deterministic.
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
        and those to score after every epoch. `on_resume` gets the epochs of a state saved in `checkpoint`, `on_epoch` each later one, `on_steps`
        the number of steps since its last call. Raises FitError if the loss or a weight is no longer finite or memory runs out.
        """
        watched = np.empty(0, np.int64) if watched is None else watched
        plan = plan_fit(len(rows), self._config)
        scale, offset = input_standardisation(images[rows[:: max(1, len(rows) // STANDARDISATION_SAMPLE)]], self._config.model)
        self._trainer.reset(scale, offset, _class_weights(labels[rows], self._class_count))
        run = FitState(self._trainer, self._config.train.early_stopping_epochs)
        run.restore(checkpoint.load() if checkpoint else None)
        if run.history:
            on_resume(run.history)
        placed = self._trainer.place(images, labels) if self._compute.holds(images) else None
        while len(run.history) < plan.epochs and not run.should_stop:
            started, epoch_number = time.monotonic(), len(run.history)
            sums = self._train_epoch((images, labels), placed, rows, plan, epoch_number, on_steps)
            seconds = time.monotonic() - started
            validation = self._trainer.score(images, labels, watched) if len(watched) else (math.nan, math.nan)
            run.add(_describe_epoch(epoch_number, plan, sums, validation, seconds))
            if checkpoint:
                checkpoint.save(run.state, last=len(run.history) == plan.epochs or run.should_stop)
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
        """The sums of loss and hits over one epoch, float64 (2,)."""
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
        """(rows (S, B), their arrays, draws of the augmentation) of an epoch, several steps at a time, gathered one ahead by a thread."""
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


def _describe_epoch(epoch: int, plan: Plan, sums: np.ndarray, validation: tuple[float, float], seconds: float) -> Epoch:
    image_count = plan.steps_per_epoch * plan.batch_size
    rate = float(plan.learning_rates((epoch + 1) * plan.steps_per_epoch - 1, 1)[0])
    loss, accuracy = (float(total / image_count) for total in sums)
    return Epoch(epoch + 1, loss, accuracy, *validation, rate, seconds, image_count / seconds)


def _class_weights(labels: np.ndarray, class_count: int) -> np.ndarray:
    """float32 (K,): the weight of an image of each class so that all classes count the same; 1 on average over the images."""
    counts = np.bincount(labels, minlength=class_count)
    return (len(labels) / (class_count * np.maximum(counts, 1))).astype(np.float32)
