"""The test images, and what registered versions answer to them: champion and anchor, each scored by its own code and files.

The answers of a version to a set of test images are kept in `.checkpoints/predictions/`, so that no version is scored twice on the same images.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dataset.shards import read_encoded_images, read_index_batches, read_rows, shard_files
from pipeline.errors import ModelError, StageError, StorageError
from pipeline.files import write_table
from pipeline.paths import Paths
from pipeline.registry.versions import CLASSES_TAG
from pipeline.tracking.lineage import MODEL_TAG
from pipeline.tracking.run_log import ModelVersion, Tracker

KEPT_ANSWERS = 20
"""Sets of answers that are kept; a set of 10,000 takes about 0.4 MB."""


@dataclass(frozen=True)
class TestImages:
    """The N test images in the order of data/ingest. `rows`: int (N,), their rows there. `sha256`, `labels`, `predicted`: text (N,), of the pixels,
    and class names, `predicted` by the new model. `groups`: int (N,), images that belong together. `digest`: of content and label of every image.
    """

    __test__ = False  # no test, whatever pytest makes of its name

    rows: np.ndarray
    sha256: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    groups: np.ndarray
    digest: str


def read_test_images(paths: Paths) -> TestImages:
    """The test images with the predictions in data/evaluate. Raises StageError if these are not of the images in data/ingest."""
    table = pq.read_table(paths.stage("evaluate") / "predictions.parquet", columns=["sha256", "label", "predicted"])
    sha256, labels, predicted = (np.array(table[name].to_pylist(), dtype=object) for name in table.column_names)
    rows, groups, found = _index_of_test(paths.stage("ingest"))
    if not np.array_equal(sha256, found):
        raise StageError(
            f"{paths.relative(paths.stage('evaluate') / 'predictions.parquet')} is not of the test images in "
            f"{paths.relative(paths.stage('ingest'))}. They are from different runs: `dvc repro` re-runs what is out of date."
        )
    return TestImages(rows, sha256, labels, predicted, groups, _digest(sha256, labels))


def answers_of(version: ModelVersion, images: TestImages, paths: Paths, tracker: Tracker) -> np.ndarray:
    """The class names, text (N,), that a version predicts for the test images: as kept, else asked now, and kept.

    Raises TrackingError if its files are gone or it cannot be loaded.
    """
    model = version.tags.get(MODEL_TAG)
    file = _kept_at(paths, images, model, version.tags.get(CLASSES_TAG, "")) if model else None
    if file and (kept := _read_kept(file)) is not None and not set(images.sha256.tolist()) - kept.keys():
        return np.array([kept[sha256] for sha256 in images.sha256], dtype=object)
    asked = ([image for image, _ in batch] for batch in read_encoded_images(paths.stage("ingest"), "test") if batch)
    predicted = np.array([label for labels in tracker.predict(version, asked) for label in labels], dtype=object)
    if len(predicted) != len(images.labels):
        raise ModelError(f"{version.name} version {version.version} gave {len(predicted):,} answers to {len(images.labels):,} images")
    if file:
        keep_answers(file, images, predicted)
    return predicted


def read_encoded(paths: Paths, rows: Iterable[int]) -> list[bytes]:
    """The encoded images in some rows of data/ingest, in the order of `rows`; no shard is read that has none of them."""
    wanted = [int(row) for row in rows]
    shards = shard_files(paths.stage("ingest") / "images.parquet")
    lengths = [pq.ParquetFile(shard).metadata.num_rows for shard in shards]
    found = read_rows(shards, lengths, wanted, "bytes")
    return [bytes(found[row]) for row in wanted]  # type: ignore[call-overload]


def keep_own_answers(images: TestImages, model_sha256: str, class_names: str, paths: Paths) -> None:
    """Keep the new model's answers, so that it need not be scored on the same images once it is the champion."""
    keep_answers(_kept_at(paths, images, model_sha256, class_names), images, images.predicted)


def keep_answers(file: Path, images: TestImages, predicted: np.ndarray) -> None:
    """Write one row per test image: sha256 of its pixels, its label, and the class predicted; the oldest of many files go."""
    write_table(file, answers_table(images, predicted))
    for old in sorted(file.parent.glob("*.parquet"), key=lambda found: found.stat().st_mtime)[:-KEPT_ANSWERS]:
        old.unlink(missing_ok=True)


def answers_table(images: TestImages, predicted: np.ndarray) -> pa.Table:
    """Answers as a table: sha256 of the pixels, label, predicted."""
    columns = {"sha256": images.sha256, "label": images.labels, "predicted": predicted}
    return pa.table({name: pa.array(values.tolist(), pa.string()) for name, values in columns.items()})


def _kept_at(paths: Paths, images: TestImages, model_sha256: str, class_names: str) -> Path:
    """Where answers are kept: by test images, network, and the class names it answers with."""
    key = hashlib.sha256(f"{images.digest} {model_sha256} {class_names}".encode()).hexdigest()
    return paths.scratch / "predictions" / f"{key}.parquet"


def _read_kept(file: Path) -> Mapping[str, str] | None:
    """The kept answers by sha256 of the pixels; None if there are none that can be read."""
    try:
        table = pq.read_table(file, columns=["sha256", "predicted"])
    except (OSError, pa.ArrowInvalid, KeyError):
        return None
    return dict(zip(table["sha256"].to_pylist(), table["predicted"].to_pylist(), strict=True))


def _index_of_test(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, group and sha256 of each test image in data/ingest."""
    rows, groups, sha256 = [], [], []
    start = 0
    for batch in read_index_batches(folder, ["sha256", "split", "group"]):
        here = np.flatnonzero(np.array(batch["split"].to_pylist(), dtype=object) == "test")
        rows.append(start + here)
        groups.append(batch["group"].to_numpy(zero_copy_only=False)[here])
        sha256.append(np.array(batch["sha256"].to_pylist(), dtype=object)[here])
        start += len(batch)
    if not rows:
        raise StorageError(f"{folder / 'index.parquet'} has no images. `dvc repro` runs the stage that makes it.")
    return np.concatenate(rows), np.concatenate(groups), np.concatenate(sha256)


def _digest(sha256: np.ndarray, labels: np.ndarray) -> str:
    """sha256 over content and label of every test image, in order of content."""
    rows = sorted(zip(sha256.tolist(), labels.tolist(), strict=True))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
