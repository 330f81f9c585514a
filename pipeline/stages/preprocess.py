"""Decode, orient and resize all images into packed arrays, embed them, assign folds, and draw a preview of augmentation."""

from __future__ import annotations

import math
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.augmentation.preview import preview_notes, versions
from pipeline.backbone.candidates import Candidates, candidates, pretrained
from pipeline.dataset.arrays import ArrayFile, packed_array, read_array, write_array
from pipeline.dataset.columns import integers
from pipeline.dataset.content_cache import ContentCache, cache_folder, drop_others
from pipeline.dataset.packing import MOST_KEPT_BYTES, Prepare, ShardToPack
from pipeline.dataset.shards import read_index_batches, shard_files
from pipeline.dataset.split_names import NO_SPLIT, SPLITS, TEST, TRAIN, VALIDATION
from pipeline.dataset.splits import stratified_folds
from pipeline.errors import SourceError
from pipeline.features.embeddings import write_embeddings, write_no_embeddings
from pipeline.features.extractor import embedder
from pipeline.files import read_json, write_bytes, write_json, write_table_in_parts
from pipeline.images import decoding, large_jpegs, values
from pipeline.images.decoding import ImageSpec
from pipeline.images.sizes import auto_size, padding_notice
from pipeline.names import in_list, listed
from pipeline.own_files import MADE, clear
from pipeline.parallel import parallel_map
from pipeline.params.augment import augmented, mirrored_only
from pipeline.params.model import is_fitted_whole
from pipeline.params.preprocess import Preprocess
from pipeline.params.section import Scalar
from pipeline.paths import Paths
from pipeline.progress import Progress
from pipeline.reports.pictures import augmented_samples

if TYPE_CHECKING:
    from pipeline.params.reader import Config

PREVIEW_ROWS = 6
PREVIEW_COLUMNS = 8
PARTS = ("train", "test")


def run(config: Config, paths: Paths, tracker: object) -> Mapping[str, Scalar]:
    """Write data/preprocess/: packed arrays, embeddings, indexes with folds, spec.json, augmented.png. Reports counts and size."""
    report = read_json(paths.stage("ingest") / "report.json")
    chosen = candidates(config.model.name, config.model.weights, report)
    embedding = pretrained(chosen.networks, config.model.weights)
    spec = image_spec(config.preprocess, report, is_pretrained=embedding is not None)
    print(f"preprocess: {listed(chosen.networks)}: {chosen.reason}", file=sys.stderr)
    _tell_range(spec, config.preprocess, report)
    if spec.resize == "pad" and (notice := padding_notice(report["sizes_px"], (spec.height, spec.width))):
        print(f"preprocess: {notice}", file=sys.stderr)
    images = _read_index(paths.stage("ingest"), report["class_names"])
    training = images.rows("train")
    folds = _folds(images.labels[training], images.groups[training], config, report["class_names"])
    folder = clear(paths.stage("preprocess"), MADE["preprocess"])
    _pack(spec, images, paths)
    backbone = _embed(embedding, spec, paths, views=2 if config.augment.horizontal_flip else 1)
    _write_indexes(paths, images, folds)
    write_json(folder / "spec.json", {**spec.described(), **_described(report), **_networks(chosen, backbone)})
    packed = read_array(folder / "train" / "images.npy")
    write_bytes(folder / "augmented.png", _preview(config, chosen.networks, images.labels[training], packed, report))
    return {
        **{part: len(images.rows(part)) for part in PARTS},
        "size": f"{spec.height} x {spec.width} x {spec.channels}",
        "folds": config.cross_validate.folds,
    }


def image_spec(preprocess: Preprocess, report: Mapping[str, Any], *, is_pretrained: bool) -> ImageSpec:
    """The input of the network; `auto` is resolved from what `ingest` found. The range of values is None if all images have 8 bits per channel."""
    channels = preprocess.channels if preprocess.channels != "auto" else (1 if report["grey"] else 3)
    height, width = preprocess.image_size if preprocess.image_size != "auto" else auto_size(report["sizes_px"], is_pretrained=is_pretrained)
    spec = ImageSpec(height, width, channels, preprocess.resize, max_pixels=report.get("max_pixels", decoding.MOST_PIXELS))
    found = report.get("value_range")
    if not found:
        return spec
    low, high = (found["low"], found["high"]) if preprocess.value_range == "auto" else preprocess.value_range
    return replace(spec, value_range=(float(low), float(high)))


def _tell_range(spec: ImageSpec, preprocess: Preprocess, report: Mapping[str, Any]) -> None:
    """Print the range of values that is used, or that one is set and not used."""
    if spec.value_range:
        low, high = map(values.number, spec.value_range)
        origin = (
            "preprocess.value_range"
            if preprocess.value_range != "auto"
            else "guessed by ingest"
            if report["value_range"]["guessed"]
            else "auto"
        )
        print(f"preprocess: values {low} to {high} become 0 to 255 ({origin})", file=sys.stderr)
    elif preprocess.value_range != "auto":
        print("preprocess: preprocess.value_range is not used: no image has more than 8 bits per channel", file=sys.stderr)


@dataclass(frozen=True)
class _Images:
    """The index of N images. splits: int8, indices into SPLITS, NO_SPLIT if left out. labels, groups: int32. lengths: images in each shard."""

    splits: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    lengths: list[int]

    def rows(self, part: str) -> np.ndarray:
        """The rows of one packed array, ascending: `test`, or `train` including validation."""
        return np.flatnonzero(self.splits == TEST if part == "test" else (self.splits == TRAIN) | (self.splits == VALIDATION))


def _read_index(folder: Path, class_names: Sequence[str]) -> _Images:
    numbers = {name: i for i, name in enumerate(class_names)}
    columns: dict[str, list[np.ndarray]] = {"split": [], "label": [], "group": []}
    for batch in read_index_batches(folder, list(columns)):
        columns["split"].append(
            np.array([NO_SPLIT if split is None else SPLITS.index(split) for split in batch["split"].to_pylist()], np.int8)
        )
        columns["label"].append(np.array([numbers.get(label, -1) for label in batch["label"].to_pylist()], np.int32))
        columns["group"].append(batch["group"].to_numpy(zero_copy_only=False).astype(np.int32))
    splits, labels, groups = (np.concatenate(parts) for parts in columns.values())
    return _Images(splits, labels, groups, [len(part) for part in columns["split"]])


def _pack(spec: ImageSpec, images: _Images, paths: Paths) -> None:
    """Decode everything into data/preprocess/{train,test}/images.npy, in the order of the shards."""
    shape = (spec.height, spec.width, spec.channels)
    rows = {part: images.rows(part) for part in PARTS}
    cache = cache_folder(paths.scratch / "prepared", spec.described(), modules=(decoding, large_jpegs, values))
    used = []
    with ExitStack() as open_files, Progress("preprocess", sum(map(len, rows.values())), "images") as progress:
        files = {
            part: open_files.enter_context(packed_array(paths.stage("preprocess") / part / "images.npy", (len(rows[part]), *shape)))
            for part in PARTS
        }
        for prefixes in parallel_map(Prepare(spec, cache, uuid.uuid4().hex), _shards(images, rows, files, paths)):
            used.append(prefixes)
            progress.advance(len(prefixes))
    ContentCache(cache).keep(np.unique(np.concatenate(used)[: MOST_KEPT_BYTES // math.prod(shape)]))
    drop_others(cache)


def _embed(name: str | None, spec: ImageSpec, paths: Paths, views: int) -> dict[str, str] | None:
    """Write data/preprocess/{train,test}/embeddings.npy by the network called `name`, without rows if there is none; returns what computed them."""
    folders = [paths.stage("preprocess") / part for part in PARTS]
    if name is None:
        write_no_embeddings(folders, views)
        return None
    extractor = embedder(name, (spec.height, spec.width, spec.channels))
    write_embeddings(folders, views, extractor, paths.scratch / "embeddings")
    return extractor.described


def _shards(images: _Images, rows: Mapping[str, np.ndarray], files: Mapping[str, ArrayFile], paths: Paths) -> Iterator[ShardToPack]:
    start = 0
    for path, length in zip(shard_files(paths.stage("ingest") / "images.parquet"), images.lengths, strict=True):
        parts = []
        for part in PARTS:
            first, last = np.searchsorted(rows[part], [start, start + length])
            if last > first:
                parts.append((rows[part][first:last] - start, files[part], int(first)))
        start += length
        if parts:
            yield ShardToPack(path, parts)


def _write_indexes(paths: Paths, images: _Images, folds: np.ndarray) -> None:
    """Write labels, groups and indexes; for training images also folds, and which of them the source holds out for validation."""
    folder = paths.stage("preprocess")
    for part in PARTS:
        rows = images.rows(part)
        write_array(folder / part / "labels.npy", images.labels[rows])
        write_array(folder / part / "groups.npy", images.groups[rows])
        write_table_in_parts(folder / part / "index.parquet", _index(paths, images, part, folds))
    rows = images.rows("train")
    write_array(folder / "train" / "validation.npy", images.splits[rows] == VALIDATION)


def _index(paths: Paths, images: _Images, part: str, folds: np.ndarray) -> Iterator[pa.Table]:
    """path and sha256 of the images of one packed array, for training images also the fold, shard by shard."""
    rows = images.rows(part)
    start = 0
    for batch in read_index_batches(paths.stage("ingest"), ["path", "sha256"]):
        first, last = np.searchsorted(rows, [start, start + len(batch)])
        table = pa.Table.from_batches([batch]).take(integers(rows[first:last] - start))
        yield table.append_column("fold", integers(folds[first:last])) if part == "train" else table
        start += len(batch)


def _described(report: Mapping[str, Any]) -> dict[str, Any]:
    """The part of spec.json about the data set."""
    return {
        "class_names": report["class_names"],
        "dataset_name": report["name"],
        "dataset_digest": report["digest"],
        "source": report["source"],
        "removed_classes": report.get("removed_classes", []),
        "data_counts": {"images": report["images"], "rejected": report["rejected"], **report["findings"]},
    }


def _networks(chosen: Candidates, backbone: dict[str, str] | None) -> dict[str, Any]:
    """The part of spec.json about the networks that are tried, and the one that embedded the images."""
    return {"networks": list(chosen.networks), "networks_reason": chosen.reason, "backbone": backbone}


def _folds(labels: np.ndarray, groups: np.ndarray, config: Config, class_names: list[str]) -> np.ndarray:
    counts = np.bincount(labels, minlength=len(class_names))
    scarce = [
        f"{in_list(name)} ({count})" for name, count in zip(class_names, counts, strict=True) if 0 < count < config.cross_validate.folds
    ]
    if scarce:
        print(f"warning: fewer training images than folds ({config.cross_validate.folds}) in {', '.join(scarce)}", file=sys.stderr)
    if counts.max() < 2:
        raise SourceError("ingest.source: no class has two training images. Add images.")
    return stratified_folds(labels, groups, config.cross_validate.folds, seed=config.seed)


def _preview(config: Config, networks: Sequence[str], labels: np.ndarray, images: np.ndarray, report: Mapping[str, Any]) -> bytes:
    """A picture: one image of each of some classes, and the versions of it that are trained on."""
    whole = [name for name in networks if is_fitted_whole(name, config.model.weights, config.train.fine_tune)]
    augment = augmented(config.augment, images.shape[-1]) if whole else mirrored_only(config.augment)
    rng = np.random.default_rng(config.seed)
    shown = [rng.choice(np.flatnonzero(labels == label)) for label in np.unique(labels)[:PREVIEW_ROWS]]
    class_names = [report["class_names"][labels[row]] for row in shown]
    notes = preview_notes(augment, [name for name in networks if name not in whole])
    return augmented_samples(versions(images[shown], augment, PREVIEW_COLUMNS, rng), class_names, notes=notes)
