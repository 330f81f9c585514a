"""Where a run comes from, as tags: commit, versions of what decides the result, the pipeline's own lock. Reads git and dvc.lock, changes nothing."""

import hashlib
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from ruamel.yaml import YAML

PACKAGES = ("tensorflow", "keras", "numpy", "pillow", "scikit-learn")


def code_tags(root: Path) -> dict[str, str]:
    """Git commit and whether files differ from it, under the names that MLflow's UI shows; empty outside a git repository."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {}
    # dvc.lock, metrics and decisions are what a run itself writes
    changes = _git(root, "status", "--porcelain", "--", ".", ":!dvc.lock", ":!data/*/*.json")
    return {"mlflow.source.git.commit": commit, "git_dirty": str(bool(changes)).lower()}


def environment_tags() -> dict[str, str]:
    """Versions of Python and the packages that decide the result, and the name of the DVC experiment if there is one."""
    tags = {f"version.{name}": version(name) for name in PACKAGES}
    tags["version.python"] = platform.python_version()
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags["dvc_experiment"] = experiment
    return tags


def lock_digest(dvc_lock: Path, stages: tuple[str, ...]) -> str | None:
    """sha256 over what dvc.lock says of `stages`, the same for the same content whatever its layout; None where one is missing."""
    if not dvc_lock.is_file():
        return None
    entries = YAML(typ="safe", pure=True).load(dvc_lock.read_text(encoding="utf-8")).get("stages", {})
    if any(stage not in entries for stage in stages):
        return None
    text = json.dumps({stage: entries[stage] for stage in stages}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints, or None where it fails or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
