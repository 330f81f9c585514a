"""Fits the folds of a cross-validation: in this process, or several at a time in their own processes.

A process builds one network and uses it for all its folds. The result of a finished fold is kept with the checkpoints until all folds are done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.dataset.arrays import TrainingSet
from pipeline.dataset.splits import stratified_holdout
from pipeline.fitting.checkpoints import Checkpoints
from pipeline.fitting.choice import Choice
from pipeline.fitting.device import choose_compute
from pipeline.fitting.fit_state import Epoch, Margins, read_history
from pipeline.fitting.methods import MethodFitter, Watcher
from pipeline.fitting.training_data import TrainingData
from pipeline.parallel import parallel_map
from pipeline.processes import exit_with

if TYPE_CHECKING:
    from pipeline.params.reader import Config


@dataclass(frozen=True)
class FoldJob:
    """One fold to fit. `choice`: by which method. `workers`: how many folds are fitted at a time."""

    fold: int
    folds: np.ndarray
    config: Config
    choice: Choice
    data: TrainingData
    checkpoints: Path
    workers: int


@dataclass(frozen=True)
class FoldResult:
    """probabilities: float32 (M, K) of the M images of the fold, by a model that was not trained on them. margins: of all N images, those that it was
    trained on; None of a classifier alone.
    """

    fold: int
    probabilities: np.ndarray
    history: list[Epoch]
    margins: Margins | None


def fold_rows(training: TrainingSet, folds: np.ndarray, fold: int, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """(rows to fit to, rows to watch), int64: only early stopping watches any, and never the fold's own images."""
    rows = np.flatnonzero(folds != fold)
    if not config.train.early_stopping_epochs:
        return rows, rows[:0]
    watched = stratified_holdout(training.labels[rows], training.groups[rows], config.train.validation_fraction, seed=config.seed)
    return rows[~watched], rows[watched]


def fit_fold(
    job: FoldJob,
    *,
    on_resume: Callable[[list[Epoch]], None] = lambda history: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_steps: Callable[[int], None] = lambda count: None,
) -> FoldResult:
    """The out-of-fold predictions of one fold; read from disk if it was fitted before."""
    checkpoints = Checkpoints(job.checkpoints)
    under_way, done = checkpoints.of(f"fold-{job.fold}"), checkpoints.of(f"fold-{job.fold}-done")
    if kept := done.load():
        history = read_history(kept["history"])
        on_resume(history)
        return FoldResult(job.fold, kept["probabilities"], history, Margins.read(kept) if "margin_sums" in kept else None)
    fitter, data = _opened(job)
    rows, watched = fold_rows(data.training, job.folds, job.fold, job.config)
    watcher = Watcher(under_way, on_resume, on_epoch, on_steps)
    fitted = fitter.fit(rows, watched, watcher, job.choice.strength)
    probabilities = fitted.predict(np.flatnonzero(job.folds == job.fold))
    margins = fitted.margins.named if fitted.margins else {}
    done.write({"probabilities": probabilities, "history": np.array([astuple(epoch) for epoch in fitted.history]), **margins})
    under_way.remove()
    return FoldResult(job.fold, probabilities, fitted.history, fitted.margins)


def fit_folds_in_parallel(jobs: Sequence[FoldJob]) -> Iterator[FoldResult]:
    """The results in the order of the jobs, fitted `workers` at a time."""
    return parallel_map(_fit_in_worker, jobs, workers=jobs[0].workers)


def _fit_in_worker(job: FoldJob) -> FoldResult:
    exit_with(os.getppid())
    return fit_fold(job)


_open: dict[tuple[object, ...], tuple[MethodFitter, TrainingData]] = {}  # at most one: the network of this process


def _opened(job: FoldJob) -> tuple[MethodFitter, TrainingData]:
    """This process's network, built for its first fold, with a share of the cores and, if there are GPUs, one of them."""
    key = job.config.model_dump_json(), job.choice, job.data
    if key not in _open:
        _open.clear()
        compute = choose_compute(job.config.train.device, job.config.train.precision, (job.fold, job.workers))
        _open[key] = MethodFitter(job.choice.method, job.config, job.data.data, compute), job.data
    return _open[key]
