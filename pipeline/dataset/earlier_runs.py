"""What `ingest` knows about a data set from earlier runs, what it does about changes, and what it records for the next run."""

import sys
from typing import Literal

import numpy as np

from pipeline.dataset.judged import Judged
from pipeline.dataset.ledger import (
    known_images,
    known_range,
    known_sides,
    read_ledger,
    record_classes,
    record_known_images,
    recorded_classes,
    recorded_names,
)
from pipeline.dataset.moved_images import Moved, keys_by_class
from pipeline.dataset.pixel_findings import range_of
from pipeline.dataset.splits import ALWAYS_TEST, ALWAYS_TRAIN
from pipeline.listing.records import Source
from pipeline.names import listed, shown
from pipeline.params.ingest import Ingest
from pipeline.paths import Paths
from pipeline.quality.class_checks import ClassProblem
from pipeline.quality.continuity import Changes, Recorded, refuse_unconfirmed, unknown_confirmations
from pipeline.quality.value_range import other_range

MOST_NAMED = 2


def read_recorded(source: Source, paths: Paths) -> Recorded:
    """What earlier runs recorded about the source; if it orders its classes itself, the classes of its last run."""
    known = known_images(paths.known_images, source.name)
    images = np.concatenate([np.empty(0, np.uint64), *known.values()])
    if source.class_names is None:
        return Recorded(recorded_classes(paths.classes, source.name), images, paths.relative(paths.classes))
    return Recorded(list(known), images, paths.relative(paths.known_images))


def not_recorded(name: str, paths: Paths) -> str:
    """That a data set is a new one, if only others are recorded, perhaps the same one under another name; else empty."""
    recorded = recorded_names(paths.classes, paths.known_images)
    if not recorded or name in recorded:
        return ""
    return (
        f"nothing is recorded under the name {shown(name)}: a new data set, unless it is one of {listed(recorded, MOST_NAMED)} under another "
        "name: then give its folder or file that name"
    )


def what_decided(name: str, paths: Paths) -> Literal["source", "group", "pipeline", ""]:
    """What decided the split of most recorded images of a data set in its last run; empty if that is not recorded."""
    keys = np.concatenate([np.empty(0, np.uint64), *known_images(paths.known_images, name).values()])
    sides = np.array(list(known_sides(paths.known_images, name).values()), np.uint64)
    by_source = int(((sides == ALWAYS_TEST) | (sides == ALWAYS_TRAIN)).sum())
    by_pipeline, _ = read_ledger(paths.ledger).find(keys)
    if not len(keys):
        return ""
    if 2 * by_source > len(keys):
        return "source"
    if 2 * len(sides) > len(keys):
        return "group"
    return "pipeline" if 2 * by_pipeline.sum() > len(keys) else ""


def class_problems(changes: Changes) -> list[ClassProblem]:
    """The changes as findings: the unconfirmed classes if there are any, else the confirmed ones."""
    problems = [ClassProblem("removed_class", (name,), "had images in earlier runs") for name in changes.unconfirmed or changes.removed]
    if changes.replaced and changes.shared:
        problems.append(ClassProblem("replaced_images", (), f"none of {changes.replaced:,} images of the last run is there"))
    return problems


def refuse_changes(changes: Changes, judged: Judged, policies: Ingest) -> None:
    """Raise SourceError if classes or all images are gone and params.yaml does not confirm it."""
    for line in unknown_confirmations(changes, policies.removed_classes):
        print(f"warning: {line}", file=sys.stderr)
    refuse_unconfirmed(changes, judged.images.labels, policies.removed_classes, policies.replaced_images)


def tell_other_range(judged: Judged, name: str, paths: Paths) -> None:
    """Print that unchanged images come out otherwise than in the last run, since the range of values is another one."""
    before, now = known_range(paths.known_images, name), range_of(judged)
    if before and now and (told := other_range(before, now)):
        print(f"ingest: {told}", file=sys.stderr)


def record(source: Source, recorded: Recorded, changes: Changes, judged: Judged, moved: Moved, paths: Paths) -> None:
    """Record the classes, unless the source orders them itself, some kept images of each class with what decided their split, and the range of values."""
    if source.class_names is None:
        record_classes(paths.classes, source.name, [*recorded.classes, *changes.new])
    value_range = range_of(judged)
    record_known_images(paths.known_images, source.name, keys_by_class(judged), moved.sides, value_range[:2] if value_range else None)
