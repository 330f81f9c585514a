"""Fit the network to the training images, with a validation split, and log each epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from pipeline.dataset.arrays import read_networks, read_training_set
from pipeline.dataset.splits import stratified_holdout
from pipeline.files import write_bytes, write_json
from pipeline.fitting.checkpoints import Checkpoints, fit_key
from pipeline.fitting.device import choose_compute
from pipeline.fitting.fit import Fitted, Fitter, fit_notice
from pipeline.fitting.fit_state import Epoch
from pipeline.fitting.plan import plan_fit
from pipeline.models.network import to_bytes
from pipeline.params.recipe import resolved
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
    """Write data/train/: model.keras, history.csv, metrics.json. Reports accuracy and speed.

    After a kill the same call resumes at the last saved epoch, in the same run of the tracker.
    """
    config = resolved(config, read_networks(paths.stage("preprocess"))[0])
    compute = choose_compute(config.train.device, config.train.precision)
    training = read_training_set(paths.stage("preprocess"))
    held_out = training.validation
    if not held_out.any():
        held_out = stratified_holdout(training.labels, training.groups, config.train.validation_fraction, seed=config.seed)
    rows, watched = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    key = fit_key("train", config, str(compute), {"images": training.images, "labels": training.labels, "rows": rows})
    tags = {"device": compute.device, "precision": compute.precision, FIT_TAG: key}
    with (
        Checkpoints.open(paths.scratch, key) as checkpoints,
        open_run(tracker, "pipeline", config, paths, tags, checkpoints) as log,
    ):
        log.log_params({"train_images": len(rows), "validation_images": len(watched)})
        plan = plan_fit(len(rows), config)
        print(fit_notice("train", plan, compute), flush=True)
        fitter = Fitter(training.images.shape[1:], len(training.class_names), config, compute)
        with Progress("train", plan.steps, "steps") as progress:
            fitted = fitter.fit(
                training.images,
                training.labels,
                rows,
                watched,
                checkpoint=checkpoints.of("train"),
                on_resume=lambda history: _take_up(history, plan.steps_per_epoch, progress, log),
                on_steps=progress.advance,
                on_epoch=lambda epoch: _tell(epoch, plan.epochs, progress, log),
            )
        _save(fitted, paths)
        log_training(tracker, log, paths)
    return _summary(fitted)


def _summary(fitted: Fitted) -> dict[str, Scalar]:
    """The stage's report."""
    kept = fitted.history[fitted.epoch - 1]
    stopped = {"best epoch": fitted.epoch} if fitted.epoch < len(fitted.history) else {}
    return {
        "epochs": len(fitted.history),
        **stopped,
        "validation accuracy": f"{kept.validation_accuracy:.4f}",
        "images/s": round(sum(epoch.images_per_second for epoch in fitted.history) / len(fitted.history)),
    }


def _take_up(history: list[Epoch], steps_per_epoch: int, progress: Progress, log: Run) -> None:
    """Say that a fit resumes, and log what a killed process may not have logged."""
    for epoch in history:
        log_epoch(log, asdict(epoch))
    progress.skip(len(history) * steps_per_epoch)
    progress.note(f"resumes an interrupted run after epoch {len(history)}")


def _tell(epoch: Epoch, epochs: int, progress: Progress, log: Run) -> None:
    """Print an epoch and log it."""
    log_epoch(log, asdict(epoch))
    progress.note(
        f"epoch {epoch.epoch}/{epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}, validation loss {epoch.validation_loss:.4f}, "
        f"validation accuracy {epoch.validation_accuracy:.4f}, {epoch.images_per_second:,.0f} images/s"
    )


def _save(fitted: Fitted, paths: Paths) -> None:
    """Write the stage's files. metrics.json has the results of the epoch that is kept, by the names that MLflow and the report use."""
    folder = paths.stage("train")
    rows = [{name: value for name, value in asdict(epoch).items() if name in HISTORY_COLUMNS} for epoch in fitted.history]
    kept = rows[fitted.epoch - 1]
    metrics = {name: round(kept[column], 6) for name, column in END_RESULTS.items()}
    write_bytes(folder / "model.keras", to_bytes(fitted.model))
    write_bytes(folder / "history.csv", _csv(rows))
    write_json(folder / "metrics.json", metrics)


def _csv(rows: list[dict[str, float]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.9g}" for name, value in row.items()} for row in rows)
    return text.getvalue().encode()
