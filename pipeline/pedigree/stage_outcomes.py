"""What became of each stage in the last pipeline run, as tags of the run that made the model: run, skipped or restored, why, and which run made it."""

from collections.abc import Mapping
from datetime import datetime

from pipeline.files import sha256_file
from pipeline.paths import Paths
from pipeline.tracking.lineage import FOLDS_TAG, MODEL_TAG
from pipeline.tracking.run_log import Run, Tracker

PREFIX = "stage "
"""Of the key of a tag, before the name of the stage."""
FILES = {"train": ("model.keras", MODEL_TAG), "cross_validate": ("out_of_fold.parquet", FOLDS_TAG)}
"""The output by which the run that made it is found, and the tag that has its sha256."""
BY_THE_MODEL = ("train", "evaluate", "register")


def note_outcomes(tracker: Tracker, paths: Paths, outcomes: Mapping[str, tuple[datetime, str, str]]) -> dict[str, str]:
    """Tag the run of data/train/model.keras; returns a sentence per stage. Nothing, {}, if no run has the model.

    outcomes: by stage, when it ended (UTC), what DVC did (`Ran`, `Unchanged`, `Restored`) and why. Raises TrackingError if the tracker fails.
    """
    runs = made_by(tracker, paths, "train")
    if not runs:
        return {}
    said = {
        stage: f"{what} {ended:%Y-%m-%d %H:%M} UTC: {why}{_origin(tracker, paths, stage, runs[0])}"
        for stage, (ended, what, why) in outcomes.items()
    }
    runs[0].set_tags({f"{PREFIX}{stage}": text for stage, text in said.items()})
    runs[0].settle()
    return said


def _origin(tracker: Tracker, paths: Paths, stage: str, run: Run) -> str:
    """Which run made the outputs of a stage; empty where that is not recorded."""
    if stage in BY_THE_MODEL:
        found = made_by(tracker, paths, "train")
    elif stage in FILES:
        found = made_by(tracker, paths, stage)
    else:
        found = tracker.find_runs({"data_digest": run.tags.get("data_digest", ""), "kind": "pipeline"})
    first = next((made for made in reversed(found) if made.tags.get("restored") != "true"), None)
    return f"; made by run {first.id} ({first.name})" if first else "; the run that made it is not in this tracking store"


def made_by(tracker: Tracker, paths: Paths, stage: str) -> list[Run]:
    """The runs that have logged the output of a stage, newest first."""
    name, tag = FILES[stage]
    file = paths.stage(stage) / name
    return tracker.find_runs({tag: sha256_file(file)}) if file.is_file() else []
