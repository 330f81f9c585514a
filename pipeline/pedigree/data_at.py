"""The data of a version by its dvc.lock: which files are in DVC's cache, and which remote may have the others. Asks no remote."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, StorageError
from pipeline.git import ask_git
from pipeline.paths import STAGES, Paths
from pipeline.registry.recorded import FOLDER
from pipeline.tracking.provenance import lock_digest, stages_of
from pipeline.tracking.run_log import Tracker

LOCK = "dvc.lock"
COMMIT_TAG = "mlflow.source.git.commit"
UPSTREAM = STAGES[: STAGES.index("register")]
COMMITS_AFTER = 10


def find_lock(tracker: Tracker, paths: Paths, run_id: str, tags: Mapping[str, str], folder: Path) -> Path | None:
    """The dvc.lock of a version, copied into `folder`: kept with its run, or in a commit of this repository. None if it is in neither."""
    digest = tags.get("dvc_lock_digest", "")
    if run_id and (kept := tracker.fetch_file(run_id, f"{FOLDER}/{LOCK}", folder)) and digest in ("", _digest(kept)):
        return kept
    if not digest:
        return None
    if paths.dvc_lock.is_file() and _digest(paths.dvc_lock) == digest:
        return paths.dvc_lock
    file = folder / f"committed.{LOCK}"
    for commit in _commits_after(paths.root, tags.get(COMMIT_TAG, "")):
        file.write_text(ask_git(paths.root, "show", f"{commit}:./{LOCK}").text + "\n", encoding="utf-8")
        if _digest(file) == digest:
            return file
    return None


def _commits_after(root: Path, commit: str) -> list[str]:
    """The first commits after this one that change dvc.lock: that of a run is committed after it."""
    if not commit:
        return []
    return ask_git(root, "log", "--all", "--reverse", "--format=%H", f"^{commit}", "--", LOCK).text.split()[:COMMITS_AFTER]


def _digest(lock: Path) -> str | None:
    try:
        return lock_digest(lock, UPSTREAM)
    except StorageError:  # an earlier commit may hold conflict markers
        return None


def missing_outputs(lock: Path, cache: Path, stage: str) -> list[str]:
    """The outputs of a stage that DVC's cache does not have."""
    outs: list[Mapping[str, Any]] = stages_of(lock).get(stage, {}).get("outs", [])
    return [str(out["path"]) for out in outs if not _in_cache(cache, str(out.get("md5", "")))]


def cache_folder(root: Path) -> Path:
    """DVC's cache of a project, wherever it is configured to be."""
    return Path(root, _dvc(root, "cache", "dir"))


def remotes(root: Path) -> list[str]:
    """The names of DVC's remotes."""
    return [line.split()[0] for line in _dvc(root, "remote", "list").splitlines() if line.strip()]


def _in_cache(cache: Path, md5: str) -> bool:
    file = cache / "files" / "md5" / md5[:2] / md5[2:]
    if not md5 or not file.is_file():
        return False
    return not md5.endswith(".dir") or all(_in_cache(cache, inside) for inside in _digests(file))


def _digests(directory: Path) -> Iterator[str]:
    try:
        entries = json.loads(directory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        yield ""
        return
    for entry in entries:
        yield str(entry.get("md5", ""))


def _dvc(root: Path, *arguments: str) -> str:
    dvc = Path(sys.executable).with_name("dvc")
    done = subprocess.run(
        [sys.executable, str(dvc), *arguments], cwd=root, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        said = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason given")
        raise ConfigError(f"`dvc {' '.join(arguments)}` failed in {root}: {said.removeprefix('ERROR: ')}")
    return done.stdout.strip()
