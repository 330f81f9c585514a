"""The provenance of a run as tags: commit, package versions, digest of dvc.lock. Reads git and dvc.lock, changes nothing."""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import StorageError
from pipeline.git import ask_git
from pipeline.packages import version_of
from pipeline.paths import STAGES

PACKAGES = ("tensorflow", "keras", "numpy", "pillow", "scikit-learn")
WRITTEN_BY_A_RUN = ("dvc.lock", "data/splits.csv", "data/classes.json", "data/known_images.csv")


def code_tags(root: Path) -> dict[str, str]:
    """Git commit and whether code or parameters differ from it, under the names that MLflow's UI shows; `git_error` if git fails.

    Files that a run writes do not make it dirty: dvc.lock, the lists that `ingest` extends, the folders of the stages. `dvc_lock_digest` covers
    those. Untracked files count if they may be code.
    """
    commit = ask_git(root, "rev-parse", "--verify", "HEAD")
    if commit.fault:
        print(f"warning: the commit is not recorded: {commit.fault}. Fix: {commit.fix}.", file=sys.stderr)
        return {"git_error": commit.fault}
    by_a_run = [f":!{name}" for name in (*WRITTEN_BY_A_RUN, *(f"data/{stage}" for stage in STAGES))]
    edited = ask_git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *by_a_run)
    added = ask_git(root, "status", "--porcelain", "--untracked-files=normal", "--", "pipeline")
    tags = {"mlflow.source.git.commit": commit.text}
    if fault := edited.fault or added.fault:
        print(f"warning: uncommitted changes are not recorded: {fault}.", file=sys.stderr)
        return {**tags, "git_error": fault}
    return {**tags, "git_dirty": str(bool(edited.text or added.text)).lower()}


def environment_tags() -> dict[str, str]:
    """Versions of Python and of the packages that affect results, and the name of the DVC experiment, if any."""
    tags = {f"version.{name}": version_of(name) for name in PACKAGES}
    tags["version.python"] = platform.python_version()
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags["dvc_experiment"] = experiment
    return tags


def lock_digest(dvc_lock: Path, stages: tuple[str, ...]) -> str | None:
    """sha256 over the entries of `stages` in dvc.lock, independent of its layout; None if one is missing."""
    return digest_of(stages_of(dvc_lock), stages) if dvc_lock.is_file() else None


def digest_of(entries: Mapping[str, Any], stages: tuple[str, ...]) -> str | None:
    """The same, of entries that have been read."""
    if any(stage not in entries for stage in stages):
        return None
    text = json.dumps({stage: entries[stage] for stage in stages}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def stages_of(dvc_lock: Path) -> dict[str, Any]:
    """The entries of dvc.lock by stage. Raises StorageError if it cannot be read."""
    try:
        document = YAML(typ="safe", pure=True).load(dvc_lock.read_text(encoding="utf-8"))
        stages = (document or {}).get("stages", {})
    except (OSError, ValueError, YAMLError, AttributeError, RecursionError) as error:
        raise StorageError(
            f"{dvc_lock} cannot be read ({str(error).splitlines()[0] if str(error) else type(error).__name__}). If a merge has "
            "left conflict markers in it, run `git checkout --ours dvc.lock`, then run the same command again."
        ) from None
    return stages if isinstance(stages, dict) else {}
