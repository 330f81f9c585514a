"""What a run came to, as text: complete, and with what is there when something is missing."""

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.paths import Paths
from pipeline.retraining.summary import StageResult, data_markdown, first_baseline, markdown, runs_address, stage_markdown, verdict
from pipeline.tracking.run_log import RegistryState

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


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


def test_the_verdict_says_how_sure_the_accuracy_is_and_what_was_fitted(finished: Paths) -> None:
    write(finished, "ingest", "report.json", REPORT)
    write(finished, "evaluate", "uncertainty.json", {"test_accuracy_low": 0.8963, "test_accuracy_high": 0.9551})
    write(finished, "train", "choice.json", {"chosen": {"method": "resnet, fitted to images"}})

    assert verdict(finished).splitlines()[:2] == [
        "  method            resnet, fitted to images",
        "  test accuracy     0.9312   (95 % interval 0.896 to 0.955, 300 test images)",
    ]


@pytest.mark.parametrize(
    ("accuracy", "low", "expected"),
    [
        (0.7, 0.6667, "  warning           never predicted: bag"),  # 200 of the 300 test images are cats
        (0.7, 0.6465, "  warning           not shown to be better than always guessing cat (0.6667); never predicted: bag"),
        (0.666667, 0.6, "  warning           no better than always guessing cat (0.6667); never predicted: bag"),  # 200 of 300, rounded up
    ],
)
def test_the_verdict_warns_of_a_model_that_is_not_shown_to_beat_guessing(
    finished: Paths, accuracy: float, low: float, expected: str
) -> None:
    write(finished, "ingest", "report.json", REPORT)
    write(finished, "evaluate", "metrics.json", {"test_accuracy": accuracy})
    write(finished, "evaluate", "uncertainty.json", {"test_accuracy_low": low, "test_accuracy_high": 0.8})

    assert [line for line in verdict(finished).splitlines() if "warning" in line] == [expected]


def test_the_verdict_says_what_was_found_in_the_data(finished: Paths) -> None:
    write(finished, "ingest", "report.json", REPORT)
    write(finished, "ingest", "report.html", "")

    first = verdict(finished).splitlines()[0]

    assert first == "  data              1,200 images of 2 classes, 3 left out, found 1 leak, 2 empty files: data/ingest/report.html"


def test_the_page_of_a_stage_has_its_numbers_its_report_and_links(finished: Paths) -> None:
    write(finished, "train", "metrics.json", {"train_loss": 0.25, "note": "not a number"})
    write(finished, "evaluate", "report.html", "")

    links = {"flowers resnet": "http://127.0.0.1:5000/#/experiments/1/runs/abc"}

    assert stage_markdown("train", finished, links).splitlines() == [
        "| result | |",
        "|---|---|",
        "| train loss | 0.25 |",
        "",
        "MLflow: [flowers resnet](http://127.0.0.1:5000/#/experiments/1/runs/abc)",
    ]
    assert stage_markdown("evaluate", finished, {}).splitlines()[-1] == "With pictures: `data/evaluate/report.html`"
    assert stage_markdown("preprocess", finished, {}) == ""


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
    text = markdown(Paths(tmp_path), [StageResult("ingest", "Unchanged", 0.44, NOON), StageResult("train", "Ran", 61.2, NOON)])

    assert text.startswith("| stage | state | time |\n|---|---|---|\n| ingest | Unchanged | 0.4 s |\n| train | Ran | 1 min 1 s |\n\n")


def test_a_tracking_server_is_shown_by_the_page_with_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")

    assert runs_address(REGISTRY) == PAGE


def shell(folder: Path, command: str) -> str:
    who = {f"GIT_{role}_{what}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return subprocess.run(command, shell=True, cwd=folder, env={**os.environ, **who}, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def cloned(tmp_path: Path) -> Paths:
    """A committed project in a folder with a space, in which a run has written some of its files, others are ignored, and notes lie about."""
    paths = Paths(tmp_path / "my project")
    for file in (paths.params, paths.ledger, paths.root / "docs" / "page.md"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1\n", encoding="utf-8")
    (paths.root / ".gitignore").write_text("/data/*/*\n!/data/*/metrics.json\n", encoding="utf-8")
    shell(paths.root, "git init -q && git add -A && git commit -qm start")
    write(paths, "evaluate", "metrics.json", {})
    write(paths, "register", "decision.json", {})
    for file in (paths.dvc_lock, paths.root / "notes.txt", paths.root / "data" / "own.csv", paths.stage("evaluate") / "report.html"):
        file.write_text("2\n", encoding="utf-8")
    return paths


def committed(paths: Paths) -> list[str]:
    return shell(paths.root, "git show --name-only --format= HEAD").splitlines()


def test_the_first_baseline_is_what_a_run_wrote_and_git_does_not_ignore(cloned: Paths) -> None:
    command = first_baseline(cloned, cloned.root)

    assert command == "git add data/evaluate/metrics.json dvc.lock && git commit -m 'First baseline'"
    shell(cloned.root, command)
    assert committed(cloned) == ["data/evaluate/metrics.json", "dvc.lock"]
    assert first_baseline(cloned, cloned.root) == ""


def test_with_it_go_edited_parameters_and_the_lists_that_a_run_extended(cloned: Paths) -> None:
    for file in (cloned.params, cloned.ledger, cloned.root / "docs" / "page.md"):
        file.write_text("2\n", encoding="utf-8")

    shell(cloned.root, first_baseline(cloned, cloned.root))

    assert committed(cloned) == ["data/evaluate/metrics.json", "data/splits.csv", "dvc.lock", "params.yaml"]


@pytest.mark.parametrize("place", ["my project/docs", "elsewhere"])
def test_its_command_is_for_the_folder_in_which_the_run_was_started(cloned: Paths, tmp_path: Path, place: str) -> None:
    (tmp_path / "elsewhere").mkdir()

    shell(tmp_path / place, first_baseline(cloned, tmp_path / place))

    assert committed(cloned) == ["data/evaluate/metrics.json", "dvc.lock"]


def test_a_project_below_the_top_of_its_repository_has_one_too(cloned: Paths, tmp_path: Path) -> None:
    shell(cloned.root, "rm -rf .git && cd .. && git init -q && git add 'my project/params.yaml' && git commit -qm start")

    shell(cloned.root, first_baseline(cloned, cloned.root))

    assert committed(cloned) == [f"my project/{name}" for name in ("data/evaluate/metrics.json", "data/splits.csv", "dvc.lock")]


def test_a_change_after_the_first_baseline_is_no_first_one(cloned: Paths) -> None:
    shell(cloned.root, first_baseline(cloned, cloned.root))
    cloned.dvc_lock.write_text("3\n", encoding="utf-8")

    assert first_baseline(cloned, cloned.root) == ""


def test_there_is_no_baseline_without_git_or_before_the_first_commit(cloned: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    shell(cloned.root, "rm -rf .git && git init -q")
    assert first_baseline(cloned, cloned.root) == ""

    shell(cloned.root, "rm -rf .git")
    assert first_baseline(cloned, cloned.root) == ""

    monkeypatch.setenv("PATH", "/nowhere")
    assert first_baseline(cloned, cloned.root) == ""


def test_class_names_do_not_break_the_tables_of_prefect(finished: Paths) -> None:
    names = ["a|b", "<b>", "line\nfeed", "two  spaces", "cat, black"]
    counts = {"train": dict.fromkeys(names, 3), "validation": dict.fromkeys(names, 0), "test": dict.fromkeys(names, 0)}
    write(finished, "ingest", "report.json", {**REPORT, "class_names": names, "counts": counts})
    write(finished, "register", "decision.json", {"decision": {"never_predicted": names}})

    assert data_markdown(finished).splitlines()[-5:] == [
        r"| a\|b | 3 |",
        r"| \<b\> | 3 |",
        r'| "line\\nfeed" | 3 |',
        '| "two &nbsp;spaces" | 3 |',
        "| cat, black | 3 |",
    ]
    never = r'| warning | never predicted: a\|b, \<b\>, "line\\nfeed", "two &nbsp;spaces", "cat, black" |'
    assert never in markdown(finished, []).splitlines()
    assert '  never predicted: a|b, <b>, "line\\nfeed", "two  spaces", "cat, black"' in verdict(finished)
