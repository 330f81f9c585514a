"""Fit to the training images by each method that may suit them, choose by the validation images, and log each epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.dataset.splits import stratified_holdout
from pipeline.files import write_bytes, write_json
from pipeline.fitting.checkpoints import Checkpoints, fit_key
from pipeline.fitting.choice import NOTHING_TO_GAIN, Choice, Tried, choose, methods_to_try
from pipeline.fitting.device import Compute, choose_compute
from pipeline.fitting.fit_state import Epoch
from pipeline.fitting.head import score
from pipeline.fitting.methods import Data, MethodFitter, Outcome, Watcher, method_notice, plan_method
from pipeline.fitting.training_data import TrainingData
from pipeline.models.network import to_bytes
from pipeline.params.recipe import CHOSEN_BY_METHOD, Method, resolved
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


def run(config: Config, paths: Paths, tracker: Tracker) -> Mapping[str, Scalar]:
    """Write data/train/: model.keras, choice.json, history.csv, metrics.json. Reports accuracy and speed.

    After a kill the same call resumes at the last saved epoch, in the same run of the tracker.
    """
    compute = choose_compute(config.train.device, config.train.precision)
    opened = TrainingData(paths.stage("preprocess"), paths.scratch / "stage-rows")
    training, data = opened.training, opened.data
    held_out = training.validation
    if not held_out.any():
        held_out = stratified_holdout(training.labels, training.groups, config.train.validation_fraction, seed=config.seed)
    rows, watched = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    methods = methods_to_try(config, opened.spec["networks"], len(watched))
    arrays = {"images": training.images, "labels": training.labels, "rows": rows, "embeddings": data.embeddings}
    key = fit_key("train", config, str(compute), arrays)
    tags = {"device": compute.device, "precision": compute.precision, FIT_TAG: key}
    with (
        Checkpoints.open(paths.scratch, key) as checkpoints,
        open_run(tracker, "pipeline", config, paths, tags, checkpoints) as log,
    ):
        log.log_params({"train_images": len(rows), "validation_images": len(watched)})
        print(f"train: {opened.spec['networks_reason']}", flush=True)
        fits = _Fits(config, data, compute, checkpoints, log if len(methods) == 1 else None)
        choice, outcome = fits.best_of(methods, rows, watched, opened.spec["networks_reason"])
        if len(methods) > 1:
            print(f"train: chosen: {choice.reason}", flush=True)
            for epoch in outcome.history:
                log_epoch(log, asdict(epoch))
        chosen = _chosen(choice, config, data.channels)
        log.log_params({f"chosen.{name}": value for name, value in chosen.items()})
        _save(outcome, choice.described() | {"chosen": chosen}, paths)
        log_training(tracker, log, paths)
    return _summary(outcome, choice)


class _Fits:
    """The fits of one run. `log` gets each epoch as it ends, if there is only one fit."""

    def __init__(self, config: Config, data: Data, compute: Compute, checkpoints: Checkpoints, log: Run | None) -> None:
        self._config, self._data, self._compute, self._checkpoints, self._log = config, data, compute, checkpoints, log

    def best_of(self, methods: Sequence[Method], rows: np.ndarray, watched: np.ndarray, reason: str) -> tuple[Choice, Outcome]:
        """Fit by each method, until one leaves nothing to gain; the most accurate on the validation images."""
        tried: list[Tried] = []
        outcomes: dict[Method, Outcome] = {}
        for method in methods:
            outcome = self._fit(method, rows, watched)
            found = score(outcome.predict(watched), self._data.labels[watched])
            tried.append(Tried(method, *found))
            outcomes[method] = outcome
            if len(methods) > 1:
                print(f"train: {method}: accuracy {found.accuracy:.4f} on the validation images", flush=True)
            if found.accuracy >= NOTHING_TO_GAIN:
                break
        choice = choose(tried, {method: outcome.strength for method, outcome in outcomes.items()}, reason)
        return choice, outcomes[choice.method]

    def _fit(self, method: Method, rows: np.ndarray, watched: np.ndarray) -> Outcome:
        plan = plan_method(method, len(rows), self._config, self._data)
        print(method_notice("train", method, plan, self._compute), flush=True)
        fitter = MethodFitter(method, self._config, self._data, self._compute)
        with Progress("train", plan.steps, "steps") as progress:
            watcher = Watcher(
                self._checkpoints.of(f"train-{method.name}"),
                on_resume=lambda history: _take_up(history, plan.steps_per_epoch, progress, self._log),
                on_steps=progress.advance,
                on_epoch=lambda epoch: _tell(epoch, plan.epochs, progress, self._log),
            )
            return fitter.fit(rows, watched, watcher)


def _chosen(choice: Choice, config: Config, channels: int) -> dict[str, Scalar]:
    """What was chosen and why, and the values that `auto` stands for."""
    fitted = resolved(config, choice.method, channels)
    strength = {} if choice.strength is None else {"strength": choice.strength}
    values = {name: getattr(fitted.train, name) for name in CHOSEN_BY_METHOD}
    return {"method": str(choice.method), "reason": choice.reason, **strength, **values}


def _summary(outcome: Outcome, choice: Choice) -> dict[str, Scalar]:
    """The stage's report."""
    kept = outcome.history[outcome.epoch - 1]
    stopped = {"best epoch": outcome.epoch} if outcome.epoch < len(outcome.history) else {}
    return {
        "method": str(choice.method),
        "epochs": len(outcome.history),
        **stopped,
        "validation accuracy": f"{kept.validation_accuracy:.4f}",
        "images/s": round(sum(epoch.images_per_second for epoch in outcome.history) / len(outcome.history)),
    }


def _take_up(history: list[Epoch], steps_per_epoch: int, progress: Progress, log: Run | None) -> None:
    """Say that a fit resumes, and log what a killed process may not have logged."""
    for epoch in history:
        _log(epoch, log)
    progress.skip(len(history) * steps_per_epoch)
    progress.note(f"resumes an interrupted run after epoch {len(history)}")


def _log(epoch: Epoch, log: Run | None) -> None:
    if log:
        log_epoch(log, asdict(epoch))


def _tell(epoch: Epoch, epochs: int, progress: Progress, log: Run | None) -> None:
    """Print an epoch and log it."""
    _log(epoch, log)
    progress.note(
        f"epoch {epoch.epoch}/{epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}, validation loss {epoch.validation_loss:.4f}, "
        f"validation accuracy {epoch.validation_accuracy:.4f}, {epoch.images_per_second:,.0f} images/s"
    )


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
