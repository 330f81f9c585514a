"""How runs in the tracker are related: one row is one pipeline run, found by the content of its outputs.

`train` tags its run with the sha256 of model.keras; `evaluate` and `register` look it up. If no run has the tag (a new tracking server, a stage
restored from DVC's cache), a run is created from the files. The folds that `cross_validate` logged are nested in it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.errors import TrackingError
from pipeline.files import read_json, sha256_file
from pipeline.paths import Paths
from pipeline.tracking.provenance import code_tags, environment_tags
from pipeline.tracking.run_log import Dataset, OwedRun, Run, Tracker

if TYPE_CHECKING:
    from pipeline.params.reader import Config

MODEL_TAG = "model_sha256"
FOLDS_TAG = "out_of_fold_sha256"
PARAMS_TAG = "params_sha256"
FIT_TAG = "fit"
NAME_TAG = "name"
CURVES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "validation_loss": "val_loss",
    "validation_accuracy": "val_accuracy",
    "learning_rate": "learning_rate",
    "images_per_second": "images_per_second",
}
"""Metrics logged at each epoch: the name in the history, and the name of the curve, which differs from those of final results."""
CHANGES_NAMED = 3


class Unfinished(Protocol):
    """Checkpoints of an earlier process for the same fit: whether there are any, and the id of its run in the tracker."""

    resumed: bool
    run_id: str | None

    def keep_run(self, run_id: str) -> None:
        """Record the run that this fit belongs to."""


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of a CSV file of numbers."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


@contextmanager
def open_run(
    tracker: Tracker,
    kind: str,
    config: Config,
    paths: Paths,
    tags: Mapping[str, str] | None = None,
    checkpoints: Unfinished | None = None,
) -> Iterator[Run]:
    """A run with parameters, data set and provenance; it ends as finished, failed or killed, depending on how the block ends.

    If `tags` name an interrupted fit, its run is resumed; if that fit has left `checkpoints`, also a run marked as finished or still running. If
    any parameter has changed, even of another stage, a new run starts: MLflow accepts a run's parameters once. Raises TrackingError, before
    anything is computed, if artifacts cannot be written.
    """
    spec = read_json(paths.stage("preprocess") / "spec.json")
    params = _digest(config)
    every = {"kind": kind, "data_digest": spec["dataset_digest"], PARAMS_TAG: params, **code_tags(paths.root), **environment_tags()}
    every |= tags or {}
    if FIT_TAG in every:
        every[FIT_TAG] += f"-{params[:8]}"
    same_fit = {key: every[key] for key in ("kind", FIT_TAG) if key in every}
    known, finished = (checkpoints.run_id, checkpoints.resumed) if checkpoints else (None, False)
    run = tracker.resume_run(same_fit, finished=finished, known=known) if FIT_TAG in same_fit else None
    if run is None:
        name = _run_name(tracker, config, spec, every)
        run = tracker.start_run(name, {**every, NAME_TAG: name})
    with finishing(run):
        if checkpoints:
            checkpoints.keep_run(run.id)
        run.check_artifacts(paths.params)
        run.log_params({**config.flat(), **{f"data_{name}": count for name, count in spec["data_counts"].items()}})
        run.log_dataset(Dataset(spec["dataset_name"], str(config.flat()["ingest.source"]), spec["dataset_digest"]))
        yield run


@contextmanager
def open_cross_validation(
    tracker: Tracker, config: Config, paths: Paths, tags: Mapping[str, str], checkpoints: Unfinished
) -> Iterator[Run]:
    """The parent run of the folds: the one that produced data/train/model.keras with the same parameters, if it has no folds yet.

    A pipeline run is thus a single row also while its folds are fitted. If there is no such run, a new one; its folds move later.
    """
    training = _training_run(tracker, paths, config)
    if training is None:
        with open_run(tracker, "cross_validation", config, paths, tags, checkpoints) as run:
            yield run
        return
    run = tracker.reopen(training)
    with finishing(run):
        run.check_artifacts(paths.params)
        for child in tracker.children(run):
            if child.tags.get(FIT_TAG) != tags[FIT_TAG]:
                tracker.delete(child)
        yield run


@contextmanager
def finishing(run: Run) -> Iterator[None]:
    """End a run as finished, failed or killed, depending on how the block ends."""
    try:
        yield
    except Exception:
        run.finish("FAILED")
        raise
    except BaseException:
        run.finish("KILLED")
        raise
    run.finish()


def log_epoch(run: Run, values: Mapping[str, float]) -> None:
    """Log the metrics of an epoch at its step, without NaN (no validation)."""
    numbers = {CURVES[key]: value for key, value in values.items() if key in CURVES and math.isfinite(value)}
    run.log_metrics(numbers, step=int(values["epoch"]))


def pipeline_run(tracker: Tracker, paths: Paths, config: Config) -> Run:
    """The newest run that produced data/train/model.keras, with the folds of data/cross_validate nested in it.

    A run keeps its folds: if all runs of this model have the folds of another cross-validation, or there is no run, one is restored from the files.
    """
    model = sha256_file(paths.stage("train") / "model.keras")
    folds = sha256_file(paths.stage("cross_validate") / "out_of_fold.parquet")
    candidates = [run for run in tracker.find_runs({MODEL_TAG: model}) if run.tags.get(FOLDS_TAG, folds) == folds]
    run = candidates[0] if candidates else _restore(tracker, paths, config)
    if FOLDS_TAG not in run.tags:
        _adopt_folds(tracker, run, paths, folds)
    return run


def log_training(tracker: Tracker, run: Run, paths: Paths) -> None:
    """Log the outputs of `train`: final metrics, history, choice and the servable model; then the tag that identifies the run."""
    folder = paths.stage("train")
    _name_by_choice(run, read_json(folder / "choice.json")["network"], paths)
    run.log_metrics(read_json(folder / "metrics.json"))
    for name in ("history.csv", "choice.json"):
        run.log_file(folder / name, "train")
    run.log_file(paths.stage("preprocess") / "augmented.png", "preprocess")
    for name in ("report.json", "report.html", "findings.csv"):
        run.log_file(paths.stage("ingest") / name, "ingest")
    run.settle()
    tracker.log_model(
        run, [folder / "model.keras", paths.stage("preprocess") / "spec.json"], to_serve=False
    )  # `register` calibrates it and logs it again
    run.set_tags({MODEL_TAG: sha256_file(folder / "model.keras")})


def _name_by_choice(run: Run, network: str, paths: Paths) -> None:
    """Put the network that was taken into the name of the run, in the place of those that were candidates."""
    candidates = " / ".join(read_json(paths.stage("preprocess") / "spec.json")["networks"])
    name = run.tags.get(NAME_TAG, run.name)
    if network != candidates and candidates in name:
        run.set_tags({NAME_TAG: name.replace(candidates, network)})
        run.rename(name.replace(candidates, network))


def start_fold(tracker: Tracker, parent: Run, fold: int, fit: str) -> Run:
    """The run for one fold of the cross-validation `fit`, nested in `parent`; an existing one is resumed.

    If the tracker does not answer, a run that discards everything, which `parent` owes.
    """
    tags = {"kind": "fold", "fold": str(fold), FIT_TAG: fit}
    try:
        return tracker.resume_run(tags, parent, finished=True) or tracker.start_run(f"fold {fold}", tags, parent)
    except TrackingError as error:
        parent.owe(str(error))
        return OwedRun()


def _training_run(tracker: Tracker, paths: Paths, config: Config) -> Run | None:
    model = paths.stage("train") / "model.keras"
    if not model.is_file():
        return None
    found = tracker.find_runs({"kind": "pipeline", MODEL_TAG: sha256_file(model), PARAMS_TAG: _digest(config)})
    return next((run for run in found if FOLDS_TAG not in run.tags), None)


def _restore(tracker: Tracker, paths: Paths, config: Config) -> Run:
    """A run created from the files, with parameters, curves and the model."""
    with open_run(tracker, "pipeline", config, paths, {"restored": "true"}) as run:
        for row in read_history(paths.stage("train") / "history.csv"):
            log_epoch(run, row)
        log_training(tracker, run, paths)
    return run


def _adopt_folds(tracker: Tracker, run: Run, paths: Paths, digest: str) -> None:
    """Nest the folds of a cross-validation in `run`. Their former parent, now empty, is moved to the trash."""
    for parent in tracker.find_runs({FOLDS_TAG: digest, "kind": "cross_validation"})[:1]:
        for child in tracker.children(parent):
            tracker.adopt(child, run)
        tracker.delete(parent)
    there = {child.tags.get("fold") for child in tracker.children(run)}
    for row in read_history(paths.stage("cross_validate") / "folds.csv"):
        fold = int(row["fold"])
        if str(fold) not in there:
            child = start_fold(tracker, run, fold, digest)
            log_fold_score(child, row)
            child.finish()
    run.set_tags({FOLDS_TAG: digest})


def log_fold_score(run: Run, score: Mapping[str, float]) -> None:
    """Log the metrics of a fold's model on its held-out images, under names that no curve has."""
    run.log_metrics({f"fold_{name}": score[name] for name in ("accuracy", "loss")})
    run.log_params({"fold_images": int(score["images"])})


def _run_name(tracker: Tracker, config: Config, spec: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """The name in the list of runs, of which MLflow shows the start: that of the DVC experiment, or the parameters changed since the previous run,
    then data set and networks tried.
    """
    if experiment := tags.get("dvc_experiment"):
        return experiment
    name = f"{spec['dataset_name']} {' / '.join(spec['networks'])}"
    before = next(iter(tracker.find_runs({"kind": "pipeline"})), None)
    if before is None:
        return name
    params = before.params
    changed = [f"{key} {value}" for key, value in config.flat().items() if key in params and params[key] != str(value)]
    changed = [text for text in changed if not text.startswith(("ingest.source ", "model.name "))]
    if len(changed) > CHANGES_NAMED:
        changed = [*changed[:CHANGES_NAMED], f"{len(changed) - CHANGES_NAMED} more"]
    if not changed and before.tags.get("data_digest") != tags["data_digest"]:
        changed = ["other images"]
    return f"{', '.join(changed)} ({name})" if changed else name


def _digest(config: Config) -> str:
    return hashlib.sha256(json.dumps(config.flat()).encode()).hexdigest()
