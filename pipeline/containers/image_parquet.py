"""Parquet files that contain the images, as on the Hugging Face Hub: one row per image, with its bytes and its label.

Images are a column of bytes, or of structs of bytes and path; class names are in the schema. A few rows are read at a time.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.containers.data_sets import refuse_several, split_of_file
from pipeline.containers.in_memory import EncodedImage, is_encoded_image
from pipeline.errors import SourceError
from pipeline.listing.names import NAMED_IN_ERROR, is_visible, normalised
from pipeline.listing.records import LeftOut, Origin, Reading, Record
from pipeline.tables.cells import (
    GROUP,
    LABEL,
    SPLIT,
    column_word,
    find_column,
    is_image_type,
    naming_parquet_damage,
    numeric_order,
    refuse_column_called_none,
    split_of,
    text_of,
)
from pipeline.two_readings import listed

IMAGE = ("image", "img", "images", "picture", "photo", "bytes", "image_bytes", "content", "jpg", "jpeg", "png", "webp")
ROWS_AT_ONCE = 256
LABELS_AT_ONCE = 65536
READ_AT_ONCE_BYTES = 2**20
NO_LABEL = "its label is -1, which means no label"


@dataclass(frozen=True)
class _Shard:
    """One file: its path in the source and on disk, its split by its name, its columns, and its class names if its labels are numbers."""

    path: str
    file: Path
    rows: int
    split: str | None
    image: str
    label: str
    split_column: str | None
    group: str | None
    class_names: list[str]

    @property
    def stem(self) -> str:
        """The path in the source without `.parquet`, in the form in which names are stored."""
        return normalised(Path(self.path).with_suffix("").as_posix())

    def label_text(self, value: object) -> str:
        """The class name; empty for a row without a label, which is -1 where classes are named, as in test sets of the Hugging Face Hub."""
        if not self.class_names or not isinstance(value, int):
            return text_of(value, self.path)
        if not -1 <= value < len(self.class_names):
            raise SourceError(f"ingest.source: {self.path} has the label {value}, but names {len(self.class_names)} classes, from 0.")
        return self.class_names[value] if value >= 0 else ""

    def split_text(self, value: object) -> str | None:
        """The split of a row: from its column, or else that of the file."""
        return split_of(text_of(value, self.path), self.path) or self.split

    def batches(self, columns: list[str | None], most_rows: int) -> Iterator[list[list[Any]]]:
        """The values of columns, some rows at a time; None for a missing column."""
        wanted = list(dict.fromkeys(name for name in columns if name))
        with (
            _naming_damage(self.path),
            pq.ParquetFile(self.file, pre_buffer=False, buffer_size=READ_AT_ONCE_BYTES) as parquet,
        ):
            for batch in parquet.iter_batches(most_rows, columns=wanted):
                yield [batch.column(name).to_pylist() if name else [None] * len(batch) for name in columns]


def candidates(paths: Sequence[str]) -> list[str]:
    """The Parquet files."""
    return [path for path in paths if path.lower().endswith(".parquet") and is_visible(path)]


def read(files: Mapping[str, Path], label: str | None = None, unread: Collection[str] = ()) -> Reading | None:
    """The images in Parquet files, in the order of the rows; `label` chooses the column of the labels. Other tables among them are not read.

    unread: those of "split" and "group" that no column has.

    Raises SourceError for invalid labels or splits, and for several data sets side by side.
    """
    paths = [path for path in sorted(candidates(list(files))) if _has_images(path, files[path])]
    if not paths:
        return None
    refuse_several(paths, "Parquet files with images")
    shards = [_open_shard(path, files[path], split_of_file(path) if len(paths) > 1 else None, label, unread) for path in paths]
    named = {tuple(shard.class_names) for shard in shards if shard.class_names}
    if len(named) > 1:
        raise SourceError(
            f"ingest.source: {' and '.join(paths[:2])} name their classes differently, or files after them. Expected one data set: "
            "set ingest.source to one of the files or folders."
        )
    counts = _survey(shards)
    if not counts:
        raise SourceError(f"ingest.source: {paths[0]} should have images with labels; found no row with a label.")
    class_names = list(named.pop()) if named else numeric_order({label for _, label in counts})

    def records(left_out: list[LeftOut]) -> Iterator[Record]:
        return (record for shard in shards for record in _records(shard, left_out))

    return Reading("Parquet files with images", "ingest.format: parquet", class_names, counts, records, origin=_origin(shards, counts))


def _origin(shards: Sequence[_Shard], counts: Mapping[tuple[str | None, str], int]) -> Origin:
    """Which columns, or names of files, say classes, splits and groups."""
    labels, splits, groups = (
        listed({name for name in names if name})
        for names in zip(*((one.label, one.split_column, one.group) for one in shards), strict=True)
    )
    has_splits = any(split for split, _ in counts)
    return Origin(
        f"column {labels} of the Parquet files",
        (f"column {splits}" if splits else "the names of the files") if has_splits else "",
        f"column {groups}" if groups else "",
    )


@contextmanager
def _naming_damage(path: str) -> Iterator[None]:
    """Turns any error of a Parquet file into a one-line SourceError."""
    try:
        with naming_parquet_damage(Path(path)):
            yield
    except UnicodeDecodeError as error:
        raise SourceError(f"ingest.source: {path} has text that is not UTF-8: {error}. Get the file again.") from None


def _has_images(path: str, file: Path) -> bool:
    """Whether a file has a column of encoded images. Raises SourceError if it is not Parquet."""
    with _naming_damage(path):
        schema = pq.read_schema(file)
        column = _image_column(schema)
        return column is not None and (find_column([column], IMAGE) is not None or _starts_with_an_image(file, column))


def _open_shard(path: str, file: Path, split: str | None, chosen: str | None, unread: Collection[str]) -> _Shard:
    """A file of which _has_images is true. Raises SourceError if it has no labels, or several for one image."""
    with _naming_damage(path):
        metadata = pq.read_metadata(file)
        schema = metadata.schema.to_arrow_schema()
    features = _features(schema)
    kinds = {field.name: field.type for field in schema}
    refuse_column_called_none(path, kinds, unread)
    classes = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel" and name in kinds]
    image = _image_column(schema)
    label = chosen if chosen in kinds else find_column(kinds, LABEL) or (classes[0] if len(classes) == 1 else None)
    if not chosen:
        _refuse_other_labels(path, file, [name for name in kinds if column_word(name) in LABEL and not pa.types.is_nested(kinds[name])])
    if image is None or label is None:
        missing = "encoded images" if image is None else f"labels (one of {', '.join(LABEL[:6])}, …)"
        shown = ", ".join(f"{name}: {kind}" for name, kind in list(kinds.items())[:NAMED_IN_ERROR])
        raise SourceError(f"ingest.source: {path} has no column of {missing}. Found: {shown}.")
    if pa.types.is_nested(kinds[label]):
        raise SourceError(f"ingest.source: {path}: expected one label per image in the column {label}, found {kinds[label]}.")
    class_names = [str(name) for name in features.get(label, {}).get("names") or []]
    split_column, group = (None if role in unread else find_column(kinds, words) for role, words in (("split", SPLIT), ("group", GROUP)))
    return _Shard(path, file, metadata.num_rows, split, image, label, split_column, group, class_names)


def _refuse_other_labels(path: str, file: Path, names: Sequence[str]) -> None:
    """Raise SourceError if columns that are called as labels are tell the images apart in different ways."""
    if len(names) < 2:
        return
    columns = [column.to_pylist() for column in pq.read_table(file, columns=list(names)).columns]
    for name, values in zip(names[1:], columns[1:], strict=True):
        pairs = set(zip(columns[0], values, strict=True))
        if not len(pairs) == len(set(columns[0])) == len(set(values)):
            raise SourceError(
                f"ingest.source: {path} has labels in {names[0]} and in {name}, which differ. Name the column of the classes in ingest.columns.label."
            )


def _image_column(schema: pa.Schema) -> str | None:
    """The column of images: one with a known name, or the only one of bytes."""
    names = [field.name for field in schema if is_image_type(field.type)]
    return find_column(names, IMAGE) or (names[0] if len(names) == 1 else None)


def _starts_with_an_image(file: Path, column: str) -> bool:
    """Whether the first value of a column of bytes is an encoded image, and not a checksum, for example."""
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=[column]):
            for value in batch.column(column).to_pylist():
                content = value.get("bytes") if isinstance(value, dict) else value
                if content:
                    return is_encoded_image(content)
    return False


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """The Hugging Face Hub's description of the columns, from the schema; empty if there is none."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)} if isinstance(features, dict) else {}


def _survey(shards: Sequence[_Shard]) -> Counter[tuple[str | None, str]]:
    """The number of rows by split and label, of those that have a label."""
    counts: Counter[tuple[str | None, str]] = Counter()
    for shard in shards:
        for values in shard.batches([shard.label, shard.split_column], LABELS_AT_ONCE):
            for (value, split), rows in Counter(zip(*values, strict=True)).items():
                if label := shard.label_text(value):
                    counts[shard.split_text(split), label] += rows
    return counts


def _records(shard: _Shard, left_out: list[LeftOut]) -> Iterator[Record]:
    """The images of the rows with a label."""
    numbers = itertools.count()
    digits = len(str(max(shard.rows - 1, 0)))
    for values in shard.batches([shard.image, shard.label, shard.split_column, shard.group], ROWS_AT_ONCE):
        for image, value, split_value, group in zip(*values, strict=True):
            content, suffix = _content(image)
            path = f"{shard.stem}/{next(numbers):0{digits}d}{suffix}"
            label, split = shard.label_text(value), shard.split_text(split_value)
            if label:
                yield Record(path, label, split, text_of(group, shard.path) or None, len(content or b""), EncodedImage(content))
            else:
                left_out.append(LeftOut(path, "unlabelled", NO_LABEL if value == -1 else "its row has no label"))


def _content(image: bytes | dict[str, Any] | None) -> tuple[bytes | None, str]:
    """(encoded image, file extension) of a cell."""
    if not isinstance(image, dict):
        return image, ""
    suffix = PurePosixPath(image.get("path") or "").suffix
    return image["bytes"], suffix if re.fullmatch(r"\.\w{1,5}", suffix, re.ASCII) else ""
