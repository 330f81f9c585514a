"""The images of a data set with the decisions about them: their split, and whether they are kept."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.dataset.columns import integers, texts
from pipeline.dataset.intake import PROPERTY_NAMES, Images
from pipeline.dataset.shards import PROPERTIES, read_rows, write_index
from pipeline.dataset.split_names import SPLITS
from pipeline.files import write_table
from pipeline.images.decoding import GREY_MODES, decode
from pipeline.images.thumbnails import thumbnail
from pipeline.quality.findings import Finding, Subject, count_findings, rejections
from pipeline.quality.inspection import MODES


@dataclass(frozen=True)
class Judged:
    """The images with the decisions about them.

    pixels: V16 (N,), equal for images with the same pixels. splits: int8 (N,), indices into SPLITS. kept: bool (N,). max_pixels: of any of them.
    """

    images: Images
    shards: Sequence[Path]
    pixels: np.ndarray
    splits: np.ndarray
    kept: np.ndarray
    max_pixels: int

    def subjects(self, rows: Iterable[int]) -> dict[int, Subject]:
        """The subjects of findings in some rows."""
        paths = read_rows(self.shards, self.images.shard_lengths, rows, "path")
        labels = self.images.facts["label"]
        return {row: Subject(str(path), self.images.labels[labels[row]], SPLITS[self.splits[row]], row) for row, path in paths.items()}

    def counts(self, order: Sequence[str]) -> dict[str, dict[str, int]]:
        """Kept images by split and class."""
        table = np.zeros((len(SPLITS), len(self.images.labels)), np.int64)
        np.add.at(table, (self.splits[self.kept], self.images.facts["label"][self.kept]), 1)
        column = {name: i for i, name in enumerate(self.images.labels)}
        return {split: {name: int(table[i, column[name]]) if name in column else 0 for name in order} for i, split in enumerate(SPLITS)}

    def rows_of_class(self, class_names: Sequence[str], most: int) -> dict[str, list[int]]:
        """Rows of up to `most` images of each class, from the first shard that has some, so that few shards are read."""
        shard = np.repeat(np.arange(len(self.images.shard_lengths)), self.images.shard_lengths)
        chosen = {}
        for name in class_names:
            rows = np.flatnonzero(self.kept & (self.images.facts["label"] == self.images.labels.index(name)))
            rows = rows[shard[rows] == shard[rows[0]]]
            chosen[name] = rows[np.unique(np.linspace(0, len(rows) - 1, most).astype(int))].tolist()
        return chosen

    def pictures(self, rows: Iterable[int]) -> dict[int, bytes]:
        """A thumbnail of each image of some rows."""
        encoded = read_rows(self.shards, self.images.shard_lengths, rows, "bytes")
        return {
            row: thumbnail(decode(content, max_pixels=self.max_pixels, reduce_large_jpegs=True))
            for row, content in encoded.items()
            if isinstance(content, bytes)
        }


def keys_of(images: Images) -> np.ndarray:
    """The keys of the images, uint64 (N,): the first 64 bits of the digest, the sha256 of the pixels, of large JPEGs of the scaled ones."""
    return keys_in(images.facts["pixels"])


def keys_in(digests: np.ndarray) -> np.ndarray:
    """The first 64 bits, uint64 (N,), of digests V16 (N,)."""
    return np.frombuffer(digests.tobytes(), ">u8")[::2].astype(np.uint64)


def pictures_of(judged: Judged) -> np.ndarray:
    """Numbers, uint64 (N,), equal for images with the same pixels: also different where only the scaled pixels are the same, unlike the keys."""
    return np.frombuffer(judged.pixels.tobytes(), ">u8")[1::2].astype(np.uint64)


def present(counts: Mapping[str, Mapping[str, int]], order: Sequence[str]) -> list[str]:
    """The classes that have images, in order."""
    return [name for name in order if any(by_class[name] for by_class in counts.values())]


def write_judged_index(folder: Path, judged: Judged, groups: np.ndarray) -> str:
    """Write index.parquet; returns the data set's digest: the sha256 over pixels, split and class of all images that are kept."""
    names = (*SPLITS, None)
    places = np.where(judged.kept, judged.splits, len(SPLITS))
    ends = np.cumsum(judged.images.shard_lengths)
    slices = [slice(end - length, end) for end, length in zip(ends, judged.images.shard_lengths, strict=True)]
    digest = hashlib.sha256()
    splits = (texts([names[place] for place in places[rows].tolist()]) for rows in slices)
    for batch in write_index(folder, judged.shards, splits, (integers(groups[rows]) for rows in slices)):
        columns = (batch[name].to_pylist() for name in ("sha256", "split", "label"))
        digest.update("".join(f"{sha256} {split} {label}\n" for sha256, split, label in zip(*columns, strict=True) if split).encode())
    return digest.hexdigest()


def write_properties(folder: Path, judged: Judged) -> None:
    """Write properties.parquet: float32 columns PROPERTY_NAMES, one row for each of index.parquet."""
    columns = [integers(judged.images.facts[name]) for name in PROPERTY_NAMES]
    write_table(folder / PROPERTIES, pa.Table.from_arrays(columns, names=list(PROPERTY_NAMES)))


def describe(judged: Judged, order: Sequence[str], findings: Sequence[Finding], named: Mapping[str, str]) -> dict[str, Any]:
    """The content of report.json."""
    facts = judged.images.facts[judged.kept]
    counts = judged.counts(order)
    class_names = present(counts, order)
    modes = Counter(MODES[mode] for mode in facts["mode"].tolist())
    widths, heights = facts["width"], facts["height"]
    return {
        **named,
        "images": len(facts),
        "rejected": len(rejections(findings)),
        "findings": count_findings(findings),
        "class_names": class_names,
        "counts": {split: {name: by_class[name] for name in class_names} for split, by_class in counts.items()},
        "sizes_px": {
            "width": _spread(widths),
            "height": _spread(heights),
            "median_longer_side": int(np.median(np.maximum(widths, heights))) if len(facts) else 0,
            "width_by_height": _quantiles(widths / heights),
        },
        "modes": dict(sorted(modes.items())),
        "grey": set(modes) <= set(GREY_MODES),
    }


def _spread(values: np.ndarray) -> list[int]:
    """[minimum, median, maximum]."""
    return [int(values.min()), int(np.median(values)), int(values.max())] if len(values) else [0, 0, 0]


def _quantiles(values: np.ndarray) -> list[float]:
    """[5 %, 50 %, 95 %], to three decimals."""
    return [round(float(value), 3) for value in np.quantile(values, (0.05, 0.5, 0.95))] if len(values) else [0.0, 0.0, 0.0]
