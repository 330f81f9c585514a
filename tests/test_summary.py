"""What a run came to, as text: complete, and with what is there when something is missing."""

import json
from pathlib import Path

import pytest

from pipeline.paths import Paths
from pipeline.retraining.summary import StageResult, data_markdown, markdown, runs_address, verdict
from pipeline.tracking.run_log import RegistryState


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def write(paths: Paths, stage: str, file: str, content: object) -> None:
    paths.stage(stage).mkdir(parents=True, exist_ok=True)
    (paths.stage(stage) / file).write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def finished(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    write(paths, "evaluate", "metrics.json", {"test_accuracy": 0.93124, "test_macro_f1": 0.9305})
    write(paths, "evaluate", "report.html", "")
    write(paths, "cross_validate", "metrics.json", {"cv_accuracy_mean": 0.92876, "cv_accuracy_std": 0.0021})
    write(paths, "register", "decision.json", {"promoted": False, "decision": {"never_predicted": ["bag"]}})
    return paths


PAGE = "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning"
REGISTRY = RegistryState("3", True, "fashion-mnist version 3", "not promoted: it is worse; champion is version 2", PAGE)


def test_the_verdict_says_all_that_came_out(finished: Paths) -> None:
    assert verdict(finished, REGISTRY) == (
        "  test accuracy     0.9312\n"
        "  macro F1          0.9305\n"
        "  cross-validation  0.9288 ± 0.0021\n"
        "  warning           never predicted: bag\n"
        "  model             fashion-mnist version 3\n"
        "  registry          not promoted: it is worse; champion is version 2\n"
        "  report            data/evaluate/report.html\n"
        f"  compare runs      pipeline ui   ({PAGE})"
    )


REPORT = {
    "name": "pets|1",
    "images": 1200,
    "rejected": 3,
    "class_names": ["cat", "dog"],
    "counts": {"train": {"cat": 500, "dog": 400}, "validation": {"cat": 0, "dog": 0}, "test": {"cat": 200, "dog": 100}},
    "findings": {"leak": 1, "empty": 2},
}


def test_the_verdict_says_what_was_found_in_the_data(finished: Paths) -> None:
    write(finished, "ingest", "report.json", REPORT)
    write(finished, "ingest", "report.html", "")

    first = verdict(finished).splitlines()[0]

    assert first == "  data              1,200 images of 2 classes, 3 left out, found 1 leak, 2 empty files: data/ingest/report.html"


def test_the_data_are_described_for_prefect_in_two_tables(tmp_path: Path) -> None:
    write(Paths(tmp_path), "ingest", "report.json", REPORT)

    assert data_markdown(Paths(tmp_path)).splitlines() == [
        "pets\\|1: 1,200 images of 2 classes, 3 left out. With pictures: `data/ingest/report.html`",
        "",
        "| found | |",
        "|---|---|",
        "| The same image in two splits (leakage) | 1 |",
        "| Empty files | 2 |",
        "",
        "| class | train | test |",
        "|---|---|---|",
        "| cat | 500 | 200 |",
        "| dog | 400 | 100 |",
    ]
    assert data_markdown(Paths(tmp_path / "elsewhere")) == ""


def test_a_missing_or_broken_file_leaves_its_line_out(finished: Paths) -> None:
    (finished.stage("cross_validate") / "metrics.json").unlink()
    (finished.stage("register") / "decision.json").write_text('{"promoted": tr', encoding="utf-8")

    names = [line.split("  ")[1] for line in verdict(finished).splitlines()]

    assert names == ["test accuracy", "macro F1", "report", "compare runs"]


def test_before_any_stage_has_run_there_is_no_verdict(tmp_path: Path) -> None:
    assert verdict(Paths(tmp_path)) == ""


def test_the_artifact_has_a_row_per_stage(tmp_path: Path) -> None:
    text = markdown(Paths(tmp_path), [StageResult("ingest", "Unchanged", 0.44), StageResult("train", "Ran", 61.2)])

    assert text.startswith("| stage | state | time |\n|---|---|---|\n| ingest | Unchanged | 0.4 s |\n| train | Ran | 1 min 1 s |\n\n")


def test_a_tracking_server_is_shown_by_the_page_with_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")

    assert runs_address(REGISTRY) == PAGE
