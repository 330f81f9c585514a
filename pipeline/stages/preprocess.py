"""Decode, orient and resize every image into packed arrays, assign folds, and draw what augmentation does."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.config import Config, Preprocess, Scalar
from pipeline.errors import SourceError
from pipeline.ml.augment import erase, sample_boxes, sample_transforms, warp
from pipeline.ml.images import ImageSpec, encoded_to_inputs
from pipeline.ml.pictures import augmented_samples
from pipeline.ml.splits import stratified_folds
from pipeline.parallel import parallel_map
from pipeline.paths import Paths
from pipeline.progress import Progress
from pipeline.stores.arrays import packed_array, read_array, write_array
from pipeline.stores.files import empty_folder, read_json, write_bytes, write_json, write_table
from pipeline.stores.shards import BATCH_ROWS, read_batches

LARGEST_AUTO_PX = 96
SMALLEST_AUTO_PX = 32
STEP_AUTO_PX = 8
BATCH_BYTES = 16 * 2**20
PREVIEW_ROWS = 6
PREVIEW_COLUMNS = 8
PACKED_AS = {"train": "train", "validation": "train", "test": "test"}


def run(config: Config, paths: Paths, tracker: object) -> Mapping[str, Scalar]:
    """Write data/preprocess/: packed arrays, indexes with folds, spec.json, augmented.png. Reports counts and size."""
    report = read_json(paths.stage("ingest") / "report.json")
    spec = image_spec(config.preprocess, report)
    parts = _parts(paths, report["class_names"])
    folds = _folds(parts["train"].labels, config, report["class_names"])
    folder = empty_folder(paths.stage("preprocess"))
    _pack(spec, parts, paths)
    _write_indexes(folder, parts, folds)
    write_json(folder / "spec.json", {**asdict(spec), **_described(report)})
    write_bytes(folder / "augmented.png", _preview(config, parts["train"].labels, read_array(folder / "train" / "images.npy"), report))
    counts = {name: len(part.labels) for name, part in parts.items()}
    return {**counts, "size": f"{spec.height} x {spec.width} x {spec.channels}", "folds": config.cross_validate.folds}


def image_spec(preprocess: Preprocess, report: Mapping[str, Any]) -> ImageSpec:
    """What the network takes; `auto` is decided by what `ingest` found."""
    channels = preprocess.channels if preprocess.channels != "auto" else (1 if report["grey"] else 3)
    height, width = preprocess.image_size if preprocess.image_size != "auto" else _auto_size(report["sizes_px"])
    return ImageSpec(height, width, channels, preprocess.resize)


def _auto_size(sizes: Mapping[str, Any]) -> tuple[int, int]:
    """The common (height, width) of small images, else a square of their median longer side."""
    (least_width, _, most_width), (least_height, _, most_height) = sizes["width"], sizes["height"]
    common = (least_width, least_height) == (most_width, most_height)
    if common and min(least_width, least_height) >= 8 and max(most_width, most_height) <= LARGEST_AUTO_PX:
        return least_height, least_width
    side = round(sizes["median_longer_side"] / STEP_AUTO_PX) * STEP_AUTO_PX
    side = min(max(side, SMALLEST_AUTO_PX), LARGEST_AUTO_PX)
    return side, side


@dataclass(frozen=True)
class _Part:
    """The images of one packed array, as far as they are not pixels.

    rows: int64 (N,), where they are in the shards, rising. labels: int32 (N,). validation: bool (N,). index: columns path and sha256.
    """

    rows: np.ndarray
    labels: np.ndarray
    validation: np.ndarray
    index: pa.Table


def _parts(paths: Paths, class_names: Sequence[str]) -> dict[str, _Part]:
    """What the shards hold, by the array that it goes to."""
    table = pa.Table.from_batches(read_batches(paths.stage("ingest") / "images.parquet", ["path", "label", "split", "sha256"]))
    splits = np.array(table["split"].to_pylist())
    numbers = {name: i for i, name in enumerate(class_names)}
    labels = np.array([numbers[name] for name in table["label"].to_pylist()], np.int32)
    parts = {}
    for name in ("train", "test"):
        rows = np.flatnonzero(np.isin(splits, [split for split, packed_as in PACKED_AS.items() if packed_as == name]))
        parts[name] = _Part(rows, labels[rows], splits[rows] == "validation", table.select(["path", "sha256"]).take(rows))
    return parts


def _pack(spec: ImageSpec, parts: Mapping[str, _Part], paths: Paths) -> None:
    """Decode everything into data/preprocess/{train,test}/images.npy, in the order of the shards."""
    shape = (spec.height, spec.width, spec.channels)
    with ExitStack() as open_files, Progress("preprocess", sum(len(part.rows) for part in parts.values()), "images") as progress:
        arrays = {
            name: open_files.enter_context(packed_array(paths.stage("preprocess") / name / "images.npy", (len(part.rows), *shape), "uint8"))
            for name, part in parts.items()
        }
        first = 0
        for images in parallel_map(partial(encoded_to_inputs, spec=spec), _encoded(spec, paths)):
            for name, part in parts.items():
                here = slice(*np.searchsorted(part.rows, [first, first + len(images)]))
                arrays[name][here] = images[part.rows[here] - first]
            first += len(images)
            progress.advance(len(images))


def _encoded(spec: ImageSpec, paths: Paths) -> Iterator[list[bytes]]:
    """The encoded images of the shards, as many at a time as take some megabytes once decoded."""
    rows = max(1, min(BATCH_ROWS, BATCH_BYTES // (spec.height * spec.width * spec.channels)))
    for batch in read_batches(paths.stage("ingest") / "images.parquet", ["bytes"], rows):
        yield batch["bytes"].to_pylist()


def _write_indexes(folder: Path, parts: Mapping[str, _Part], folds: np.ndarray) -> None:
    """Write labels and indexes; for the training images also folds, and which of them the source sets aside for validation."""
    for name, part in parts.items():
        write_array(folder / name / "labels.npy", part.labels)
        write_table(folder / name / "index.parquet", part.index.append_column("fold", pa.array(folds)) if name == "train" else part.index)
    write_array(folder / "train" / "validation.npy", parts["train"].validation)


def _described(report: Mapping[str, Any]) -> dict[str, Any]:
    """What spec.json says of the data set."""
    return {
        "class_names": report["class_names"],
        "dataset_name": report["name"],
        "dataset_digest": report["digest"],
        "source": report["source"],
    }


def _folds(labels: np.ndarray, config: Config, class_names: list[str]) -> np.ndarray:
    counts = np.bincount(labels, minlength=len(class_names))
    scarce = [f"{name} ({count})" for name, count in zip(class_names, counts, strict=True) if 0 < count < config.cross_validate.folds]
    if scarce:
        print(f"warning: fewer training images than folds ({config.cross_validate.folds}) in {', '.join(scarce)}", file=sys.stderr)
    if counts.max() < 2:
        raise SourceError("ingest.source: no class has two training images. Add images.")
    return stratified_folds(labels, config.cross_validate.folds, seed=config.seed)


def _preview(config: Config, labels: np.ndarray, images: np.ndarray, report: Mapping[str, Any]) -> bytes:
    """A picture: one image of each of some classes, and what augmentation makes of it."""
    rng = np.random.default_rng(config.seed)
    shown = [rng.choice(np.flatnonzero(labels == label)) for label in np.unique(labels)[:PREVIEW_ROWS]]
    height, width = images.shape[1:3]
    rows = []
    for row in shown:
        copies = np.repeat(images[row : row + 1], PREVIEW_COLUMNS - 1, axis=0)
        moved = warp(copies, sample_transforms(config.augment, len(copies), height, width, rng), config.augment.fill)
        rows.append(np.concatenate([images[row : row + 1], erase(moved, sample_boxes(config.augment, len(copies), height, width, rng))]))
    return augmented_samples(np.stack(rows), [report["class_names"][labels[row]] for row in shown])
