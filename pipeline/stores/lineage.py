"""How runs in the log book hang together: one row is one pipeline run, found by the content of what it produced.

`train` tags its run with the sha256 of model.keras; `evaluate` and `register` look that up. Where no run has it (a fresh tracking server, a stage
restored from DVC's cache), one is made from the files. The folds that `cross_validate` logged are hung beneath it.
"""

import csv
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.paths import Paths
from pipeline.stores.files import read_json, sha256_file
from pipeline.stores.provenance import code_tags, environment_tags
from pipeline.stores.run_log import Dataset, Run, Tracker

MODEL_TAG = "model_sha256"
FOLDS_TAG = "out_of_fold_sha256"
FIT_TAG = "fit"


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of a CSV file of numbers."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


@contextmanager
def open_run(
    tracker: Tracker, kind: str, config: Config, paths: Paths, tags: Mapping[str, str] | None = None, *, finished: bool = False
) -> Iterator[Run]:
    """A run with parameters, data set and provenance; it ends as what happened inside: finished, failed or killed.

    Where `tags` name a fit that was broken off, its run goes on; with `finished` also one that was about to end. Not where a parameter has changed
    since, if only of another stage: MLflow takes a run's parameters once.
    """
    spec = read_json(paths.stage("preprocess") / "spec.json")
    every = {"kind": kind, "data_digest": spec["dataset_digest"], **code_tags(paths.root), **environment_tags(), **(tags or {})}
    if FIT_TAG in every:
        every[FIT_TAG] += f"-{hashlib.sha256(json.dumps(config.flat()).encode()).hexdigest()[:8]}"
    same_fit = {key: every[key] for key in ("kind", FIT_TAG) if key in every}
    run = tracker.resume_run(same_fit, finished=finished) if FIT_TAG in same_fit else None
    run = run or tracker.start_run(_run_name(config, spec, every), every)
    run.log_params(config.flat())
    run.log_metrics({f"data_{name}": count for name, count in spec["data_counts"].items()})
    run.log_dataset(Dataset(spec["dataset_name"], str(config.flat()["ingest.source"]), spec["dataset_digest"]))
    with finishing(run):
        yield run


@contextmanager
def finishing(run: Run) -> Iterator[None]:
    """End a run as what happens inside."""
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
    """Log one epoch's numbers at its step; what is not a number (no validation) is left out."""
    numbers = {key: value for key, value in values.items() if key != "epoch" and math.isfinite(value)}
    run.log_metrics(numbers, step=int(values["epoch"]))


def pipeline_run(tracker: Tracker, paths: Paths, config: Config) -> Run:
    """The newest run that made data/train/model.keras, with the folds of data/cross_validate beneath it.

    A row keeps its folds: where the only runs of this model have the folds of another cross-validation, or where there is none at all, a row
    is restored from the files.
    """
    model = sha256_file(paths.stage("train") / "model.keras")
    folds = sha256_file(paths.stage("cross_validate") / "out_of_fold.parquet")
    candidates = [run for run in tracker.find_runs({MODEL_TAG: model}) if run.tags.get(FOLDS_TAG, folds) == folds]
    run = candidates[0] if candidates else _restore(tracker, paths, config)
    if FOLDS_TAG not in run.tags:
        _adopt_folds(tracker, run, paths, folds)
    return run


def log_training(tracker: Tracker, run: Run, paths: Paths) -> None:
    """Log what `train` wrote: the model as people call it, the final metrics, the curves; then the tag by which the run is found."""
    folder = paths.stage("train")
    run.log_metrics({key: value for key, value in read_json(folder / "metrics.json").items() if isinstance(value, int | float)})
    run.log_file(folder / "history.csv", "train")
    run.log_file(folder / "curves.png", "train")
    run.log_file(paths.stage("preprocess") / "augmented.png", "preprocess")
    for name in ("report.json", "report.html", "findings.csv"):
        run.log_file(paths.stage("ingest") / name, "ingest")
    tracker.log_model(run, [folder / "model.keras", paths.stage("preprocess") / "spec.json"])
    run.set_tags({MODEL_TAG: sha256_file(folder / "model.keras")})


def start_fold(tracker: Tracker, parent: Run, fold: int) -> Run:
    """The run for one fold beneath `parent`; where there is one already, it goes on."""
    if run := tracker.resume_run({"kind": "fold", "fold": str(fold)}, parent, finished=True):
        return run
    return tracker.start_run(f"fold {fold}", {"kind": "fold", "fold": str(fold)}, parent)


def _restore(tracker: Tracker, paths: Paths, config: Config) -> Run:
    """A row made from the files, complete with parameters, curves and the model."""
    with open_run(tracker, "pipeline", config, paths, {"restored": "true"}) as run:
        for row in read_history(paths.stage("train") / "history.csv"):
            log_epoch(run, row)
        log_training(tracker, run, paths)
    return run


def _adopt_folds(tracker: Tracker, run: Run, paths: Paths, digest: str) -> None:
    """Hang the folds of one cross-validation beneath `run`. Their own parent, then empty, goes to the trash."""
    for parent in tracker.find_runs({FOLDS_TAG: digest, "kind": "cross_validation"})[:1]:
        for child in tracker.children(parent):
            tracker.adopt(child, run)
        tracker.delete(parent)
    there = {child.tags.get("fold") for child in tracker.children(run)}
    for row in read_history(paths.stage("cross_validate") / "folds.csv"):
        fold = int(row.pop("fold"))
        if str(fold) not in there:
            child = start_fold(tracker, run, fold)
            child.log_metrics(row)
            child.finish()
    run.set_tags({FOLDS_TAG: digest})


def _run_name(config: Config, spec: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """What the list of runs shows: the DVC experiment's name, or data set and network."""
    return tags.get("dvc_experiment") or f"{spec['dataset_name']} {config.flat()['model.name']}"
