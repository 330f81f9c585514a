"""Decode, orient and resize every image into packed arrays, assign folds, and draw what augmentation does."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.config import Config, Preprocess, Scalar
from pipeline.errors import SourceError
from pipeline.ml.augment import erase, sample_boxes, sample_transforms, warp
from pipeline.ml.images import ImageSpec, encoded_to_input
from pipeline.ml.pictures import augmented_samples
from pipeline.ml.splits import stratified_folds
from pipeline.parallel import parallel_map
from pipeline.paths import Paths
from pipeline.progress import Progress
from pipeline.stores.arrays import packed_array, write_array
from pipeline.stores.files import empty_folder, read_json, write_bytes, write_json, write_table
from pipeline.stores.shards import read_batches

LARGEST_AUTO_PX = 96
SMALLEST_AUTO_PX = 32
STEP_AUTO_PX = 8
PREVIEW_ROWS = 6
PREVIEW_COLUMNS = 8
PACKED_AS = {"train": "train", "validation": "train", "test": "test"}


def run(config: Config, paths: Paths, tracker: object) -> Mapping[str, Scalar]:
    """Write data/preprocess/: packed arrays, indexes with folds, spec.json, augmented.png. Reports counts and size."""
    report = read_json(paths.stage("ingest") / "report.json")
    spec = image_spec(config.preprocess, report)
    folder = empty_folder(paths.stage("preprocess"))
    packed = _pack(spec, report, paths)
    folds = _folds(packed["train"].labels, config, report["class_names"])
    for split, part in packed.items():
        write_array(folder / split / "labels.npy", part.labels)
        columns = {"path": part.paths, "sha256": part.sha256} | ({"fold": folds} if split == "train" else {})
        write_table(folder / split / "index.parquet", pa.table(columns))
    write_array(folder / "train" / "validation.npy", packed["train"].validation)
    named = {
        "class_names": report["class_names"],
        "dataset_name": report["name"],
        "dataset_digest": report["digest"],
        "source": report["source"],
    }
    write_json(folder / "spec.json", {**asdict(spec), **named})
    write_bytes(
        folder / "augmented.png", _preview(config, packed["train"], np.load(folder / "train" / "images.npy", mmap_mode="r"), report)
    )
    counts = {split: len(part.labels) for split, part in packed.items()}
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


@dataclass
class _Part:
    """The images of one packed array, as far as they are not pixels."""

    labels: np.ndarray
    validation: np.ndarray
    paths: list[str]
    sha256: list[str]


@dataclass(frozen=True)
class _Decode:
    """Decodes the images of a batch; a value, so that it can be sent to another process."""

    spec: ImageSpec

    def __call__(self, batch: pa.RecordBatch) -> tuple[np.ndarray, dict[str, list[str]]]:
        """(images uint8 (N, H, W, C), the batch's other columns)."""
        columns = batch.to_pydict()
        images = np.stack([encoded_to_input(content, self.spec) for content in columns.pop("bytes")])
        return images, columns


def _pack(spec: ImageSpec, report: Mapping[str, Any], paths: Paths) -> dict[str, _Part]:
    """Decode everything into data/preprocess/{train,test}/images.npy, in the order of the shards."""
    numbers = {name: i for i, name in enumerate(report["class_names"])}
    counts: Counter[str] = Counter()
    for split, by_class in report["counts"].items():
        counts[PACKED_AS[split]] += sum(by_class.values())
    parts = {split: _Part(np.zeros(counts[split], np.int32), np.zeros(counts[split], bool), [], []) for split in ("train", "test")}
    with ExitStack() as open_files, Progress("preprocess", counts.total(), "images") as progress:
        shape = (spec.height, spec.width, spec.channels)
        arrays = {
            split: open_files.enter_context(
                packed_array(paths.stage("preprocess") / split / "images.npy", (counts[split], *shape), "uint8")
            )
            for split in parts
        }
        for images, columns in parallel_map(_Decode(spec), _batches(paths)):
            _place(images, columns, arrays, parts, numbers)
            progress.advance(len(images))
    return parts


def _batches(paths: Paths) -> Iterator[pa.RecordBatch]:
    return read_batches(paths.stage("ingest") / "images.parquet", ["path", "label", "split", "sha256", "bytes"])


def _place(
    images: np.ndarray, columns: dict[str, list[str]], arrays: dict[str, np.ndarray], parts: dict[str, _Part], numbers: dict[str, int]
) -> None:
    """Put decoded images behind those that are packed already."""
    packed_as = np.array([PACKED_AS[split] for split in columns["split"]])
    for split, part in parts.items():
        rows = np.flatnonzero(packed_as == split)
        start = len(part.paths)
        here = slice(start, start + len(rows))
        arrays[split][here] = images[rows]
        part.labels[here] = [numbers[columns["label"][row]] for row in rows]
        part.validation[here] = [columns["split"][row] == "validation" for row in rows]
        part.paths += [columns["path"][row] for row in rows]
        part.sha256 += [columns["sha256"][row] for row in rows]


def _folds(labels: np.ndarray, config: Config, class_names: list[str]) -> np.ndarray:
    counts = np.bincount(labels, minlength=len(class_names))
    scarce = [f"{name} ({count})" for name, count in zip(class_names, counts, strict=True) if 0 < count < config.cross_validate.folds]
    if scarce:
        print(f"warning: fewer training images than folds ({config.cross_validate.folds}) in {', '.join(scarce)}", file=sys.stderr)
    if counts.max() < 2:
        raise SourceError("ingest.source: no class has two training images. Add images.")
    return stratified_folds(labels, config.cross_validate.folds, seed=config.seed)


def _preview(config: Config, part: _Part, images: np.ndarray, report: Mapping[str, Any]) -> bytes:
    """A picture: one image of each of some classes, and what augmentation makes of it."""
    rng = np.random.default_rng(config.seed)
    shown = [rng.choice(np.flatnonzero(part.labels == label)) for label in np.unique(part.labels)[:PREVIEW_ROWS]]
    height, width = images.shape[1:3]
    rows = []
    for row in shown:
        copies = np.repeat(images[row : row + 1], PREVIEW_COLUMNS - 1, axis=0)
        moved = warp(copies, sample_transforms(config.augment, len(copies), height, width, rng), config.augment.fill)
        rows.append(np.concatenate([images[row : row + 1], erase(moved, sample_boxes(config.augment, len(copies), height, width, rng))]))
    return augmented_samples(np.stack(rows), [report["class_names"][part.labels[row]] for row in shown])
