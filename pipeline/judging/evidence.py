"""What is kept of a comparison with the run of the new model, in its folder `register/`.

These are the champion's answers, a table of the images that one of two models gets right or that both get wrong in different ways, and a page with
pictures of them.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.csv_text import csv_text
from pipeline.errors import SourceError
from pipeline.files import read_json, write_bytes, write_table
from pipeline.images.decoding import MOST_PIXELS, decode
from pipeline.images.thumbnails import thumbnail
from pipeline.judging.rivals import TestImages, answers_table, read_encoded
from pipeline.paths import Paths
from pipeline.reports.flips_page import Flip, render_flips
from pipeline.tracking.run_log import Run

FOLDER = "register"
SHOWN = 24
"""Pictures of each kind on the page; the table has all."""
LOST, GAINED, CHANGED = KINDS = ("right to wrong", "wrong to right", "wrong to other wrong")
COLUMNS = ("kind", "path", "sha256", "label", "champion", "challenger")


def flips(images: TestImages, champion: np.ndarray) -> dict[str, np.ndarray]:
    """Which of the N test images changed, by kind: positions, int. champion: its answers, text (N,)."""
    right, was_right = images.predicted == images.labels, champion == images.labels
    kinds = (was_right & ~right, ~was_right & right, ~was_right & ~right & (champion != images.predicted))
    return dict(zip(KINDS, map(np.flatnonzero, kinds), strict=True))


def keep_evidence(log: Run, images: TestImages, champion: np.ndarray, decision: Mapping[str, Any], paths: Paths) -> None:
    """Log the evidence with a run. Raises TrackingError if that fails."""
    changed = flips(images, champion)
    names = _names(paths)
    page = render_flips(decision, flip_pictures(images, champion, changed, paths))
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / name for name in ("champion_answers.parquet", "flips.csv", "flips.html")}
        write_table(files["champion_answers.parquet"], answers_table(images, champion))
        write_bytes(files["flips.csv"], csv_text([COLUMNS, *_rows(images, champion, changed, names)]).encode())
        write_bytes(files["flips.html"], page.encode())
        for file in files.values():
            log.log_file(file, FOLDER)
        log.settle()


def flip_pictures(
    images: TestImages, champion: np.ndarray, changed: Mapping[str, np.ndarray], paths: Paths
) -> dict[str, tuple[int, Sequence[Flip]]]:
    """By kind, how many images changed, and some of them with a picture. changed: as `flips` gives it."""
    shown = {kind: spread(positions) for kind, positions in changed.items()}
    pictures = pictures_of(paths, images.rows[np.concatenate(list(shown.values()))])
    names = _names(paths)

    def flip(i: int) -> Flip:
        row = int(images.rows[i])
        return Flip(pictures.get(row), names[i], images.labels[i], champion[i], images.predicted[i])

    return {kind: (len(changed[kind]), [flip(int(i)) for i in positions]) for kind, positions in shown.items()}


def _names(paths: Paths) -> list[str]:
    """The paths of the test images."""
    return list(pq.read_table(paths.stage("evaluate") / "predictions.parquet", columns=["path"])["path"].to_pylist())


def _rows(images: TestImages, champion: np.ndarray, changed: Mapping[str, np.ndarray], names: list[str]) -> Iterable[tuple[str, ...]]:
    for kind, positions in changed.items():
        for i in positions:
            yield kind, names[i], images.sha256[i], images.labels[i], champion[i], images.predicted[i]


def spread(positions: np.ndarray) -> np.ndarray:
    """At most SHOWN of the positions, from all over the data set."""
    if len(positions) <= SHOWN:
        return positions
    return np.asarray(positions[np.linspace(0, len(positions) - 1, SHOWN).astype(int)])


def pictures_of(paths: Paths, rows: np.ndarray) -> dict[int, bytes]:
    """A thumbnail of the images in some rows of data/ingest, as far as they can be decoded."""
    most_pixels = read_json(paths.stage("preprocess") / "spec.json").get("max_pixels", MOST_PIXELS)
    pictures = {}
    for row, content in zip(rows.tolist(), read_encoded(paths, rows), strict=True):
        try:
            pictures[row] = thumbnail(decode(content, max_pixels=most_pixels, reduce_large_jpegs=True))
        except SourceError:
            continue  # the table has it all the same
    return pictures
