"""CSV tables whose cells are pixels, as on Kaggle: a column per pixel (label, pixel0, …, pixel783), or all in one (emotion, pixels, Usage).

Images are square and grey, or RGB with the three values of a pixel side by side. Rows are read some hundred at a time.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from pipeline.containers.data_sets import refuse_several, split_of_file
from pipeline.containers.in_memory import Pixels
from pipeline.errors import SourceError
from pipeline.listing.names import is_visible, normalised
from pipeline.listing.records import LeftOut, Reading, Record
from pipeline.tables.cells import LABEL, SPLIT, find_column, numeric_order, refuse_column_called_none, split_of, text_of

PIXEL = re.compile(r"(?:pixels?|px|p)?[ _]?(\d+)(?:x(\d+))?", re.IGNORECASE)
SMALLEST_SIDE = 8
JOINED = re.compile(r"(\d+ ){63,}\d+")
LONGEST_LINE = 2**22


class _Table(NamedTuple):
    """A file: its path in the source and on disk, and its columns of pixels (a single one if they are all in one cell), label and split."""

    path: str
    file: Path
    pixels: list[str]
    label: str | None
    split: str | None


def candidates(paths: Sequence[str]) -> list[str]:
    """The CSV files."""
    return [path for path in paths if path.lower().endswith(".csv") and is_visible(path)]


def read(files: Mapping[str, Path], unread: Collection[str] = ()) -> Reading | None:
    """The images in tables of pixels; other tables are not read. unread: holds "split" if no column has the splits.

    Raises SourceError for pixels in another order or of no square, for splits that are none, and for several data sets.
    """
    tables = [table for path in sorted(candidates(list(files))) if (table := _table(path, files[path], unread))]
    labelled = [table for table in tables if table.label]
    if not labelled:
        return None
    refuse_several([table.path for table in labelled], "tables of pixels")
    if other := next((table for table in labelled if len(table.pixels) != len(labelled[0].pixels)), None):
        raise SourceError(
            f"ingest.source: {labelled[0].path} has {len(labelled[0].pixels):,} columns of pixels, but {other.path} {len(other.pixels):,}. "
            "Expected one data set: set ingest.source to one of the files."
        )
    splits = {table.path: split_of_file(table.path) if len(labelled) > 1 else None for table in labelled}
    counts = Counter(cells for table in labelled for cells, _ in _rows(table, splits[table.path], []) if cells[1])
    without = [LeftOut(normalised(table.path), "unlabelled", "it has no column of labels") for table in tables if not table.label]

    def records(left_out: list[LeftOut]) -> Iterator[Record]:
        for table in labelled:
            for number, ((split, label), pixels) in enumerate(_rows(table, splits[table.path], table.pixels)):
                path = f"{normalised(table.path[: -len('.csv')])}/{number:05d}.png"
                if label:
                    yield Record(path, label, split, None, pixels.nbytes, Pixels(pixels))
                else:
                    left_out.append(LeftOut(path, "unlabelled", "its row has no label"))

    return Reading("tables of pixels", "ingest.format: pixels", numeric_order({label for _, label in counts}), counts, records, without)


def _table(path: str, file: Path, unread: Collection[str]) -> _Table | None:
    """The columns of a file by its header; None if it has none of pixels."""
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as opened:
        header, first_row = opened.readline(LONGEST_LINE), opened.readline(LONGEST_LINE)
    try:
        names = next(csv.reader([header]), [])
    except csv.Error:  # no text
        return None
    label, split = find_column(names, (*LABEL, "emotion")), None if "split" in unread else find_column(names, (*SPLIT, "usage"))
    refuse_column_called_none(path, names, unread)
    if (joined := find_column(names, ["pixels"])) and JOINED.search(first_row):
        return _Table(path, file, [joined], label, split)
    found = [(match, name) for name in names if (match := PIXEL.fullmatch(name.strip()))]
    if len(found) < SMALLEST_SIDE**2 or len(names) - len(found) > len(names) // 10:
        return None
    places = [(int(match[1]), int(match[2] or 0)) for match, _ in found]
    if places != sorted(set(places)):
        raise SourceError(
            f"ingest.source: {path}: the columns of pixels are not in the order of their numbers. Expected pixel0, pixel1, …."
        )
    return _Table(path, file, [name for _, name in found], label, split)


def _rows(table: _Table, of_file: str | None, pixels: Sequence[str]) -> Iterator[tuple[tuple[str | None, str], np.ndarray]]:
    """((split, label), image uint8 (H, W) or (H, W, 3)) of each row; an empty image if no columns of pixels are given."""
    wanted = [name for name in (table.label, table.split) if name]
    types = dict.fromkeys(wanted, pa.string()) | dict.fromkeys(pixels, pa.uint8() if len(pixels) > 1 else pa.string())
    options = pa_csv.ConvertOptions(column_types=types, include_columns=list(types), strings_can_be_null=True)
    try:
        with pa_csv.open_csv(table.file, convert_options=options) as reader:
            for batch in reader:
                columns = [batch.column(name).to_pylist() if name else [None] * len(batch) for name in (table.label, table.split)]
                images = _images(table.path, [batch.column(name) for name in pixels]) if pixels else [np.empty(0, np.uint8)] * len(batch)
                for label, split, image in zip(*columns, images, strict=True):
                    yield (split_of(text_of(split, table.path), table.path) or of_file, text_of(label, table.path)), image
    except pa.ArrowException as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        raise SourceError(f"ingest.source: {table.path} should have rows of whole numbers from 0 to 255: {reason}") from None


def _images(path: str, columns: Sequence[pa.Array]) -> Sequence[np.ndarray]:
    try:
        if len(columns) > 1:
            values = list(np.stack([column.to_numpy() for column in columns], axis=1))  # refuses cells without a value
        else:
            values = [np.array((text or "").split(), np.uint8) for text in columns[0].to_pylist()]
        return [row.reshape(_shape(len(row))) for row in values]
    except (ValueError, OverflowError) as error:
        raise SourceError(f"ingest.source: {path} should have square images of whole numbers from 0 to 255: {error}.") from None


def _shape(count: int) -> tuple[int, ...]:
    """(H, W) or (H, W, 3) of a square image with so many values."""
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side * side * channels == count and side >= SMALLEST_SIDE:
            return (side, side) if channels == 1 else (side, side, channels)
    raise ValueError(f"found {count:,} values in a row, which is no square, grey or of three channels")
