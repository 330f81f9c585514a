"""Parquet files that contain the images, as on the Hugging Face Hub: one row per image, with its bytes and its label.

Images are a column of bytes, or of structs of bytes and path; class names are in the schema. A few rows are read at a time.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.containers.in_memory import EncodedImage
from pipeline.containers.parquet_shards import LABELS_AT_ONCE, ROWS_AT_ONCE, Shard, has_images, open_shard
from pipeline.errors import SourceError
from pipeline.listing.cells import numeric_order, text_of
from pipeline.listing.names import is_visible
from pipeline.listing.records import LeftOut, Reading, Record
from pipeline.listing.split_words import split_in_name, split_of_name

NO_LABEL = "its label is -1, which means no label"


def candidates(paths: Sequence[str]) -> list[str]:
    """The Parquet files."""
    return [path for path in paths if path.lower().endswith(".parquet") and is_visible(path)]


def read(files: Mapping[str, Path]) -> Reading | None:
    """The images in Parquet files, in the order of the rows. Other tables among them are not read.

    Raises SourceError for invalid labels or splits, and for several data sets side by side.
    """
    paths = [path for path in sorted(candidates(list(files))) if has_images(path, files[path])]
    if not paths:
        return None
    _refuse_several(paths)
    shards = [open_shard(path, files[path], _split_of_file(path) if len(paths) > 1 else None) for path in paths]
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

    return Reading("Parquet files with images", "ingest.format: parquet", class_names, counts, records)


def _refuse_several(paths: Sequence[str]) -> None:
    """Raise SourceError for data sets side by side: in several folders, as configurations of the Hub, or by their names, as in mnist-train."""
    folders = {path: "/".join(folder for folder in PurePosixPath(path).parts[:-1] if not split_of_name(folder)) for path in paths}
    names = [(found, path) for path in paths if (found := split_in_name(PurePosixPath(path).stem))]
    sets = {tuple(word for word in found.rest if word != "of"): path for found, path in names}
    places = sorted({folder or "the top level" for folder in folders.values()})
    if len(places) == 1 and len(sets) > 1 and len(names) > len({found.split for found, _ in names}):
        places = sorted(sets.values())
    if len(places) > 1:
        raise SourceError(
            f"ingest.source: Parquet files with images are in {' and in '.join(places[:5])}{' and more' if len(places) > 5 else ''}. Expected one "
            "data set: set ingest.source to one of them, or give all files of one data set the same name, numbered."
        )


def _split_of_file(path: str) -> str | None:
    """The split in a file's name, train-00000-of-00002.parquet, or that of the innermost folder that says one."""
    found = split_in_name(PurePosixPath(path).stem)
    splits = [found.split if found else None, *(split_of_name(folder) for folder in reversed(PurePosixPath(path).parts[:-1]))]
    return next((split for split in splits if split), None)


def _survey(shards: Sequence[Shard]) -> Counter[tuple[str | None, str]]:
    """The number of rows by split and label, of those that have a label."""
    counts: Counter[tuple[str | None, str]] = Counter()
    for shard in shards:
        for values in shard.batches([shard.label, shard.split_column], LABELS_AT_ONCE):
            for (value, split), rows in Counter(zip(*values, strict=True)).items():
                if label := shard.label_text(value):
                    counts[shard.split_text(split), label] += rows
    return counts


def _records(shard: Shard, left_out: list[LeftOut]) -> Iterator[Record]:
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
