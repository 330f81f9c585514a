"""Length and learning rates of a fit. Numbers only; knows nothing of TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.params.train import Schedule

if TYPE_CHECKING:
    from pipeline.params.recipe import FitConfig, FitTrain

SMALLEST_BATCH = 16
FEWEST_STEPS_PER_EPOCH = 32
BATCH_OF_LEARNING_RATE = 256
FINAL_LEARNING_RATE = 0.01
USUAL = {
    "sgd": (0.3, 0.0005),
    "muon": (0.25, 0.006),
    "adam": (0.002, 0.05),
    "adamw": (0.002, 0.05),
    "nadam": (0.002, 0.05),
    "rmsprop": (0.001, 0.05),
    "lion": (0.0003, 0.5),
}
"""(peak learning rate, weight decay) of each optimizer for `auto`."""
NOT_NORMALISED = {"tutorial", "VGG16", "VGG19"}
"""Networks without normalisation: they need a tenth of the rate for optimizers whose steps are proportional to the gradient."""
BY_LENGTH = {"sgd", "muon"}


@dataclass(frozen=True)
class Phase:
    """Consecutive steps with one rise and fall of the learning rate, up to `peak_learning_rate`."""

    steps: int
    peak_learning_rate: float
    warmup_fraction: float
    schedule: Schedule

    def learning_rates(self, steps: np.ndarray) -> np.ndarray:
        """float64 (n,) for steps of this phase: a linear rise over the warm-up, then `schedule` down to 1 % of the peak."""
        step = steps + 0.5
        warmup = self.warmup_fraction * self.steps
        rise = np.minimum(step / max(warmup, 1e-9), 1)
        done = np.clip((step - warmup) / max(self.steps - warmup, 1e-9), 0, 1)
        left = {"linear": 1 - done, "cosine": 0.5 + 0.5 * np.cos(np.pi * done), "constant": np.ones_like(done)}[self.schedule]
        fall = FINAL_LEARNING_RATE + (1 - FINAL_LEARNING_RATE) * left
        rates: np.ndarray = self.peak_learning_rate * np.where(step < warmup, rise, fall)
        return rates


@dataclass(frozen=True)
class Plan:
    """`epochs` of `steps_per_epoch` steps of `batch_size` images, of which the first `frozen_epochs` train only the classifier."""

    batch_size: int
    steps_per_epoch: int
    epochs: int
    frozen_epochs: int
    phases: tuple[Phase, ...]

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def learning_rates(self, first_step: int, count: int) -> np.ndarray:
        """float32 (count,), from `first_step` of the whole fit; the steps must be of one epoch."""
        steps = np.arange(first_step, first_step + count)
        for phase in self.phases:
            if steps[0] < phase.steps:
                return phase.learning_rates(steps).astype(np.float32)
            steps = steps - phase.steps
        raise IndexError(f"step {first_step} of {self.steps}")


def plan_fit(image_count: int, config: FitConfig) -> Plan:
    """The length of a fit on `image_count` images: small data sets get smaller batches, a lower learning rate and more epochs.

    Pretrained weights are fine-tuned in two phases.
    """
    train = config.train
    batch_size = min(train.batch_size, image_count)
    while batch_size // 2 >= SMALLEST_BATCH and image_count // batch_size < FEWEST_STEPS_PER_EPOCH:
        batch_size //= 2
    steps_per_epoch = max(1, image_count // batch_size)
    epochs = max(train.epochs, math.ceil(train.min_steps / steps_per_epoch))
    if train.most_images:
        epochs = max(1, min(epochs, round(train.most_images / image_count)))
    peak = peak_learning_rate(config) * batch_size / BATCH_OF_LEARNING_RATE
    frozen = min(train.frozen_epochs, epochs) if config.model.weights != "none" else 0
    rates = [(frozen, peak), (epochs - frozen, peak * train.fine_tune_rate)] if frozen else [(epochs, peak)]
    phases = [_phase(count * steps_per_epoch, rate, train) for count, rate in rates if count]
    return Plan(batch_size, steps_per_epoch, epochs, frozen, tuple(phases))


def peak_learning_rate(config: FitConfig) -> float:
    """`train.learning_rate`, for a batch of 256; for `auto`, by optimizer and network."""
    if config.train.learning_rate != "auto":
        return config.train.learning_rate
    slower = config.model.name in NOT_NORMALISED and config.train.optimizer in BY_LENGTH
    return USUAL[config.train.optimizer][0] * (0.1 if slower else 1.0)


def weight_decay(train: FitTrain) -> float:
    """`train.weight_decay`; for `auto`, by optimizer."""
    return USUAL[train.optimizer][1] if train.weight_decay == "auto" else train.weight_decay


def _phase(steps: int, peak_learning_rate: float, train: FitTrain) -> Phase:
    return Phase(steps, peak_learning_rate, train.warmup_fraction, train.schedule)
