"""The run of a model with its calibration. A run has one of them: the files kept with a registered version are those of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.files import sha256_file
from pipeline.paths import Paths
from pipeline.tracking.lineage import FOLDS_TAG, MODEL_TAG, log_epoch, log_training, open_run, pipeline_run, read_history
from pipeline.tracking.run_log import Run, Tracker

if TYPE_CHECKING:
    from pipeline.params.reader import Config

CALIBRATION_TAG = "calibration_sha256"


def calibrated_run(tracker: Tracker, paths: Paths, config: Config) -> Run:
    """The run of data/train/model.keras with data/evaluate/calibration.json: the run that made the model, unless that has another calibration.

    Then one is restored from the files, so that an earlier version keeps its own numbers and files.
    """
    calibration = sha256_file(paths.stage("evaluate") / "calibration.json")
    run = pipeline_run(tracker, paths, config)
    same = {name: run.tags[name] for name in (MODEL_TAG, FOLDS_TAG)} | {CALIBRATION_TAG: calibration}
    if known := tracker.find_runs(same):
        return known[0]
    if CALIBRATION_TAG in run.tags or tracker.versions_of_run(run.id):
        _restore(tracker, paths, config)
        run = pipeline_run(tracker, paths, config)
    run.set_tags({CALIBRATION_TAG: calibration})
    return run


def _restore(tracker: Tracker, paths: Paths, config: Config) -> None:
    with open_run(tracker, "pipeline", config, paths, {"restored": "true"}) as run:
        for row in read_history(paths.stage("train") / "history.csv"):
            log_epoch(run, row)
        log_training(tracker, run, paths)
