"""A clean copy of a project gets what is not in DVC's cache from the remotes that the project has now, in a clone whose cache is empty, too."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.paths import Paths
from pipeline.pedigree.clean_copy import make_copy
from pipeline.pedigree.data_at import cache_and_remotes
from pipeline.pedigree.reproduce import _check_out
from tests.dummy_project import BIN, environment

FIRST, SECOND = "the first pictures\n", "other pictures\n"


def run(root: Path, *command: str) -> str:
    who = {f"GIT_{role}_{what}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    program = str(BIN / command[0]) if command[0] == "dvc" else command[0]
    done = subprocess.run([program, *command[1:]], cwd=root, env=environment(root) | who, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root: Path) -> str:
    run(root, "git", "add", "-A")
    run(root, "git", "commit", "-qm", "state")
    return run(root, "git", "rev-parse", "HEAD")


@pytest.fixture
def first(tmp_path: Path) -> tuple[Path, str]:
    """A project that tracks a file, and its first commit, at which it has no remote; the file has changed since."""
    root = tmp_path / "prøject"
    root.mkdir()
    (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    (root / "pictures").write_text(FIRST, encoding="utf-8")
    run(root, "git", "init", "-q")
    run(root, "dvc", "init", "-q")
    run(root, "dvc", "add", "-q", "pictures")
    commits = [commit(root)]
    (root / "pictures").write_text(SECOND, encoding="utf-8")
    run(root, "dvc", "add", "-q", "pictures")
    commits.append(commit(root))
    return root, commits[0]


@pytest.mark.parametrize("is_relative", [True, False])
@pytest.mark.parametrize("is_committed", [True, False])
def test_data_are_pulled_from_a_folder_that_became_the_remote_later(
    first: tuple[Path, str], is_relative: bool, is_committed: bool, tmp_path: Path
) -> None:
    root, before = first
    store = tmp_path / "store"
    where = ["--local"] if not is_committed else []
    run(root, "dvc", "remote", "add", *where, "--default", "store", os.path.relpath(store, root) if is_relative else str(store))
    run(root, "git", "checkout", "-q", before, "--", "pictures.dvc")
    run(root, "dvc", "push", "-q")
    run(root, "git", "checkout", "-q", "HEAD", "--", "pictures.dvc")
    if is_committed:
        commit(root)
        run(tmp_path, "git", "clone", "-q", str(root), "clone")
        root = tmp_path / "clone"
    else:
        shutil.rmtree(root / ".dvc" / "cache")
    paths = Paths(root)

    copy = make_copy(paths, before, paths.scratch / "reproduce", cache_and_remotes(root)[0])

    assert _check_out(copy, "pictures.dvc") == ""
    assert (copy.root / "pictures").read_text(encoding="utf-8") == FIRST
    assert run(root, "git", "status", "--porcelain") in ("", "?? .checkpoints/")


def test_without_a_remote_that_is_said(first: tuple[Path, str]) -> None:
    root, before = first
    shutil.rmtree(root / ".dvc" / "cache")
    paths = Paths(root)

    copy = make_copy(paths, before, paths.scratch / "reproduce", cache_and_remotes(root)[0])

    assert _check_out(copy, "pictures.dvc") == "and there is no remote to pull them from"
