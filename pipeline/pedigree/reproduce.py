"""Builds a registered version again, in a clean copy of the project, and compares the bytes.

The stages that make a model run there: from the source if it still has the same images, else from the images as ingested, out of DVC's cache or remote.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError, StageError
from pipeline.files import sha256_file
from pipeline.paths import Paths
from pipeline.pedigree.clean_copy import led_by, make_copy, put_back, run_dvc
from pipeline.pedigree.data_at import COMMIT_TAG, Lock, cache_and_remotes, find_lock
from pipeline.pedigree.origin import Origin
from pipeline.processes import one_at_a_time
from pipeline.registry.recorded import DIFF, FOLDER
from pipeline.tracking.provenance import stages_of
from pipeline.tracking.run_log import RunRecord, Tracker
from pipeline.workspace.dvc_repro import reproduce as run_stage

STAGES_OF_A_MODEL = ("ingest", "preprocess", "train")
KEPT = (DIFF, "splits.csv", "classes.json", "known_images.csv")
LOCK_TIMEOUT_SECONDS = 60.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Rebuilt:
    """sha256: of the rebuilt model.keras. start: the first stage that ran. differs: what first came out differently, empty if nothing did."""

    sha256: str
    start: str
    differs: str
    seconds: float
    folder: Path


def rebuild(tracker: Tracker, paths: Paths, origin: Origin, say: Say) -> Rebuilt:
    """Run the stages that make the model in a copy; it is removed if the bytes are equal. Raises ConfigError if something needed is gone."""
    started = time.monotonic()
    folder = paths.scratch / "reproduce"
    with one_at_a_time("reproduce", paths.root, paths.scratch):
        kept = folder.with_name("reproduce-kept")
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        lock, files = _kept_files(tracker, paths, origin, kept)
        copy = make_copy(paths, _commit(origin), folder, cache_and_remotes(paths.root)[0])
        put_back(copy, files, lock.file)
        with led_by(copy):
            start = _bring_images(copy, say)
            for stage in STAGES_OF_A_MODEL[STAGES_OF_A_MODEL.index(start) :]:
                run_stage(stage, copy, say, LOCK_TIMEOUT_SECONDS, force=True)
        digest = sha256_file(copy.stage("train") / "model.keras")
        differs = "" if digest == origin.sha256 else _first_difference(lock, copy.dvc_lock)
        if digest == origin.sha256:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
    return Rebuilt(digest, start, differs, time.monotonic() - started, folder)


def named(origin: Origin) -> str:
    """The model in words."""
    return f"{origin.version.name} version {origin.version.version}" if origin.version else f"the model of {origin.asked}"


def outcome(origin: Origin, rebuilt: Rebuilt) -> str:
    """What came out. Raises StageError if the bytes are not those that were registered."""
    took = f"{rebuilt.seconds / 60:.1f} minutes" if rebuilt.seconds > 90 else f"{rebuilt.seconds:.0f} s"
    began = "its source" if rebuilt.start == "ingest" else "its images as ingested"
    if rebuilt.sha256 == origin.sha256:
        return f"{named(origin)} is rebuilt from {began}, in {took}: model.keras has the same bytes (sha256 {rebuilt.sha256})"
    raise StageError(
        f"{named(origin)} came out differently: model.keras has the sha256 {rebuilt.sha256[:12]}… instead of {origin.sha256[:12]}…. The first "
        f"difference: {rebuilt.differs}. Other packages, another processor or another device give other bytes; `pipeline trace` names the first and "
        f"the last. The copy is kept in {rebuilt.folder}."
    )


def expected_duration(run: RunRecord | None) -> str:
    """How long the fit will take, by the speed that its run had."""
    unknown = "how long the fit takes is not known, as its run is not recorded"
    if run is None:
        return unknown
    epochs, speed, images = run.steps.get("loss"), run.metrics.get("images_per_second"), run.params.get("train_images", "")
    if not epochs or not speed or not images.isdigit():
        return unknown
    seconds = epochs * int(images) / speed
    took = f"{seconds / 60:,.0f} minutes" if seconds > 90 else f"{max(seconds, 1):.0f} s"
    fit = f"{epochs} epochs of {int(images):,} images took about {took} on {run.tags.get('device', 'its device')}"
    return f"{fit}; reading the images comes on top"


def _commit(origin: Origin) -> str:
    tags: Mapping[str, str] = origin.version.tags if origin.version else origin.run.tags if origin.run else {}
    commit = tags.get(COMMIT_TAG, "")
    if not commit:
        raise ConfigError(
            f"{origin.asked} cannot be built again: the commit of its code was not recorded ({tags.get('git_error', 'unknown')})."
        )
    return commit


def _kept_files(tracker: Tracker, paths: Paths, origin: Origin, folder: Path) -> tuple[Lock, dict[str, Path]]:
    """dvc.lock and the other files kept with the version."""
    tags: Mapping[str, str] = {**(origin.run.tags if origin.run else {}), **(origin.version.tags if origin.version else {})}
    run_id = origin.run.id if origin.run else ""
    lock = find_lock(tracker, paths, run_id, tags, folder)
    if lock is None:
        raise ConfigError(
            f"{origin.asked} cannot be built again: its dvc.lock is neither kept with its run nor in a commit of this repository, so nothing says which "
            "data it was. `git fetch` may bring the commit."
        )
    found = {name: tracker.fetch_file(run_id, f"{FOLDER}/{name}", folder) for name in KEPT} if run_id else {}
    files = {name: file for name, file in found.items() if file is not None}
    if tags.get("git_dirty") == "true" and DIFF not in files:
        raise ConfigError(f"{origin.asked} cannot be built again: its code differed from the commit, and the difference was not kept.")
    return lock, files


def _bring_images(copy: Paths, say: Say) -> str:
    """The first stage that can run: `ingest` if the source is as it was, else `preprocess`, with the images as ingested."""
    for tracked in sorted(file for file in copy.root.rglob("*.dvc") if file.is_file()):
        _check_out(copy, str(tracked.relative_to(copy.root)))  # what fails here is found to have changed
    changed = _changed_inputs(copy)
    if not changed:
        say("The source has the same images as then: building from the source")
        return "ingest"
    say(f"Building from the images as ingested, as {', '.join(changed[:3])} has changed or is gone since")
    if fault := _check_out(copy, "ingest"):
        raise StageError(f"It cannot be built again: the images as ingested are not in DVC's cache, {fault}. The source has changed, too.")
    return "preprocess"


def _check_out(copy: Paths, target: str) -> str:
    """Check a target out of the cache, or pull it from the remote; why that failed, empty if it did not."""
    try:
        run_dvc(copy.root, "checkout", target)
    except StageError:
        if not run_dvc(copy.root, "remote", "list"):
            return "and there is no remote to pull them from"
        try:
            run_dvc(copy.root, "pull", target)
        except StageError as error:
            return f"and pulling them failed: {error}"
    return ""


def _changed_inputs(copy: Paths) -> list[str]:
    """The inputs of `ingest` that are not as dvc.lock says."""
    status = json.loads(run_dvc(copy.root, "status", "--json", "ingest") or "{}")
    changes = [entry["changed deps"] for entry in status.get("ingest", []) if isinstance(entry, dict) and "changed deps" in entry]
    return [str(path) for change in changes for path in change]


def _first_difference(before: Lock, after: Path) -> str:
    """The first output of a stage whose digest is another one."""
    earlier, later = before.entries, stages_of(after)
    for stage in STAGES_OF_A_MODEL:
        then = {str(out["path"]): out.get("md5") for out in earlier.get(stage, {}).get("outs", [])}
        now = {str(out["path"]): out.get("md5") for out in later.get(stage, {}).get("outs", [])}
        for path in then:
            if then[path] != now.get(path):
                return f"{path} of stage {stage}"
    return "the registered model differs from the model.keras that dvc.lock names"
