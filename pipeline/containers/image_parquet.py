"""Parquet files that contain the images, as on the Hugging Face Hub: one row per image, with its bytes and its label.

Images are a column of bytes, or of structs of bytes and path; class names are in the schema. A few rows are read at a time.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ImageError, SourceError
from pipeline.listing.cells import (
    GROUP,
    LABEL,
    SPLIT,
    find_column,
    is_image_type,
    naming_parquet_damage,
    numeric_order,
    split_of,
    table_split,
    text_of,
)
from pipeline.listing.names import NAMED_IN_ERROR, is_visible, normalised
from pipeline.listing.records import LeftOut, Record, Source, source_name
from pipeline.listing.split_words import WORDS as SPLITS

IMAGE = ("image", "img", "images", "picture", "photo", "bytes", "image_bytes", "content", "jpg", "jpeg", "png", "webp")
ROWS_AT_ONCE = 256
LABELS_AT_ONCE = 65536
READ_AT_ONCE_BYTES = 2**20


def find_image_parquet(folder: Path) -> list[Path]:
    """The Parquet files with images in a folder, or else in its data/, train/, test/ and val/."""
    folders = sorted(
        path for path in folder.iterdir() if path.name.lower() in ("data", *SPLITS) and path.is_dir() and is_visible(path.name)
    )
    for places in ([folder], folders):
        files = sorted(file for place in places for file in place.glob("*.parquet") if is_visible(file.name) and has_images(file))
        if files:
            return files
    return []


def has_images(file: Path) -> bool:
    """Whether a file is Parquet and has a column of encoded images."""
    if not file.is_file():
        return False
    try:
        return _image_column(pq.read_schema(file)) is not None
    except (pa.ArrowException, OSError):
        return False


def open_image_parquet(root: Path, files: list[Path], name: Path) -> Source:
    """The images in Parquet files below `root`, in the order of the rows; the data set is called after `name`.

    Raises SourceError for invalid labels or splits, and if there is only one class.
    """
    shards = [_open_shard(root, file, len(files) > 1) for file in files]
    named = {tuple(shard.class_names) for shard in shards if shard.class_names}
    if len(named) > 1:
        raise SourceError(f"ingest.source: the files of {root} name their classes differently. Expected one data set in a folder.")
    left_out: list[LeftOut] = []
    splits, labels, count = _survey(shards)
    if len(labels) < 2:
        found = f"all are of one class, {min(labels)}" if labels else "found no row with a label"
        raise SourceError(f"ingest.source: {name} should have images of two or more classes; {found}.")
    class_names = list(named.pop()) if named else numeric_order(labels)
    return Source(source_name(name), class_names, _records(shards, "test" in splits, left_out), count, left_out)


@dataclass(frozen=True)
class EncodedImage:
    """Returns an image that is already in memory. Picklable. Raises ImageError if its row has none."""

    content: bytes | None

    def __call__(self) -> bytes:
        if self.content is None:
            raise ImageError("its row has no image", "empty")
        return self.content


@dataclass(frozen=True)
class _Shard:
    """One file: its split by its name, its columns, and its class names if its labels are numbers."""

    file: Path
    stem: str
    rows: int
    split: str | None
    image: str
    label: str
    split_column: str | None
    group: str | None
    class_names: list[str]

    def label_text(self, value: object) -> str:
        """The class name; empty for a row without a label, which is -1 in test sets of the Hugging Face Hub."""
        if not self.class_names or not isinstance(value, int) or value == -1:
            return "" if value == -1 else text_of(value, self.file.name)
        if not 0 <= value < len(self.class_names):
            raise SourceError(f"ingest.source: {self.file} has the label {value}, but names {len(self.class_names)} classes, from 0.")
        return self.class_names[value]

    def split_text(self, value: object) -> str | None:
        """The split of a row: from its column, or else that of the file."""
        return split_of(text_of(value, self.file.name), self.file.name) or self.split

    def batches(self, columns: list[str | None], most_rows: int) -> Iterator[list[list[Any]]]:
        """The values of columns, some rows at a time; None for a missing column."""
        wanted = list(dict.fromkeys(name for name in columns if name))
        with naming_parquet_damage(self.file), pq.ParquetFile(self.file, pre_buffer=False, buffer_size=READ_AT_ONCE_BYTES) as parquet:
            for batch in parquet.iter_batches(most_rows, columns=wanted):
                yield [batch.column(name).to_pylist() if name else [None] * len(batch) for name in columns]


def _open_shard(root: Path, file: Path, has_others: bool) -> _Shard:
    with naming_parquet_damage(file):
        metadata = pq.read_metadata(file)
        schema = metadata.schema.to_arrow_schema()
    features = _features(schema)
    kinds = {field.name: field.type for field in schema}
    classes = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel" and name in kinds]
    image, label = _image_column(schema), find_column(kinds, LABEL) or (classes[0] if len(classes) == 1 else None)
    if image is None or label is None:
        missing = "encoded images" if image is None else f"labels (one of {', '.join(LABEL[:6])}, …)"
        shown = ", ".join(f"{name}: {kind}" for name, kind in list(kinds.items())[:NAMED_IN_ERROR])
        raise SourceError(f"ingest.source: {file} has no column of {missing}. Found: {shown}.")
    if pa.types.is_nested(kinds[label]):
        raise SourceError(f"ingest.source: {file}: expected one label per image in the column {label}, found {kinds[label]}.")
    class_names = [str(name) for name in features.get(label, {}).get("names") or []]
    stem = file.relative_to(root).with_suffix("").as_posix()
    split = table_split(root, file) if has_others else None
    return _Shard(
        file, normalised(stem), metadata.num_rows, split, image, label, find_column(kinds, SPLIT), find_column(kinds, GROUP), class_names
    )


def _image_column(schema: pa.Schema) -> str | None:
    """The column of images: one with a known name, or the only one of bytes."""
    names = [field.name for field in schema if is_image_type(field.type)]
    return find_column(names, IMAGE) or (names[0] if len(names) == 1 else None)


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """The Hugging Face Hub's description of the columns, from the schema; empty if there is none."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)} if isinstance(features, dict) else {}


def _survey(shards: list[_Shard]) -> tuple[set[str | None], set[str], int]:
    """(splits, labels, count) of the rows that have a label."""
    splits, labels, count = set(), set(), 0
    for shard in shards:
        for values in shard.batches([shard.label, shard.split_column], LABELS_AT_ONCE):
            for (value, split), rows in Counter(zip(*values, strict=True)).items():
                if label := shard.label_text(value):
                    splits.add(shard.split_text(split))
                    labels.add(label)
                    count += rows
    return splits, labels, count


def _records(shards: list[_Shard], has_test: bool, left_out: list[LeftOut]) -> Iterator[Record]:
    """The images of the rows with a label. Without a test split, the images of train have no split."""
    for shard in shards:
        numbers = itertools.count()
        digits = len(str(max(shard.rows - 1, 0)))
        for values in shard.batches([shard.image, shard.label, shard.split_column, shard.group], ROWS_AT_ONCE):
            for image, value, split_value, group in zip(*values, strict=True):
                content, suffix = _content(image)
                path = f"{shard.stem}/{next(numbers):0{digits}d}{suffix}"
                label, split = shard.label_text(value), shard.split_text(split_value)
                if not label:
                    left_out.append(
                        LeftOut(path, "stray", "its label is -1, which means no label" if value == -1 else "its row has no label")
                    )
                    continue
                group = text_of(group, shard.file.name) or None
                split = split if has_test or split != "train" else None
                yield Record(path, label, split, group, len(content or b""), EncodedImage(content))


def _content(image: bytes | dict[str, Any] | None) -> tuple[bytes | None, str]:
    """(encoded image, file extension) of a cell."""
    if not isinstance(image, dict):
        return image, ""
    suffix = PurePosixPath(image.get("path") or "").suffix
    return image["bytes"], suffix if re.fullmatch(r"\.\w{1,5}", suffix, re.ASCII) else ""
