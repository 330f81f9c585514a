"""The first question of a run that nobody started: has enough changed?

In: the workspace. Out: yes or no, with the reason in one sentence. Where it cannot be known without reading the source, the answer is yes. Runs
nothing and opens no image, but for `pipeline drift` where `retrain.drift` asks for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath

from pipeline.drift import FEWEST
from pipeline.errors import PipelineError
from pipeline.listing.changes import have_linked_folders_changed
from pipeline.listing.listing import IMAGE_SUFFIXES
from pipeline.listing.remote import is_url
from pipeline.names import listed
from pipeline.params.reader import Config
from pipeline.params.retrain import Retrain
from pipeline.paths import Paths
from pipeline.quality.kinds import counted
from pipeline.unattended.drifted import find_differences
from pipeline.unattended.out_of_date import out_of_date
from pipeline.unattended.source_record import Changed, SourceRecord, compare, digest_in_lock, list_files, read_record

NAMED = 3


@dataclass(frozen=True)
class Worth:
    """Whether a run is worth it, and why, as a sentence without its full stop. is_postponed: something has changed, but not enough."""

    is_worth_it: bool
    why: str
    is_postponed: bool = False


def judge_worth(config: Config, paths: Paths, now: datetime | None = None) -> Worth:
    """Whether what has changed since the last run is worth one, by section `retrain` of the parameters."""
    if not paths.dvc_lock.is_file():
        return Worth(True, "there has been no run yet")
    try:
        stale = out_of_date(paths)
    except PipelineError as error:
        return Worth(True, f"what has changed could not be found out ({error})")
    source = config.source_path(paths.root)
    if not stale:
        if not is_url(config.ingest.source) and have_linked_folders_changed(source, paths.scratch):
            return Worth(True, "files behind links to folders in the source have changed")
        return Worth(False, "nothing has changed since the last run: neither images, parameters nor code")
    of_source = {config.ingest.source, str(source)}
    others = [cause for causes in stale.values() for cause in causes if cause not in of_source]
    if others:
        return Worth(True, f"{listed(list(dict.fromkeys(others)), NAMED)} changed")
    record, files = read_record(paths.scratch), None if is_url(config.ingest.source) else list_files(source)
    if record is None or record.source != str(source) or record.digest != digest_in_lock(paths, source) or files is None:
        return Worth(True, "the source has changed, and how much of it can be told only by reading it")
    changed = compare(record.files, files)
    found = by_files(changed, record, config.retrain, now or datetime.now(UTC))
    if not found.is_postponed or config.retrain.drift == "ignore":
        return found
    return by_drift(found, [source / path for path in (*changed.new, *changed.replaced)], paths)


def by_files(changed: Changed, record: SourceRecord, limits: Retrain, now: datetime) -> Worth:
    """Whether these files are enough. A file that is no image may hold many images, or their labels: one is enough."""
    every = [*changed.new, *changed.gone, *changed.replaced]
    told = ", ".join(
        f"{len(paths):,} {word}" for word, paths in (("new", changed.new), ("gone", changed.gone), ("replaced", changed.replaced)) if paths
    )
    if not every:
        return Worth(True, "the source has changed, but no file has another name, size or time")
    if others := [path for path in every if PurePath(path).suffix.lower() not in IMAGE_SUFFIXES]:
        return Worth(True, f"{listed(others, NAMED)} in the source changed")
    images = f"{counted(len(every), 'image', 'images')} changed ({told}) since {record.read_at:%Y-%m-%d}"
    if len(every) >= limits.min_new_images:
        return Worth(True, images)
    limit = f"fewer than {limits.min_new_images:,} (retrain.min_new_images)"
    if limits.max_days == "none":
        return Worth(False, f"{images}, {limit}", is_postponed=True)
    due = record.read_at + timedelta(days=limits.max_days)
    if now >= due:
        return Worth(True, f"{images}, {limit}, but that is {limits.max_days:g} days ago (retrain.max_days)")
    return Worth(False, f"{images}, {limit}; it runs with them from {due:%Y-%m-%d} on (retrain.max_days)", is_postponed=True)


def by_drift(found: Worth, images: Sequence[Path], paths: Paths) -> Worth:
    """What is postponed, unless these images look unlike the known ones."""
    if len(images) < FEWEST:
        return Worth(False, f"{found.why}; drift is looked for from {FEWEST} new images on (retrain.drift)", is_postponed=True)
    try:
        differences = find_differences(images, paths)
    except PipelineError as error:
        return Worth(True, f"{found.why}, but whether they look new could not be told (retrain.drift: {str(error).rstrip('.')})")
    if differences:
        return Worth(
            True, f"{found.why}, but the new ones differ from the known ones in {listed(differences, len(differences))} (retrain.drift)"
        )
    return Worth(False, f"{found.why}; the new ones look like the known ones (retrain.drift)", is_postponed=True)
