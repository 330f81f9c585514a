"""Fits by any method: a classifier on features, the last stages of a pretrained network, or a whole network to images. Arrays in, results out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from pipeline.fitting.device import Compute
from pipeline.fitting.fit import Checkpoint, Fitter, class_weights, fit_notice
from pipeline.fitting.fit_state import Epoch, Margins
from pipeline.fitting.head import Head, choose_strength, fit_head, score
from pipeline.fitting.part import LastStages, WholeNetwork, keep_classifier
from pipeline.fitting.plan import Plan, plan_fit, weight_decay
from pipeline.models.predict import predict
from pipeline.params.model import APPLICATIONS, EFFICIENTNETS_LITE
from pipeline.params.recipe import CLASSIFIER_ALONE, WITH_MOMENTUM, FitConfig, Method, resolved
from pipeline.params.section import Scalar

if TYPE_CHECKING:
    from pipeline.params.reader import Config


@dataclass(frozen=True)
class Data:
    """The training images and what a pretrained network says of them.

    images: uint8 (N, H, W, C). labels: int32 (N,). embeddings: float32 (N, V, F), V views of each image; (0, V, F) without a pretrained network.
    groups: int32 (N,), images with the same number are copies of each other or belong together.
    stage_rows: gives for a number of last stages what goes into the first of them, float16 (N V, H', W', C'), the views of an image together.
    """

    images: np.ndarray
    labels: np.ndarray
    class_count: int
    groups: np.ndarray
    embeddings: np.ndarray
    stage_rows: Callable[[int], Any]

    @property
    def views(self) -> int:
        return int(self.embeddings.shape[1])

    @property
    def channels(self) -> int:
        return int(self.images.shape[-1])

    def views_of(self, rows: np.ndarray) -> np.ndarray:
        """int64 (M V,): the rows of `stage_rows` that are views of some images, int64 (M,)."""
        return (rows[:, None] * self.views + np.arange(self.views)).ravel()


@dataclass(frozen=True)
class Outcome:
    """A fit. `epoch`: the number of the epoch that is kept. `keep` makes the model to keep; `predict` gives float32 (M, K) for rows int64 (M,), the
    same numbers as the kept model but for rounding. Both hold until the next fit. strength: of the classifier's penalty, None for whole networks.
    margins: of all N images, None of a classifier alone, which is not fitted in epochs.
    """

    history: list[Epoch]
    epoch: int
    keep: Callable[[], keras.Model]
    predict: Callable[[np.ndarray], np.ndarray]
    strength: float | None = None
    margins: Margins | None = None


@dataclass(frozen=True)
class Watcher:
    """Who follows a fit. `on_resume` gets the epochs of a saved state, `on_epoch` each later one, `on_steps` the number of steps since its last call."""

    checkpoint: Checkpoint | None = None
    on_resume: Callable[[list[Epoch]], None] = lambda history: None
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    on_steps: Callable[[int], None] = lambda count: None


def plan_method(method: Method, image_count: int, config: Config, data: Data) -> Plan:
    """The length of a fit on `image_count` of the images; a classifier alone is one step."""
    if method.stages == CLASSIFIER_ALONE:
        return Plan(image_count, 1, 1, 0, ())
    fitted = resolved(config, method, data.channels)
    return plan_fit(image_count if method.stages is None else image_count * data.views, fitted)


def method_notice(label: str, method: Method, plan: Plan, compute: Compute) -> str:
    """A line that says what is about to be fitted, on which device."""
    if method.stages == CLASSIFIER_ALONE:
        return f"{label}: {method}, {plan.batch_size:,} images"
    of_stages = "float32, 1 x 1 convolutions in bfloat16" if compute.precision == "bfloat16" else "float32"
    return f"{label}: {method}: {fit_notice(plan, compute, None if method.stages is None else of_stages)}"


def what_ran(method: Method, plan: Plan, outcome: Outcome, config: Config, channels: int) -> dict[str, Scalar]:
    """The values of a fit that took place, by name: of a classifier only `classifier_C`, the inverse strength of its penalty in scikit-learn's words."""
    fitted = resolved(config, method, channels)
    strength: dict[str, Scalar] = {} if outcome.strength is None else {"classifier_C": outcome.strength}
    if method.stages == CLASSIFIER_ALONE:
        return strength
    train = fitted.train
    of_steps: dict[str, Scalar] = {
        "epochs": len(outcome.history),
        "steps": len(outcome.history) * plan.steps_per_epoch,
        "batch_size": plan.batch_size,
        "optimizer": train.optimizer,
        "learning_rate": round(plan.phases[0].peak_learning_rate, 6),
        "schedule": train.schedule,
        "warmup_fraction": train.warmup_fraction,
        "weight_decay": weight_decay(train),
        "label_smoothing": train.label_smoothing,
        "dropout": fitted.model.dropout,
    }
    momentum = {"momentum": train.momentum} if train.optimizer in WITH_MOMENTUM else {}
    of_images: dict[str, Scalar] = {} if method.stages is not None else {"shift_fraction": fitted.augment.shift_fraction}
    width = {} if method.network in (*EFFICIENTNETS_LITE, *APPLICATIONS) else {"width": fitted.model.width}
    return strength | of_steps | momentum | of_images | width


class MethodFitter:
    """Fits by one method any number of times, each time as if it were the first."""

    def __init__(self, method: Method, config: Config, data: Data, compute: Compute) -> None:
        self.method = method
        self._config: FitConfig = resolved(config, method, data.channels)
        self._data, self._compute = data, compute
        self._fitter: Fitter | None = None
        self._features: Any = None

    def fit(self, rows: np.ndarray, watched: np.ndarray, watcher: Watcher, strength: float | None = None) -> Outcome:
        """Fit to rows int64 (M,), and score on the rows `watched` after each epoch. The strength is chosen if it is not given."""
        if self.method.stages is None:
            return self._fit_whole(rows, watched, watcher)
        if strength is None:
            strength = self._strength(rows, watched)
        started = time.monotonic()
        head = fit_head(self._data.embeddings[rows], self._data.labels[rows], self._data.class_count, strength, self._class_weights(rows))
        if self.method.stages == CLASSIFIER_ALONE:
            return self._classifier(head, rows, watched, watcher, time.monotonic() - started)
        return self._fit_last_stages(head, rows, watched, watcher)

    def _strength(self, rows: np.ndarray, watched: np.ndarray) -> float:
        data, weights = self._data, self._class_weights(rows)
        return choose_strength(data.embeddings, data.labels, rows, watched, data.class_count, data.groups, self._config.seed, weights)

    def _class_weights(self, rows: np.ndarray) -> np.ndarray | None:
        balanced = self._config.train.class_weights == "balanced"
        return class_weights(self._data.labels[rows], self._data.class_count) if balanced else None

    def _classifier(self, head: Head, rows: np.ndarray, watched: np.ndarray, watcher: Watcher, seconds: float) -> Outcome:
        def predict_rows(wanted: np.ndarray) -> np.ndarray:
            embeddings = self._data.embeddings[wanted]
            return head.probabilities(embeddings if self._config.model.flip_average else embeddings[:, :1])

        fitted, held_out = (score(predict_rows(some), self._data.labels[some]) for some in (rows, watched))
        epoch = Epoch(1, *fitted, *held_out, 0.0, seconds, len(rows) / max(seconds, 1e-9))
        watcher.on_steps(1)
        watcher.on_epoch(epoch)
        shape = self._data.images.shape[1:]
        return Outcome([epoch], 1, lambda: keep_classifier(shape, self._config.model, head), predict_rows, head.strength)

    def _fit_last_stages(self, head: Head, rows: np.ndarray, watched: np.ndarray, watcher: Watcher) -> Outcome:
        data, stages = self._data, self.method.stages or 0
        if self._fitter is None:
            self._features = data.stage_rows(stages)
            self._fitter = self._new_fitter(lambda: LastStages(data.images.shape[1:], data.class_count, self._config.model, stages))
        fitter, features, labels = self._fitter, self._features, np.repeat(data.labels, data.views)
        assert isinstance(fitter.part, LastStages)
        fitter.part.head = head
        fitted = fitter.fit(features, labels, data.views_of(rows), data.views_of(watched), **vars(watcher))
        averaged = self._config.model.flip_average

        def predict_rows(wanted: np.ndarray) -> np.ndarray:
            views = fitter.probabilities(features, data.views_of(wanted)).reshape(len(wanted), data.views, data.class_count)
            result: np.ndarray = views.mean(axis=1) if averaged else views[:, 0]
            return result

        return Outcome(fitted.history, fitted.epoch, fitted.keep, predict_rows, head.strength, fitted.margins.of_images(data.views))

    def _fit_whole(self, rows: np.ndarray, watched: np.ndarray, watcher: Watcher) -> Outcome:
        data = self._data
        if self._fitter is None:
            shape = data.images.shape[1:]
            self._fitter = self._new_fitter(lambda: WholeNetwork(shape, data.class_count, self._config.model, self._config.augment))
        fitted = self._fitter.fit(data.images, data.labels, rows, watched, **vars(watcher))
        return Outcome(
            fitted.history, fitted.epoch, fitted.keep, lambda wanted: predict(fitted.keep(), data.images[wanted]), margins=fitted.margins
        )

    def _new_fitter(self, make_part: Callable[[], Any]) -> Fitter:
        return Fitter(make_part, self._data.class_count, self._config, self._compute)
