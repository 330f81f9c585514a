"""Writes data/register/changes.html and changes.json, and logs them with the version: made once for a decision, then taken from its run."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.changes.found import Changes, as_json, find_changes
from pipeline.changes.page import NewImage, Relabelled, render_changes
from pipeline.files import read_json, write_bytes, write_json
from pipeline.judging.evidence import flip_pictures, pictures_of, spread
from pipeline.judging.rivals import TestImages
from pipeline.paths import Paths
from pipeline.tracking.run_log import ModelVersion, Run, Tracker

FOLDER = "register"
PAGE, NUMBERS = FILES = ("changes.html", "changes.json")
SHOWN = 12


def keep_changes(
    decision: Mapping[str, Any], sentence: str, version: ModelVersion, run: Run, images: TestImages, paths: Paths, tracker: Tracker
) -> None:
    """Write both files. Raises TrackingError if what was kept with the champion, or with this version, cannot be read or written."""
    folder = paths.stage("register")
    if _fetch(decision, sentence, run, folder, tracker):
        return
    rival = (decision.get("champion") or {}).get("version")
    names = list(read_json(paths.stage("preprocess") / "spec.json")["class_names"])
    found = find_changes(rival, version, run, images, paths, tracker, names) if rival else None
    write_json(folder / NUMBERS, as_json(found, decision, sentence))
    named = {**decision, "reason": str(decision["reason"]).replace("promote VERSION", f"promote {version.version}")}
    write_bytes(folder / PAGE, _page(found, named, sentence, images, paths).encode())
    for name in FILES:
        run.log_file(folder / name, FOLDER)
    run.settle()


def _fetch(decision: Mapping[str, Any], sentence: str, run: Run, folder: Path, tracker: Tracker) -> bool:
    """Write what is kept with the run if it is about the same decision; whether it is."""
    with tempfile.TemporaryDirectory() as kept:
        files = [tracker.fetch_file(run.id, f"{FOLDER}/{name}", Path(kept)) for name in FILES]
        if None in files:
            return False
        said = read_json(Path(kept) / NUMBERS)
        if said["decision"] != json.loads(json.dumps(decision)) or said["sentence"] != sentence:
            return False
        for file in filter(None, files):
            write_bytes(folder / file.name, file.read_bytes())
    return True


def _page(found: Changes | None, decision: Mapping[str, Any], sentence: str, images: TestImages, paths: Paths) -> str:
    if found is None:
        return render_changes(None, decision, sentence, {}, [], [])
    flipped = flip_pictures(images, found.answers, found.flips, paths)
    return render_changes(found, decision, sentence, flipped, _newest(found, paths), _relabelled(found, paths))


def _newest(found: Changes, paths: Paths) -> Sequence[NewImage]:
    """The images that look newest, as pictures."""
    return [NewImage(picture, path, label) for picture, path, label in _shown(found.drift.newest[:SHOWN], paths)] if found.drift else []


def _relabelled(found: Changes, paths: Paths) -> Sequence[Relabelled]:
    """Some of the images with another label, as pictures."""
    if not found.data or not found.data.relabelled or found.before is None:
        return []
    index = pq.read_table(paths.stage("ingest") / "index.parquet", columns=["sha256"])["sha256"].to_pylist()
    place = {sha256: row for row, sha256 in enumerate(index)}
    chosen = [found.data.relabelled[i] for i in spread(np.arange(len(found.data.relabelled))).tolist()]
    shown = _shown(np.array([place[sha256] for sha256 in chosen]), paths)
    return [
        Relabelled(picture, path, found.before[sha256].label, label) for sha256, (picture, path, label) in zip(chosen, shown, strict=True)
    ]


def _shown(rows: np.ndarray, paths: Paths) -> list[tuple[bytes | None, str, str]]:
    """(thumbnail, path, label) of the images in some rows of data/ingest."""
    table = pq.read_table(paths.stage("ingest") / "index.parquet", columns=["path", "label"]).take(rows)
    pictures = pictures_of(paths, rows)
    names, labels = (table[name].to_pylist() for name in ("path", "label"))
    return [(pictures.get(row), name, label) for row, name, label in zip(rows.tolist(), names, labels, strict=True)]
