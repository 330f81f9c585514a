"""What of a model's origin is gone, so that it cannot be rebuilt any more or not exactly: one sentence each."""

import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from pipeline.git import ask_git
from pipeline.packages import version_of
from pipeline.paths import Paths
from pipeline.pedigree.data_at import COMMIT_TAG, cache_and_remotes, find_lock, missing_outputs
from pipeline.pedigree.origin import Origin
from pipeline.registry.recorded import DIFF, FOLDER
from pipeline.tracking.run_log import Tracker


def what_is_gone(tracker: Tracker, paths: Paths, origin: Origin, tags: Mapping[str, str]) -> list[str]:
    """The sentences; none if all is there. Raises TrackingError if MLflow cannot say."""
    run_id = origin.run.id if origin.run else ""
    with tempfile.TemporaryDirectory() as folder:
        found = [
            *_model(tracker, origin),
            *_code(tracker, paths.root, run_id, tags, Path(folder)),
            *_source(paths, tags.get("source", "")),
            *_data(tracker, paths, run_id, tags, Path(folder)),
        ]
    return found + _packages(tags)


def _model(tracker: Tracker, origin: Origin) -> list[str]:
    found = []
    if origin.version and not tracker.has_files(origin.version):
        found.append("model: its files are gone from MLflow's artifact store; it can be rebuilt, but not loaded")
    if origin.run is None:
        found.append("run: MLflow has no run of it any more, so parameters, curves and kept files are gone")
    elif origin.run.is_deleted:
        found.append(
            f"run: it is in MLflow's trash, and `mlflow gc` would remove its files for good; `mlflow runs restore --run-id {origin.run.id}` restores it"
        )
    return found


def _code(tracker: Tracker, root: Path, run_id: str, tags: Mapping[str, str], folder: Path) -> list[str]:
    commit = tags.get(COMMIT_TAG, "")
    if not commit:
        return [f"code: the commit was not recorded: {tags.get('git_error', 'the version is older than that record')}"]
    found = []
    there = ask_git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    if there.fault:
        where = tags.get("git_remote", "")
        fetch = f"; `git fetch` from {where} may bring it" if where and not where.startswith("none") else ""
        found.append(f"code: commit {commit[:12]} is not in this repository{fetch}")
    elif ask_git(root, "remote").text and _is_unpushed(root, commit):
        found.append(f"code: commit {commit[:12]} is in this clone only: push it before the clone is deleted")
    if tags.get("git_dirty") == "true" and not (run_id and tracker.fetch_file(run_id, f"{FOLDER}/{DIFF}", folder)):
        found.append(f"code: it differed from commit {commit[:12]} when the model was made, and the difference was not kept")
    return found


def _is_unpushed(root: Path, commit: str) -> bool:
    """Whether no branch of a remote has the commit, as far as this clone knows."""
    branches = ask_git(root, "branch", "--remotes", "--contains", commit)
    return not branches.fault and not branches.text


def _source(paths: Paths, source: str) -> list[str]:
    """A source on this machine that does not exist any more."""
    if not source or "://" in source or (paths.root / source).exists():
        return []
    return [f"source: {source} does not exist any more; the images as ingested take its place"]


def _data(tracker: Tracker, paths: Paths, run_id: str, tags: Mapping[str, str], folder: Path) -> list[str]:
    lock = find_lock(tracker, paths, run_id, tags, folder)
    if lock is None:
        return ["data: its dvc.lock is neither kept with the run nor in a commit of this repository, so nothing says which data it was"]
    cache, names = cache_and_remotes(paths.root)
    missing = missing_outputs(lock, cache, "ingest")
    if not missing:
        return []
    pull = f"; remote {', '.join(names)} may have them (`pipeline reproduce` asks it)" if names else ", and there is no DVC remote"
    return [f"data: its images as ingested ({', '.join(missing[:2])}) are not in DVC's cache{pull}"]


def _packages(tags: Mapping[str, str]) -> list[str]:
    differing = []
    for name, recorded in sorted(tags.items()):
        package = name.removeprefix("version.")
        if package == name or package == "python":
            continue
        try:
            now = version_of(package)
        except PackageNotFoundError:
            now = "none"
        if now != recorded:
            differing.append(f"{package} {recorded} (now {now})")
    return [f"packages: made with {', '.join(differing)}; the same bytes are not to be expected"] if differing else []
