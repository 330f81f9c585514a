"""A clean copy of the project at the commit of a version, with the files that were kept with it; it shares DVC's cache and nothing else.

A clone that borrows the objects of this repository: nothing is left in it, even if this is killed. The copy has its own MLflow store.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc.config import Config
from dvc.config_schema import RelPath

from pipeline.errors import ConfigError, StageError
from pipeline.git import ask_git
from pipeline.paths import Paths
from pipeline.registry.recorded import DIFF

ELSEWHERE = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_RUN_ID",
    "DVC_EXP_NAME",
    "DVC_STAGE",
    "DVC_ROOT",
)
"""Variables that would lead the copy to the team's registry, or to another run."""


def make_copy(paths: Paths, commit: str, folder: Path, cache: Path) -> Paths:
    """The workspace of the copy in `folder`, which is replaced. Raises StageError if git or DVC cannot make it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    top = ask_git(paths.root, "rev-parse", "--show-toplevel")
    within = ask_git(paths.root, "rev-parse", "--show-prefix")
    if fault := top.fault or within.fault:
        raise ConfigError(f"The project cannot be copied: {fault}.")
    _run(["git", "clone", "--quiet", "--shared", "--no-checkout", top.text, str(folder)], paths.root)
    _run(["git", "-C", str(folder), "checkout", "--quiet", "--detach", commit], paths.root)
    root = folder / within.text
    if not (root / "dvc.yaml").is_file():
        raise StageError(f"Commit {commit[:12]} has no dvc.yaml in {within.text or 'its top folder'}, so it cannot be run.")
    local = paths.root / ".dvc" / "config.local"
    if local.is_file():
        shutil.copy(local, root / ".dvc" / "config.local")
    _share_stores(paths.root, root, cache)
    return Paths(root)


def _share_stores(project: Path, copy: Path, cache: Path) -> None:
    """Let the copy use the project's cache and the remotes that the project has now: the commit may know others, or folders relative to the project.

    Folders are linked: DVC cannot write a path with letters beyond ASCII into its configuration.
    """
    cache.mkdir(parents=True, exist_ok=True)  # a new clone has none yet
    known = Config(dvc_dir=str(project / ".dvc"), validate=False)

    def linked(name: str, folder: str | Path) -> Any:
        (copy / ".dvc" / name).symlink_to(folder)
        return RelPath(copy / ".dvc" / name)

    with Config(dvc_dir=str(copy / ".dvc")).edit("local") as own:
        own.setdefault("cache", {})["dir"] = linked("cache-of-the-project", cache)
        for number, (name, options) in enumerate(known.get("remote", {}).items()):
            url = str(options["url"])
            own.setdefault("remote", {})[name] = {**options, "url": url if "://" in url else linked(f"remote-{number}", url)}
        if default := known.get("core", {}).get("remote"):
            own.setdefault("core", {})["remote"] = default


def put_back(copy: Paths, kept: dict[str, Path], lock: Path) -> None:
    """Put what was kept with a version into its copy: uncommitted changes, then the lists of `ingest`, then dvc.lock."""
    if difference := kept.get(DIFF):
        _run(["git", "-C", str(copy.root), "apply", "--whitespace=nowarn", str(difference)], copy.root)
    for target in (copy.ledger, copy.classes, copy.known_images):
        if file := kept.get(target.name):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    shutil.copy(lock, copy.dvc_lock)


def run_dvc(root: Path, *arguments: str) -> str:
    """The output of a DVC command in a copy. Raises StageError with its reason."""
    return _run([sys.executable, str(Path(sys.executable).with_name("dvc")), *arguments], root)


@contextlib.contextmanager
def led_by(copy: Paths) -> Iterator[None]:
    """In this block, processes find the copy's code first and neither the team's registry nor another run."""
    before = dict(os.environ)
    for name in ELSEWHERE:
        os.environ.pop(name, None)
    os.environ["PYTHONPATH"] = str(copy.root)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = next(
            (line for line in reversed(said) if line.startswith(("ERROR", "error", "fatal"))), said[-1] if said else "it said nothing"
        )
        name = "git" if command[0] == "git" else "dvc"
        raise StageError(f"{name}: {reason.removeprefix('ERROR: ').removeprefix('fatal: ').removeprefix('error: ')}")
    return done.stdout.strip()
