"""Fit k folds with the same function as `train`, and predict each training image with the model that was not trained on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline.dataset.arrays import TrainingSet, read_index
from pipeline.evaluation.metrics import cross_validation_summary, log_loss
from pipeline.files import read_json, sha256_file, write_bytes, write_json, write_table
from pipeline.fitting.checkpoints import Checkpoints, fit_key
from pipeline.fitting.choice import Choice
from pipeline.fitting.device import choose_compute
from pipeline.fitting.fit_state import Epoch, Margins
from pipeline.fitting.folds import FoldJob, FoldResult, fit_fold, fit_folds_in_parallel, fold_rows
from pipeline.fitting.methods import method_notice, plan_method
from pipeline.fitting.plan import Plan
from pipeline.fitting.training_data import TrainingData
from pipeline.paths import Paths
from pipeline.progress import Progress
from pipeline.tracking.lineage import FIT_TAG, FOLDS_TAG, finishing, log_epoch, log_fold_score, open_cross_validation, start_fold
from pipeline.tracking.run_log import Run, Scalar, Tracker

if TYPE_CHECKING:
    from pipeline.params.reader import Config

StartFold = Callable[[int], Run]
"""Returns the tracker's run for a fold."""


def run(config: Config, paths: Paths, tracker: Tracker) -> Mapping[str, Scalar]:
    """Write data/cross_validate/: folds.csv, out_of_fold.parquet, metrics.json. Reports mean and standard deviation.

    After a kill the same call resumes at the last fold and epoch saved, in the same runs of the tracker.
    """
    workers = config.cross_validate.workers
    compute = choose_compute(config.train.device, config.train.precision)
    opened = TrainingData(paths.stage("preprocess"), paths.scratch / "stage-rows")
    choice = Choice.read(read_json(paths.stage("train") / "choice.json"))
    training, data = opened.training, opened.data
    index = read_index(paths.stage("preprocess"), "train")
    folds = np.array(index["fold"])
    numbers = [int(fold) for fold in np.unique(folds)]
    sizes = {fold: len(fold_rows(training, folds, fold, config)[0]) for fold in numbers}
    plans = {fold: plan_method(choice.method, size, config, data) for fold, size in sizes.items()}
    arrays = {"images": training.images, "labels": training.labels, "folds": folds, "embeddings": data.embeddings}
    key = fit_key("cross_validate", config, f"{compute} {workers} {choice.method} {choice.strength}", arrays)
    tags = {"device": compute.device, "precision": compute.precision, FIT_TAG: key}
    at_a_time = f", {workers} at a time" if workers > 1 else ""
    print(method_notice(f"cross_validate: {len(numbers)} folds{at_a_time}", choice.method, plans[numbers[0]], compute), flush=True)
    probabilities, margins = np.zeros((len(folds), len(training.class_names)), np.float32), Margins.none_of(len(folds))
    with (
        Checkpoints.open(paths.scratch, key) as checkpoints,
        open_cross_validation(tracker, config, paths, tags, checkpoints) as log,
        Progress("cross_validate", sum(plan.steps for plan in plans.values()), "steps") as progress,
    ):
        jobs = [FoldJob(fold, folds, config, choice, opened, checkpoints.folder, workers) for fold in numbers]
        fit = _one_by_one if workers == 1 else _in_parallel
        for result in fit(jobs, training, plans, partial(start_fold, tracker, log, fit=key), progress):
            probabilities[folds == result.fold] = result.probabilities
            margins += result.margins or Margins.none_of(len(folds))
        summary = _save(probabilities, margins, index, training, paths)
        log.set_tags({FOLDS_TAG: sha256_file(paths.stage("cross_validate") / "out_of_fold.parquet")})
    return {"folds": len(numbers), "accuracy": f"{summary['cv_accuracy_mean']:.4f} ± {summary['cv_accuracy_std']:.4f}"}


def _one_by_one(
    jobs: Sequence[FoldJob], training: TrainingSet, plans: Mapping[int, Plan], start: StartFold, progress: Progress
) -> Iterator[FoldResult]:
    """Fit in this process, and log each epoch as it ends."""
    for job in jobs:
        log = start(job.fold)
        with finishing(log):
            result = fit_fold(
                job,
                on_resume=partial(_take_up, log=log, plan=plans[job.fold], progress=progress),
                on_epoch=partial(_log_epoch, log=log),
                on_steps=progress.advance,
            )
            _log_score(result, training, job, log, progress)
        yield result


def _in_parallel(
    jobs: Sequence[FoldJob], training: TrainingSet, plans: Mapping[int, Plan], start: StartFold, progress: Progress
) -> Iterator[FoldResult]:
    """Fit in workers, and log each fold as it ends."""
    for job, result in zip(jobs, fit_folds_in_parallel(jobs), strict=True):
        log = start(job.fold)
        with finishing(log):
            for epoch in result.history:
                _log_epoch(epoch, log)
            progress.advance(plans[job.fold].steps)
            _log_score(result, training, job, log, progress)
        yield result


def _take_up(history: list[Epoch], log: Run, plan: Plan, progress: Progress) -> None:
    """Log what a killed process may not have logged."""
    for epoch in history:
        _log_epoch(epoch, log)
    progress.skip(len(history) * plan.steps_per_epoch)


def _log_epoch(epoch: Epoch, log: Run) -> None:
    log_epoch(log, asdict(epoch))


def _log_score(result: FoldResult, training: TrainingSet, job: FoldJob, log: Run, progress: Progress) -> None:
    """Log and print the score of a fold's model on the images of the fold."""
    score = _score(result.probabilities, training.labels[job.folds == job.fold])
    log_fold_score(log, score)
    progress.note(f"fold {job.fold}: accuracy {score['accuracy']:.4f}, loss {score['loss']:.4f}, {len(result.probabilities):,} images")


def _score(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The row of a fold in folds.csv: `images`, `accuracy`, `loss` (cross-entropy)."""
    return {
        "images": len(labels),
        "accuracy": round(float((probabilities.argmax(axis=1) == labels).mean()), 6),
        "loss": round(log_loss(labels, probabilities), 6),
    }


def _save(
    probabilities: np.ndarray, margins: Margins, index: dict[str, list[object]], training: TrainingSet, paths: Paths
) -> dict[str, float]:
    """Write the stage's files; returns the summary over the folds."""
    folds = np.array(index["fold"])
    folder = paths.stage("cross_validate")
    scores = [(int(fold), _score(probabilities[folds == fold], training.labels[folds == fold])) for fold in np.unique(folds)]
    correct = probabilities.argmax(axis=1) == training.labels
    found = cross_validation_summary([score["accuracy"] for _, score in scores], correct, training.groups)
    summary = {f"cv_{name}": round(value, 6) for name, value in found.items()}
    lines = [f"{fold},{score['images']},{score['accuracy']:.6f},{score['loss']:.6f}" for fold, score in scores]
    write_bytes(folder / "folds.csv", "\n".join(["fold,images,accuracy,loss", *lines, ""]).encode())
    write_table(folder / "out_of_fold.parquet", _out_of_fold(probabilities, margins, index, training))
    write_json(folder / "metrics.json", summary)
    return summary


def _out_of_fold(probabilities: np.ndarray, margins: Margins, index: dict[str, list[object]], training: TrainingSet) -> pa.Table:
    """path, sha256, fold, label, predicted, and one column of probabilities per class; unless classifiers alone were fitted, also `margin`, the mean of
    the image's while the other folds were fitted to it, null where none was.
    """
    names = np.array(training.class_names, dtype=object)
    by_class = {f"probability {name}": probabilities[:, i] for i, name in enumerate(training.class_names)}
    while_fitted = {"margin": pa.array(margins.mean, from_pandas=True)} if margins.counts.any() else {}
    said = {"label": names[training.labels], "predicted": names[probabilities.argmax(axis=1)]}
    return pa.table({**index, **said, **while_fitted, **by_class})
