"""Fit to the training images by each method that may suit them, choose by the validation images, and log each epoch."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.files import write_bytes, write_json
from pipeline.fitting.checkpoints import Checkpoints, fit_key
from pipeline.fitting.choice import Choice, worth_comparing
from pipeline.fitting.device import Compute, choose_compute
from pipeline.fitting.fit_state import Epoch
from pipeline.fitting.head import score
from pipeline.fitting.methods import Data, MethodFitter, Outcome, Watcher, method_notice, plan_method, what_ran
from pipeline.fitting.training_data import TrainingData
from pipeline.fitting.tries import Tries
from pipeline.models.network import to_bytes
from pipeline.params.recipe import CLASSIFIER_ALONE, Method, methods_to_try, unused, unused_notice
from pipeline.paths import Paths
from pipeline.progress import Progress
from pipeline.tracking.lineage import FIT_TAG, log_epoch, log_training, open_run
from pipeline.tracking.run_log import Run, Scalar, Tracker

if TYPE_CHECKING:
    from pipeline.params.reader import Config

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate")

END_RESULTS = {
    "validation_accuracy": "validation_accuracy",
    "validation_loss": "validation_loss",
    "train_accuracy": "accuracy",
    "train_loss": "loss",
}
"""The metrics of the stage, and their columns in the history."""
VALIDATION = ("validation_loss", "validation_accuracy")


def run(config: Config, paths: Paths, tracker: Tracker) -> Mapping[str, Scalar]:
    """Write data/train/: model.keras, choice.json, history.csv, metrics.json. Reports accuracy and speed.

    After a kill the same call resumes at the last saved epoch, in the same run of the tracker.
    """
    compute = choose_compute(config.train.device, config.train.precision)
    opened = TrainingData(paths.stage("preprocess"), paths.scratch / "stage-rows")
    training, data = opened.training, opened.data
    held_out = training.held_out(config.train.validation_fraction, seed=config.seed)
    rows, watched = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    methods = methods_to_try(config, opened.spec["networks"])
    compared = worth_comparing(methods, len(watched))
    arrays = {"images": training.images, "labels": training.labels, "rows": rows, "embeddings": data.embeddings}
    key = fit_key("train", config, str(compute), arrays)
    tags = {"device": compute.device, "precision": compute.precision, FIT_TAG: key}
    with (
        Checkpoints.open(paths.scratch, key) as checkpoints,
        open_run(tracker, "pipeline", config, paths, tags, checkpoints) as log,
    ):
        log.log_params({"train_images": len(rows), "validation_images": len(watched)})
        _say(opened.spec["networks_reason"])
        if notice := unused_notice(config.unusual(), config, compared, data.channels):
            print(f"warning: {notice}", file=sys.stderr)
        fits = _Fits(config, data, compute, checkpoints, log if len(compared) == 1 else None)
        choice, outcome = Tries(methods, opened.spec["networks_reason"], data, config.seed, fits.fit, _say).best_of(rows, watched)
        outcome = _scored_as_kept(outcome, watched, data.labels)
        fits.log_rest(outcome, log)
        chosen = _chosen(choice, outcome, len(rows), config, data)
        log.log_params({f"chosen.{name}": value for name, value in chosen.items()})
        idle = unused(config.unusual(), config, choice.method, data.channels)
        _save(outcome, choice.described() | {"chosen": chosen, "unused": idle}, paths)
        log_training(tracker, log, paths)
    return _summary(outcome, choice)


def _say(line: str) -> None:
    print(f"train: {line}", flush=True)


class _Fits:
    """The fits of one run. `log` gets each epoch as it ends, if there is only one fit, but for the validation results of the last: those are known once
    the kept model has been scored, and a step of a curve has one value.
    """

    def __init__(self, config: Config, data: Data, compute: Compute, checkpoints: Checkpoints, log: Run | None) -> None:
        self._config, self._data, self._compute, self._checkpoints, self._log = config, data, compute, checkpoints, log
        self._fitters: dict[Method, MethodFitter] = {}
        self._planned = 0

    def fit(self, method: Method, rows: np.ndarray, watched: np.ndarray, fold: int | None = None) -> Outcome:
        """A fit by one method, resumed if it was interrupted; that of a fold, which is only compared, is not told epoch by epoch."""
        plan = plan_method(method, len(rows), self._config, self._data)
        label, name = ("train", f"train-{method.name}") if fold is None else (f"train: fold {fold}", f"compare-{method.name}-{fold}")
        print(method_notice(label, method, plan, self._compute), flush=True)
        self._planned = plan.epochs
        if method not in self._fitters:
            self._fitters[method] = MethodFitter(method, self._config, self._data, self._compute)
        with Progress(label, plan.steps, "steps") as progress:
            watcher = Watcher(
                self._checkpoints.of(name),
                on_resume=lambda history: self._take_up(history, plan.steps_per_epoch, progress),
                on_steps=progress.advance,
                on_epoch=lambda epoch: self._tell(epoch, progress) if fold is None else None,
            )
            return self._fitters[method].fit(rows, watched, watcher)

    def log_rest(self, outcome: Outcome, log: Run) -> None:
        """Log of the fit that is taken what has not been logged while it ran."""
        last = outcome.history[-1]
        if not self._log:
            for epoch in outcome.history:
                log_epoch(log, asdict(epoch))
        elif last.epoch == self._planned:
            log_epoch(log, {name: value for name, value in asdict(last).items() if name in ("epoch", *VALIDATION)})

    def _take_up(self, history: list[Epoch], steps_per_epoch: int, progress: Progress) -> None:
        """Say that a fit resumes, and log what a killed process may not have logged."""
        for epoch in history:
            self._log_fitted(epoch)
        progress.skip(len(history) * steps_per_epoch)
        progress.note(f"resumes an interrupted run after epoch {len(history)}")

    def _tell(self, epoch: Epoch, progress: Progress) -> None:
        """Print an epoch and log it."""
        self._log_fitted(epoch)
        progress.note(
            f"epoch {epoch.epoch}/{self._planned}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}, validation loss "
            f"{epoch.validation_loss:.4f}, validation accuracy {epoch.validation_accuracy:.4f}, {epoch.images_per_second:,.0f} images/s"
        )

    def _log_fitted(self, epoch: Epoch) -> None:
        if self._log:
            later = VALIDATION if epoch.epoch == self._planned else ()
            log_epoch(self._log, {name: value for name, value in asdict(epoch).items() if name not in later})


def _scored_as_kept(outcome: Outcome, watched: np.ndarray, labels: np.ndarray) -> Outcome:
    """With the validation results of the model that is kept, at its epoch.

    While a network is fitted, it is scored in the precision of the fit, and without averaging over an image and its mirror image.
    """
    if not len(watched):
        return outcome
    loss, accuracy = score(outcome.predict(watched), labels[watched])
    history = list(outcome.history)
    history[outcome.epoch - 1] = replace(history[outcome.epoch - 1], validation_loss=loss, validation_accuracy=accuracy)
    return replace(outcome, history=history)


def _chosen(choice: Choice, outcome: Outcome, image_count: int, config: Config, data: Data) -> dict[str, Scalar]:
    """What was chosen, why, and how it was fitted; said in a line."""
    plan = plan_method(choice.method, image_count, config, data)
    _say(f"{choice.method} taken: {choice.reason}")
    return {"method": str(choice.method), "reason": choice.reason, **what_ran(choice.method, plan, outcome, config, data.channels)}


def _summary(outcome: Outcome, choice: Choice) -> dict[str, Scalar]:
    """The stage's report."""
    kept = outcome.history[outcome.epoch - 1]
    stopped = {"best epoch": outcome.epoch} if outcome.epoch < len(outcome.history) else {}
    length = {} if choice.method.stages == CLASSIFIER_ALONE else {"epochs": len(outcome.history)}
    return {
        "method": str(choice.method),
        **length,
        **stopped,
        "validation accuracy": f"{kept.validation_accuracy:.4f}",
        "images/s": round(sum(epoch.images_per_second for epoch in outcome.history) / len(outcome.history)),
    }


def _save(fitted: Outcome, choice: Mapping[str, Any], paths: Paths) -> None:
    """Write the stage's files. metrics.json has the results of the epoch that is kept, by the names that MLflow and the report use."""
    folder = paths.stage("train")
    rows = [{name: value for name, value in asdict(epoch).items() if name in HISTORY_COLUMNS} for epoch in fitted.history]
    kept = rows[fitted.epoch - 1]
    metrics = {name: round(kept[column], 6) for name, column in END_RESULTS.items()}
    write_bytes(folder / "model.keras", to_bytes(fitted.keep()))
    write_json(folder / "choice.json", choice)
    write_bytes(folder / "history.csv", _csv(rows))
    write_json(folder / "metrics.json", metrics)


def _csv(rows: list[dict[str, float]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.9g}" for name, value in row.items()} for row in rows)
    return text.getvalue().encode()
