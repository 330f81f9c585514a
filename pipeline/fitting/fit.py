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
from pipeline.fitting.fit_state import Epoch, FitState, Margins, State
from pipeline.fitting.part import Part
from pipeline.fitting.plan import Plan, plan_fit
from pipeline.fitting.trainer import Trainer

if TYPE_CHECKING:
    from pipeline.params.recipe import FitConfig

STEPS_PER_CALL = 16
BYTES_PER_CALL = 64 * 2**20
STANDARDISATION_SAMPLE = 10_000


@dataclass(frozen=True)
class Fitted:
    """`keep` makes the model: uint8 images (N, H, W, C) to probabilities float32 (N, K), in plain float32 Keras layers.

    `epoch`: the number of the epoch it is from. `margins`: of all N images, over all epochs.
    """

    keep: Callable[[], keras.Model]
    history: list[Epoch]
    epoch: int
    margins: Margins


class Rows(Protocol):
    """An array (N, …), in memory or on disk, of which some rows are read at a time."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The rows with these numbers, int64 (R,)."""


class Checkpoint(Protocol):
    """Where the state of one fit is saved."""

    def load(self) -> State | None:
        """The state that was saved last, if any."""

    def save(self, state: Callable[[], State], *, last: bool) -> None:
        """Replace the saved state; may be skipped if it would slow the fit down, unless the fit is done."""


def fit_notice(plan: Plan, compute: Compute, precision: str | None = None) -> str:
    """What is about to be fitted, on which device."""
    return (
        f"{_counted(plan.epochs, 'epoch')} of {_counted(plan.steps_per_epoch, 'step')} of {_counted(plan.batch_size, 'image')}, "
        f"learning rate up to {plan.phases[0].peak_learning_rate:.3g}, on {compute.device} in {precision or compute.precision}"
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def prepare(seed: int) -> None:
    """Seed TensorFlow and Keras, and make operations deterministic: the same inputs give the same bits."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


class Fitter:
    """Fits one architecture any number of times, each time as if it were the first: the graph is traced once, and all variables are reset.

    `make_part` makes what is fitted. Building it seeds TensorFlow and makes its operations deterministic.
    """

    def __init__(self, make_part: Callable[[], Part], class_count: int, config: FitConfig, compute: Compute) -> None:
        prepare(config.seed)
        self._config, self._class_count = config, class_count
        self.part = make_part()
        self._trainer = Trainer(self.part, class_count, config, compute)
        self._compute = compute

    def fit(
        self,
        images: Rows,
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

        images: (N, H, W, C), as the part takes them; read in batches. labels: int32 (N,), from 0. rows, watched: int64 (n,), (m,), the rows to fit to
        and those to score after every epoch. `on_resume` gets the epochs of a state saved in `checkpoint`, `on_epoch` each later one, `on_steps`
        the number of steps since its last call. Raises FitError if the loss or a weight is no longer finite or memory runs out.
        """
        watched = np.empty(0, np.int64) if watched is None else watched
        plan = plan_fit(len(rows), self._config)
        scale, offset = scaling = self.part.scaling(lambda: images[rows[:: max(1, len(rows) // STANDARDISATION_SAMPLE)]])
        self._trainer.reset(scale, offset, class_weights(labels[rows], self._class_count))
        run = FitState(self._trainer, self._config.train.early_stopping_epochs, len(labels))
        run.restore(checkpoint.load() if checkpoint else None)
        if run.history:
            on_resume(run.history)
        placed = self._trainer.place(images, labels) if isinstance(images, np.ndarray) and self._compute.holds(images) else None
        while len(run.history) < plan.epochs and not run.should_stop:
            started, epoch_number = time.monotonic(), len(run.history)
            sums = self._train_epoch((images, labels), placed, rows, plan, run, on_steps)
            seconds = time.monotonic() - started
            validation = self._trainer.score(images, labels, watched) if len(watched) else (math.nan, math.nan)
            run.add(_describe_epoch(epoch_number, plan, sums, validation, seconds))
            if checkpoint:
                checkpoint.save(run.state, last=len(run.history) == plan.epochs or run.should_stop)
            on_epoch(run.history[-1])
        best = run.take_best()
        return Fitted(lambda: self.part.keep(self._trainer.network, scaling), run.history, best, run.margins)

    def probabilities(self, images: Rows, rows: np.ndarray) -> np.ndarray:
        """float32 (M, K) of some rows of the images, by what was fitted last."""
        return self._trainer.probabilities(images, rows)

    def _train_epoch(
        self,
        arrays: tuple[Rows, np.ndarray],
        placed: tuple[Any, Any] | None,
        rows: np.ndarray,
        plan: Plan,
        run: FitState,
        on_steps: Callable[[int], None],
    ) -> np.ndarray:
        """The sums of loss and hits over the next epoch, float64 (2,); its margins are added to those of the fit."""
        epoch = len(run.history)
        self._trainer.augmenter.begin_epoch(self._config.seed, epoch)
        sums, step = np.zeros(2), epoch * plan.steps_per_epoch
        for chunk, gathered, draws in self._gather_ahead(None if placed else arrays, rows, plan, epoch):
            batches = (*placed, chunk.astype(np.int32)) if placed else gathered
            of_steps, margins = self._trainer.train(batches, draws, plan, step)
            run.margins.add(chunk, margins)
            sums += of_steps
            step += len(chunk)
            on_steps(len(chunk))
        return sums

    def _gather_ahead(
        self, arrays: tuple[Rows, np.ndarray] | None, rows: np.ndarray, plan: Plan, epoch: int
    ) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...], tuple[np.ndarray, ...]]]:
        """(rows (S, B), their arrays, draws of the augmentation) of an epoch, several steps at a time, gathered one ahead by a thread."""
        seed, augmenter = self._config.seed, self._trainer.augmenter
        order = np.random.default_rng([seed, epoch, 0]).permutation(rows)[: plan.steps_per_epoch * plan.batch_size]
        order = order.reshape(plan.steps_per_epoch, plan.batch_size)
        bytes_per_step = plan.batch_size * (math.prod(arrays[0].shape[1:]) * arrays[0].dtype.itemsize if arrays else 1)
        per_call = max(1, min(STEPS_PER_CALL, BYTES_PER_CALL // max(1, bytes_per_step)))
        starts = range(0, len(order), per_call)

        def gather(first: int) -> tuple[np.ndarray, tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
            chunk = order[first : first + per_call]
            draws = augmenter.draw(chunk.shape, np.random.default_rng([seed, epoch, 1, first]))
            return chunk, tuple(_take(array, chunk) for array in arrays or ()), draws

        with ThreadPoolExecutor(1) as thread:
            ahead = thread.submit(gather, starts[0])
            for i in range(len(starts)):
                gathered = ahead.result()
                if i + 1 < len(starts):
                    ahead = thread.submit(gather, starts[i + 1])
                yield gathered


def _take(array: Rows, rows: np.ndarray) -> np.ndarray:
    """(S, B, …): the rows int64 (S, B) of an array (N, …)."""
    return array[rows.ravel()].reshape(*rows.shape, *array.shape[1:])


def _describe_epoch(epoch: int, plan: Plan, sums: np.ndarray, validation: tuple[float, float], seconds: float) -> Epoch:
    image_count = plan.steps_per_epoch * plan.batch_size
    rate = float(plan.learning_rates((epoch + 1) * plan.steps_per_epoch - 1, 1)[0])
    loss, accuracy = (float(total / image_count) for total in sums)
    return Epoch(epoch + 1, loss, accuracy, *validation, rate, seconds, image_count / seconds)


def class_weights(labels: np.ndarray, class_count: int) -> np.ndarray:
    """float32 (K,): the weight of an image of each class so that all classes count the same; 1 on average over the images."""
    counts = np.bincount(labels, minlength=class_count)
    return (len(labels) / (class_count * np.maximum(counts, 1))).astype(np.float32)
