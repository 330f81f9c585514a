"""What stops a run is told before it starts, with what to do: folders, homes, git, DVC's files."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.git import ask_git
from pipeline.network import masked
from pipeline.paths import Paths
from pipeline.workspace.check import _check_dvc_config
from pipeline.workspace.surroundings import (
    Finding,
    folders,
    foreign_code,
    graph,
    home,
    make_homes,
    refuse_what_stops_a_run,
    repository,
    settle_home,
    temporary_files,
)


@pytest.fixture
def paths(project: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("PREFECT_HOME", str(project.parent / "prefect"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Paths(project)


def test_a_project_as_it_should_be_is_not_refused(paths: Paths) -> None:
    refuse_what_stops_a_run(paths)

    assert folders(paths).found == temporary_files(paths).found == foreign_code(paths) == ""


@pytest.mark.parametrize("name", [".", "data", "mlruns", ".checkpoints", "data/train", ".dvc/tmp"])
def test_a_folder_that_may_not_be_written_to_is_named(paths: Paths, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = paths.root / name
    folder.mkdir(parents=True, exist_ok=True)
    allowed: Callable[..., bool] = os.access  # as for a user who is not root; who is may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and allowed(path, mode))

    with pytest.raises(StorageError, match=rf"^folders: you may not write to {folder}\. Fix: make {folder} a writable folder"):
        refuse_what_stops_a_run(paths)


@pytest.mark.parametrize("name", ["mlruns", ".checkpoints", "data/train", "dvc.lock"])
def test_a_file_for_a_folder_and_a_folder_for_a_file_are_named(paths: Paths, name: str) -> None:
    place = paths.root / name
    place.mkdir() if name == "dvc.lock" else place.touch()

    fault = "is not a file that you may read and write" if name == "dvc.lock" else "is not a folder"
    assert folders(paths).found == f"{place} {fault}"


def test_a_home_that_may_not_be_written_to_is_replaced_by_a_folder_of_the_project(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.setenv("HOME", str(paths.root / "source" / "image"))  # a file

    settle_home(paths)
    make_homes()

    assert os.environ["PREFECT_HOME"] == str(paths.root / ".checkpoints" / "prefect")
    assert Path(os.environ["PREFECT_HOME"]).is_dir()
    assert home(paths).fix == ""


def test_without_a_home_there_is_one_in_the_project(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("PREFECT_HOME")

    settle_home(paths)

    assert Path.home() == paths.root / ".checkpoints" / "home"
    assert "PREFECT_HOME" not in os.environ


def test_a_prefect_home_that_was_asked_for_is_not_replaced(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", "/dev/null/prefect")

    settle_home(paths)

    assert home(paths).found == "Prefect keeps its history in /dev/null/prefect, but /dev/null is not a folder"
    assert home(paths).fix == "set PREFECT_HOME to a writable folder"


def test_a_folder_for_temporary_files_that_is_not_there_is_named(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", "/dev/null/tmp")

    assert temporary_files(paths).found == "TMPDIR is /dev/null/tmp, which cannot be used"


def test_a_copy_without_a_repository_is_refused_unless_dvc_is_told_to_do_without(paths: Paths) -> None:
    (paths.root / ".git").rename(paths.root / "was .git")

    with pytest.raises(StorageError, match=r"no git repository here\. Fix: clone the project; or,.*`dvc config --local core.no_scm true`"):
        refuse_what_stops_a_run(paths)
    (paths.root / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n", encoding="utf-8")

    refuse_what_stops_a_run(paths)
    assert repository(paths).fix == ""


def test_a_repository_of_another_owner_is_told_with_gits_own_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = tmp_path / "git"
    said = "fatal: detected dubious ownership in repository at '/srv/flowers'"
    git.write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 128\n', encoding="utf-8")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    answer = ask_git(tmp_path, "status")

    assert answer.fault == "git does not read this repository, as it belongs to another user"
    assert answer.fix == "if you trust it, run `git config --global --add safe.directory '/srv/flowers'`"


def test_a_missing_git_is_told(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert repository(paths).fix == "install git: DVC keeps the history of the project in it"
    refuse_what_stops_a_run(paths)  # a run can do without


def test_inside_a_git_hook_the_folders_own_repository_is_asked(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "other")], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))

    assert ask_git(paths.root, "rev-parse", "--absolute-git-dir").text == str(paths.root / ".git")


@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        ("dvc.yaml", "stages: [", "dvc.yaml cannot be read: line 2: "),
        ("dvc.yaml", "", "dvc.yaml cannot be read: it has no stages"),
        ("dvc.yaml", "stages: {train: 5}", "dvc.yaml cannot be read: its stages are not as DVC writes them"),
        ("dvc.yaml", "stages: {train: {cmd: x}}", "dvc.yaml lacks ingest, preprocess, cross_validate, evaluate, register"),
        ("dvc.lock", "stages: [\n", "dvc.lock cannot be read: "),
    ],
)
def test_a_file_of_dvc_that_cannot_be_read_is_told(paths: Paths, file: str, content: str, found: str) -> None:
    (paths.root / file).write_text(content, encoding="utf-8")

    finding = graph(paths)

    assert finding.found.startswith(found)
    assert re.search(rf"`git checkout (HEAD )?-- {re.escape(file)}`", finding.fix)


def test_an_unfinished_merge_is_left_to_the_check_that_names_its_files(paths: Paths) -> None:
    (paths.root / "dvc.lock").write_text("<<<<<<< ours\nstages: {}\n", encoding="utf-8")

    assert graph(paths) == Finding("DVC", "set up, in an unfinished merge", warns=True)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[core", "Invalid line ('[core')"),
        ("anlytics = false", "extra keys not allowed @ data['anlytics']"),
        ("[cache]\n    type = hardlnk", "Unsupported cache type(s): hardlnk"),
    ],
)
def test_a_configuration_that_dvc_does_not_accept_is_told(paths: Paths, config: str, words: str) -> None:
    assert _check_dvc_config(paths).found == ""
    (paths.root / ".dvc" / "config").write_text(f"{config}\n", encoding="utf-8")

    finding = _check_dvc_config(paths)

    assert finding.found.startswith(f"DVC's configuration cannot be read: {words}")
    assert finding.fix == "Correct .dvc/config or .dvc/config.local."


def test_a_dvc_that_does_not_answer_is_told(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.workspace.check.SECONDS_FOR_DVC", 0.001)

    finding = _check_dvc_config(paths)

    assert finding.found.startswith("dvc cannot be asked: ")
    assert "timed out" in finding.found
    assert finding.fix


def test_code_of_another_place_than_the_workspace_is_told(paths: Paths) -> None:
    (paths.root / "pipeline").mkdir()
    (paths.root / "pipeline" / "__main__.py").touch()

    assert f"{paths.root} has its own" in foreign_code(paths)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("MLFLOW_TRACKING_URI is http://me:secret@host:5000", "MLFLOW_TRACKING_URI is http://…@host:5000"),
        ("https://token@host/api", "https://…@host/api"),
        ("http://me:pass@word@host/api?key=hidden", "http://…@host/api?…"),
        ("sqlite:///mlruns/mlflow.db", "sqlite:///mlruns/mlflow.db"),
    ],
)
def test_passwords_in_addresses_are_not_shown(address: str, shown: str) -> None:
    assert masked(address) == shown
