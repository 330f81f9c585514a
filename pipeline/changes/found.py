"""Everything that changed since the champion, put together, and as JSON. Asks the tracker for what was kept with the champion's run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.changes.answers import Paired, per_class
from pipeline.changes.data import DataChanges, Yardstick, compare_images, compare_yardstick
from pipeline.changes.image_list import Placed, by_content, current_images, images_of
from pipeline.changes.new_images import drift_of_new
from pipeline.changes.settings import CodeChanges, compare_code, compare_params
from pipeline.drift.verdict import Drift
from pipeline.drift.words import Line, lines, verdict
from pipeline.errors import TrackingError
from pipeline.judging.evidence import flips
from pipeline.judging.rivals import TestImages, answers_of
from pipeline.paths import Paths
from pipeline.tracking.run_log import ModelVersion, Run, Tracker

LISTED = 1000
"""Images of each kind in the JSON; the page says how many there are."""


@dataclass(frozen=True)
class DriftOfNew:
    """Drift of the images that are new, and the rows in data/ingest of those that look newest, int (M,)."""

    drift: Drift
    newest: np.ndarray
    verdict: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Changes:
    """What differs from the champion `version`. before: its images, None if they were not recorded, like data, yardstick and drift, and params.

    too_few: whether there are too few new images to say more. flips: positions of test images, int, by kind.
    """

    version: str
    before: Mapping[str, Placed] | None
    data: DataChanges | None
    yardstick: Yardstick | None
    params: Sequence[tuple[str, str, str]] | None
    code: CodeChanges
    classes: Sequence[Paired]
    answers: np.ndarray
    flips: Mapping[str, np.ndarray]
    drift: DriftOfNew | None


def find_changes(
    champion: str, version: ModelVersion, run: Run, images: TestImages, paths: Paths, tracker: Tracker, class_names: Sequence[str]
) -> Changes:
    """What differs between `version`, which has `run`, and the champion with this number. Raises TrackingError if that cannot be read."""
    rival = tracker.version(version.name, champion)
    if rival is None:
        raise TrackingError(
            f"{version.name} has no version {champion} any more, with which version {version.version} was compared. Restore it."
        )
    answers = answers_of(rival, images, paths, tracker)
    before = images_of(tracker, rival)
    its_run = tracker.read_run(rival.run_id) if rival.run_id else None
    known = np.isin(images.labels, list(class_names))
    return Changes(
        champion,
        before,
        compare_images(before, by_content(current_images(paths))) if before is not None else None,
        compare_yardstick(before, images.sha256.tolist(), images.labels, answers, images.predicted) if before is not None else None,
        compare_params(its_run.params, run.params) if its_run else None,
        compare_code(rival.tags, version.tags, paths.root),
        per_class(images.labels[known], answers[known], images.predicted[known], images.groups[known]),
        answers,
        flips(images, answers),
        _drift(before, paths, class_names) if before is not None else None,
    )


def _drift(before: Mapping[str, Placed], paths: Paths, class_names: Sequence[str]) -> DriftOfNew | None:
    found = drift_of_new(before, paths)
    if found is None:
        return None
    drift, rows = found
    return DriftOfNew(drift, rows[drift.newest], verdict(drift), lines(drift, (), class_names))


def as_json(found: Changes | None, decision: Mapping[str, Any], sentence: str) -> dict[str, Any]:
    """For changes.json. found: None if there was no champion to compare with."""
    said = {"sentence": sentence, "decision": dict(decision), "champion": found.version if found else None}
    if found is None:
        return said
    data = found.data
    return {
        **said,
        "images": asdict(data) | {name: getattr(data, name)[:LISTED] for name in ("added", "removed", "relabelled")} if data else None,
        "counts": {name: len(getattr(data, name)) for name in ("added", "removed", "relabelled")} if data else None,
        "yardstick": asdict(found.yardstick) if found.yardstick else None,
        "parameters": None if found.params is None else {name: {"before": old, "now": new} for name, old, new in found.params},
        "code": asdict(found.code),
        "classes": [
            {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(row).items()} for row in found.classes
        ],
        "flips": {kind: len(positions) for kind, positions in found.flips.items()},
        "drift": {"verdict": found.drift.verdict, "alarms": list(found.drift.drift.alarms)} if found.drift else None,
    }
