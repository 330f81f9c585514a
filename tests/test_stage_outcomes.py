"""A stage that DVC skips or restores leaves a trace: which of the two, why, and which run made its outputs."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.files import sha256_file
from pipeline.pedigree.links import links_of
from pipeline.pedigree.stage_outcomes import note_outcomes
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.tracking_server import version_page
from tests.fakes import FakeTracker
from tests.finished_stages import write_finished_stages

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OUTCOMES = {
    "ingest": (NOON, "Unchanged", "nothing has changed"),
    "train": (NOON + timedelta(minutes=1), "Restored", "from the cache"),
    "cross_validate": (NOON + timedelta(minutes=9), "Ran", "DVC ran it"),
}


def test_every_stage_names_what_became_of_it_and_the_run_that_made_it(tmp_path: Path) -> None:
    paths, tracker = write_finished_stages(tmp_path), FakeTracker()
    model = {"model_sha256": sha256_file(paths.stage("train") / "model.keras"), "data_digest": "d1", "kind": "pipeline"}
    folds = {"out_of_fold_sha256": sha256_file(paths.stage("cross_validate") / "out_of_fold.parquet")}
    data = tracker.start_run("first on these data", {"data_digest": "d1", "kind": "pipeline"})
    made = tracker.start_run("made it", model)
    other = tracker.start_run("folds", folds)
    newest = tracker.start_run("made from files", model | {"restored": "true"})

    said = note_outcomes(tracker, paths, OUTCOMES)

    assert {stage: text.split(" UTC: ")[1] for stage, text in said.items()} == {
        "ingest": f"nothing has changed; made by run {data.id} (first on these data)",
        "train": f"from the cache; made by run {made.id} (made it)",
        "cross_validate": f"DVC ran it; made by run {other.id} (folds)",
    }
    assert newest.tags["stage train"] == said["train"]
    assert said["train"].startswith("Restored 2026-03-02 12:01 UTC: ")


def test_a_run_that_another_tracking_server_has_is_said_to_be_missing(tmp_path: Path) -> None:
    paths, tracker = write_finished_stages(tmp_path), FakeTracker()
    model = sha256_file(paths.stage("train") / "model.keras")
    tracker.start_run("made from files", {"model_sha256": model, "restored": "true"})

    said = note_outcomes(tracker, paths, {"train": (NOON, "Restored", "from the cache")})

    assert said["train"].endswith("from the cache; the run that made it is not in this tracking store")


def test_without_a_model_or_its_run_nothing_is_noted(tmp_path: Path) -> None:
    paths = write_finished_stages(tmp_path)
    assert note_outcomes(FakeTracker(), paths, OUTCOMES) == {}

    (paths.stage("train") / "model.keras").unlink()
    assert note_outcomes(FakeTracker(), paths, OUTCOMES) == {}


def test_pages_lead_to_the_run_that_made_the_model(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    paths = write_finished_stages(Path(shutil.copytree(empty_store, tmp_path / "project")))
    assert links_of("train", paths) == {}
    tracker = MlflowLog.connect(paths)
    made = tracker.start_run("made it", {"model_sha256": sha256_file(paths.stage("train") / "model.keras")})

    links = links_of("train", paths)

    assert links == {"made it": f"http://127.0.0.1:5000/#/experiments/{tracker.experiment_id}/runs/{made.id}"}
    assert links_of("ingest", paths) == links_of("register", paths) == {}
    assert version_page("http://me:secret@host/mlflow/", "my flowers", "3") == "http://…@host/mlflow/#/models/my%20flowers/versions/3"
