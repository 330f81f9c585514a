"""`pipeline clean` deletes what nothing names, and never what a branch, a worktree or a registered version needs."""

import os
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.housekeeping.dvc_cache import remove_unused, unused, why_shared
from pipeline.housekeeping.old_runs import TRASH_TAG, OldRuns, move_to_trash, old_runs, remove_for_good
from pipeline.housekeeping.referenced import referenced
from pipeline.housekeeping.scratch import KEPT_DAYS, leftovers, remove, size_of
from pipeline.paths import Paths
from pipeline.pedigree.data_at import find_lock, missing_outputs
from pipeline.registry.recorded import log_origin
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.provenance import lock_digest
from tests.dummy_project import BIN, call_pipeline, copy_project, environment, write_graph

UPSTREAM = ("ingest", "preprocess", "train", "cross_validate", "evaluate")


def shell(root: Path, command: str) -> str:
    env = {**environment(root), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, shell=True, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def states(template: Path, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose source was `first` to `fifth` in turn: on a branch, in a worktree, registered, named by nothing, and now."""
    root = copy_project(template, tmp_path_factory.mktemp("states") / "my prøject")
    shutil.copytree(empty_store / "mlruns", root / "mlruns")
    for key, value in (("name", "Tests"), ("email", "tests@example.org")):
        shell(root, f"git config user.{key} {value}")
    (root / ".gitignore").write_text(".prefect\n.checkpoints\n/mlruns\n/data/*/*\n", encoding="utf-8")
    write_graph(root, train="mkdir -p data/train; (echo fitted; cat data/preprocess/out) > data/train/out")
    shell(root, "git add -A && git commit -qm Start")
    for name in ("first", "second", "third", "fourth", "fifth"):
        (root / "source" / "image").write_text(f"{name}\n", encoding="utf-8")
        shell(root, "dvc repro -q")
        if name == "first":
            shell(root, "git switch -qc kept && git add -A && git commit -qm First && git switch -q -")
        if name == "second":
            shell(root, "git worktree add -q --detach ../other && cp dvc.lock ../other/dvc.lock")
        if name == "third":
            register(Paths(root))
        shell(root, "git checkout -q -- . && rm -f dvc.lock" if name != "fifth" else "true")
    return root


def register(paths: Paths) -> None:
    log = MlflowLog.connect(paths)
    run = log.start_run("registered", {})
    model = log._client.create_logged_model(log.experiment_id, source_run_id=run.id)
    run.set_tags({"model_id": model.model_id})
    log_origin(run, paths)
    log.register("pets", run, {"dvc_lock_digest": str(lock_digest(paths.dvc_lock, UPSTREAM))})
    run.finish()


@pytest.fixture
def paths(states: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A copy of it, with the worktree beside it."""
    home = shutil.copytree(states.parent, tmp_path / "home", symlinks=True)
    root = home / states.name
    shell(root, "git worktree repair ../other")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return Paths(root)


def contents(files: list[Path]) -> set[str]:
    return {" ".join(file.read_text(encoding="utf-8").split()) for file in files}


def whole(*names: str) -> set[str]:
    """The contents of all outs of these states: as ingested, fitted, and of `evaluate`, which reads both."""
    return {text for name in names for text in (name, f"fitted {name}", f"fitted {name} {name}")}


def cached(paths: Paths) -> list[Path]:
    return [file for file in (paths.root / ".dvc" / "cache" / "files").rglob("*") if file.is_file()]


def test_only_the_data_that_nothing_names_may_go(paths: Paths) -> None:
    assert contents(cached(paths)) == whole("first", "second", "third", "fourth", "fifth")
    kept = referenced(paths, MlflowLog.connect(paths))

    assert contents(unused(paths, kept)) == whole("fourth") | whole("third") - {"third"}
    assert contents(cached(paths)) == whole("first", "second", "third", "fourth", "fifth")

    remove_unused(paths, kept)
    assert contents(cached(paths)) == whole("first", "second", "fifth") | {"third"}
    assert not (paths.scratch / "clean").exists()


def test_what_a_registered_version_needs_is_there_after_cleaning(paths: Paths) -> None:
    log = MlflowLog.connect(paths)
    remove_unused(paths, referenced(paths, log))

    (version,) = log.all_versions("pets")
    lock = find_lock(log, paths, version.run_id, version.tags, paths.root)
    assert lock
    assert missing_outputs(lock, paths.root / ".dvc" / "cache", "ingest") == []


def test_a_branch_that_cannot_be_read_deletes_nothing(paths: Paths) -> None:
    (paths.root / "dvc.lock").write_text("stages: [\n", encoding="utf-8")
    shell(paths.root, "git switch -qc broken && git add -f dvc.lock && git commit -qm Broken && git switch -q -")

    with pytest.raises(StorageError, match=r"dvc\.lock .* cannot be read, so it is not known which data it names\. Nothing was deleted"):
        referenced(paths, MlflowLog.connect(paths))


def test_a_cache_outside_of_the_project_is_left_alone(paths: Paths, tmp_path: Path) -> None:
    assert why_shared(paths) == ""
    shutil.move(paths.root / ".dvc" / "cache", tmp_path / "shared")
    (paths.root / ".dvc" / "cache").symlink_to(tmp_path / "shared")

    assert why_shared(paths).startswith(f"DVC's cache is {tmp_path / 'shared'}, outside of the project")


def test_the_command_shows_first_and_deletes_with_yes(paths: Paths) -> None:
    code, output = call_pipeline(paths.root, "clean", "--runs-older-than", "90d")

    assert code == 0
    assert "in DVC's cache, named by nothing" in output
    assert output.splitlines()[-1] == "Nothing was deleted. `pipeline clean --runs-older-than 90d --yes` deletes it."
    assert "fourth" in contents(cached(paths))

    code, output = call_pipeline(paths.root, "clean", "--yes")
    assert (code, output.splitlines()[-1]) == (0, "Deleted.")
    assert "fourth" not in contents(cached(paths))
    assert call_pipeline(paths.root, "clean")[1].splitlines()[-1] == "There is nothing to delete."


@pytest.mark.parametrize("age", ["90", "d", "0d", "-1d", "1.5d", "90m"])
def test_an_age_is_a_number_of_days(paths: Paths, age: str) -> None:
    code, output = call_pipeline(paths.root, "clean", f"--runs-older-than={age}")

    assert code == 2
    assert f"expected an age in days, such as 90d; found '{age}'" in output


def test_runs_on_a_server_are_left_to_it(paths: Paths) -> None:
    code, output = call_pipeline(paths.root, "clean", "--runs-older-than", "90d", MLFLOW_TRACKING_URI="http://127.0.0.1:9")

    assert code == 2
    assert len(output.splitlines()) == 1
    assert "MLflow's runs are on a tracking server, where other projects may have theirs" in output


@pytest.fixture
def log(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowLog:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(empty_store / "mlruns", tmp_path / "mlruns")
    return MlflowLog.connect(Paths(tmp_path))


def ids(runs: OldRuns) -> tuple[set[str], set[str]]:
    return {run.id for run in runs.to_trash}, {run.id for run in runs.to_remove}


def test_old_runs_go_to_the_trash_and_a_month_later_for_good_unless_a_version_needs_them(log: MlflowLog, tmp_path: Path) -> None:
    parent = log.start_run("old", {})
    fold = log.start_run("fold", {}, parent)
    needed = log.start_run("needed", {})
    below = log.start_run("fold of it", {}, needed)
    model = log._client.create_logged_model(log.experiment_id, source_run_id=needed.id)
    needed.set_tags({"model_id": model.model_id})
    log.register("pets", needed, {})
    (tmp_path / "notes.txt").write_text("kept", encoding="utf-8")
    for run in (below, needed, fold, parent):
        run.log_file(tmp_path / "notes.txt")
        run.finish()
    going_on = log.start_run("going on", {})
    later = datetime.now(UTC) + timedelta(days=91)

    assert ids(old_runs(log, 92, later)) == (set(), set())
    found = old_runs(log, 90, later)
    assert ids(found) == ({parent.id, fold.id}, set())
    assert ids(old_runs(log, None, later)) == (set(), set())

    move_to_trash(log, found.to_trash, later)
    assert {run.id for run in log.ended_runs()} == {needed.id, below.id}
    assert ids(old_runs(log, 90, later + timedelta(days=29))) == (set(), set())
    gone = old_runs(log, 90, later + timedelta(days=30))
    assert ids(gone) == (set(), {parent.id, fold.id})

    remove_for_good(Paths(tmp_path), gone.to_remove)
    assert log.ended_runs(in_trash=True) == []
    folders = {folder.name for folder in (tmp_path / "mlruns" / "artifacts").iterdir()}
    assert folders & {run.id for run in (parent, fold, needed, below)} == {needed.id, below.id}
    assert going_on.id not in {run.id for run in log.ended_runs()}


def test_a_run_that_a_person_took_back_from_the_trash_stays(log: MlflowLog) -> None:
    run = log.start_run("old", {})
    run.finish()
    move_to_trash(log, log.ended_runs())
    log._client.restore_run(run.id)

    assert log.ended_runs()[0].tags[TRASH_TAG]
    assert ids(old_runs(log, 90, datetime.now(UTC) + timedelta(days=365))) == (set(), set())


def test_leftovers_are_what_nobody_has_written_to_for_two_weeks(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for name in (
        "fits/old/fold-0.npz",
        "fits/new/fold-0.npz",
        "reproduce/data/big",
        "predictions/a.parquet",
        "sources/mirror",
        "embeddings/x",
    ):
        (paths.scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.scratch / name).write_text("12345", encoding="utf-8")
    (paths.scratch / "predict").symlink_to(tmp_path)
    now = time.time() + (KEPT_DAYS + 1) * 86400
    os.utime(paths.scratch / "fits" / "new" / "fold-0.npz", (now, now))

    found = leftovers(paths, now)

    assert {str(file.relative_to(paths.scratch)) for file in found} == {"fits/old", "reproduce", "predictions/a.parquet"}
    assert sum(map(size_of, found)) == 15
    assert leftovers(paths) == []
    remove(found)
    assert sorted(str(file.relative_to(paths.scratch)) for file in paths.scratch.rglob("*") if file.is_file()) == [
        "embeddings/x",
        "fits/new/fold-0.npz",
        "sources/mirror",
    ]
