"""The images of a registered version by content, kept with its run: what was in the data set, under which label, on which side."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.files import write_table
from pipeline.paths import Paths
from pipeline.tracking.run_log import ModelVersion, Run, Tracker

FOLDER, FILE = "register", "images.parquet"
COLUMNS = ["sha256", "label", "split"]


class Placed(NamedTuple):
    """The label of an image, and its split."""

    label: str
    split: str


def current_images(paths: Paths) -> pa.Table:
    """sha256, label and split of the images that this project uses, in the order of data/ingest."""
    table = pq.read_table(paths.stage("ingest") / "index.parquet", columns=COLUMNS)
    return table.filter(pc.is_valid(table["split"]))


def log_images(run: Run, paths: Paths) -> None:
    """Log the list with a run."""
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder) / FILE, current_images(paths))
        run.log_file(Path(folder) / FILE, FOLDER)
        run.settle()


def images_of(tracker: Tracker, version: ModelVersion) -> Mapping[str, Placed] | None:
    """The images of a version by sha256 of their pixels; None if none were recorded with it. Raises TrackingError if that cannot be asked."""
    if not version.run_id:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = tracker.fetch_file(version.run_id, f"{FOLDER}/{FILE}", Path(folder))
        return by_content(pq.read_table(file)) if file else None


def by_content(table: pa.Table) -> dict[str, Placed]:
    """The same images once each."""
    columns = (table[name].to_pylist() for name in COLUMNS)
    return {sha256: Placed(label, split) for sha256, label, split in zip(*columns, strict=True)}
