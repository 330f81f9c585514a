"""The data of a version by its dvc.lock: which files are in DVC's cache, and which remote may have the others. Asks no remote."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.config import Config
from dvc.config import ConfigError as Misconfigured

from pipeline.errors import ConfigError, StorageError
from pipeline.git import ask_git
from pipeline.paths import STAGES, Paths
from pipeline.registry.recorded import FOLDER
from pipeline.tracking.provenance import digest_of, stages_of
from pipeline.tracking.run_log import Tracker

LOCK = "dvc.lock"
COMMIT_TAG = "mlflow.source.git.commit"
UPSTREAM = STAGES[: STAGES.index("register")]
COMMITS_AFTER = 10


@dataclass(frozen=True)
class Lock:
    """The dvc.lock of a version: where it is, and its entries by stage."""

    file: Path
    entries: Mapping[str, Any]


def find_lock(tracker: Tracker, paths: Paths, run_id: str, tags: Mapping[str, str], folder: Path) -> Lock | None:
    """The dvc.lock of a version, copied into `folder`: kept with its run, or in a commit of this repository. None if it is in neither."""
    digest = tags.get("dvc_lock_digest", "")
    if run_id and (kept := tracker.fetch_file(run_id, f"{FOLDER}/{LOCK}", folder)) and (found := _read(kept, digest)):
        return found
    if not digest:
        return None
    if paths.dvc_lock.is_file() and (found := _read(paths.dvc_lock, digest)):
        return found
    file = folder / f"committed.{LOCK}"
    for commit in _commits_after(paths.root, tags.get(COMMIT_TAG, "")):
        file.write_text(ask_git(paths.root, "show", f"{commit}:./{LOCK}").text + "\n", encoding="utf-8")
        if found := _read(file, digest):
            return found
    return None


def missing_outputs(lock: Lock, cache: Path, stage: str) -> list[str]:
    """The outputs of a stage that DVC's cache does not have."""
    outs: list[Mapping[str, Any]] = lock.entries.get(stage, {}).get("outs", [])
    return [str(out["path"]) for out in outs if not _in_cache(cache, str(out.get("md5", "")))]


def cache_and_remotes(root: Path) -> tuple[Path, list[str]]:
    """DVC's cache of a project, wherever it is configured to be, and the names of its remotes. Raises ConfigError."""
    try:
        config = Config(dvc_dir=str(root / ".dvc"))
    except Misconfigured as error:
        raise ConfigError(f"DVC's configuration cannot be read: {error}. See .dvc/config and .dvc/config.local.") from None
    return Path(config["cache"].get("dir") or root / ".dvc" / "cache"), sorted(config["remote"])


def _commits_after(root: Path, commit: str) -> list[str]:
    """The first commits after this one that change dvc.lock: that of a run is committed after it."""
    if not commit:
        return []
    return ask_git(root, "log", "--all", "--reverse", "--format=%H", f"^{commit}", "--", LOCK).text.split()[:COMMITS_AFTER]


def _read(lock: Path, digest: str) -> Lock | None:
    """The entries of a dvc.lock if it has this digest, or any if it is empty."""
    try:
        entries = stages_of(lock)
    except StorageError:  # an earlier commit may hold conflict markers
        return None
    return Lock(lock, entries) if digest in ("", digest_of(entries, UPSTREAM)) else None


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
