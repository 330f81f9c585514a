"""The tags of a run say which code made it: what a run writes itself is no edit, and a git that cannot say is told."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.tracking.provenance import code_tags, lock_digest


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("pipeline/code.py", "params.yaml", "dvc.lock", "data/splits.csv", "data/classes.json", "data/train/metrics.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n", encoding="utf-8")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "state")
    return tmp_path


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_a_clean_repository_is_told_with_its_commit(repository: Path) -> None:
    assert code_tags(repository) == {"mlflow.source.git.commit": git(repository, "rev-parse", "HEAD"), "git_dirty": "false"}


@pytest.mark.parametrize(
    ("name", "dirty"),
    [
        ("dvc.lock", "false"),
        ("data/splits.csv", "false"),
        ("data/classes.json", "false"),
        ("data/known_images.csv", "false"),
        ("data/train/metrics.json", "false"),
        ("data/register/decision.json", "false"),
        ("notes.md", "false"),
        ("pipeline/code.py", "true"),
        ("params.yaml", "true"),
        ("pipeline/models/mine.py", "true"),
    ],
)
def test_edits_and_new_code_are_dirty_but_not_what_a_run_writes_nor_notes(repository: Path, name: str, dirty: str) -> None:
    (repository / name).parent.mkdir(parents=True, exist_ok=True)
    (repository / name).write_text("2\n", encoding="utf-8")

    assert code_tags(repository)["git_dirty"] == dirty


def test_a_missing_repository_is_a_tag_and_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_tags(tmp_path) == {"git_error": "no git repository here"}
    assert capsys.readouterr().err.startswith("warning: the commit is not recorded: no git repository here. Fix: clone the project; or, ")


def test_a_repository_without_a_commit_is_a_tag(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")

    assert code_tags(tmp_path) == {"git_error": "the git repository has no commit yet"}


def test_a_missing_git_is_a_tag(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PATH", "/nowhere")

    assert code_tags(repository) == {"git_error": "git is not installed"}


def test_the_digest_of_the_lock_does_not_depend_on_its_layout(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("stages:\n  train:\n    cmd: x\n  other: 1\n", encoding="utf-8")
    (tmp_path / "b").write_text("stages: {train: {cmd: x}, other: 2}\n", encoding="utf-8")

    assert lock_digest(tmp_path / "a", ("train",)) == lock_digest(tmp_path / "b", ("train",))
    assert lock_digest(tmp_path / "a", ("ingest",)) is None
    assert lock_digest(tmp_path / "nowhere", ("train",)) is None


def test_a_lock_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("<<<<<<< ours\nstages: {}\n", encoding="utf-8")

    with pytest.raises(StorageError, match=r"dvc\.lock cannot be read .*git checkout --ours dvc\.lock"):
        lock_digest(tmp_path / "dvc.lock", ("train",))
