"""The rows of one table of images: CSV, TSV, JSON lines or Parquet. Knows nothing of the files that a table lists.

Columns are known by their names, in upper or lower case: see PATH, LABEL, SPLIT and GROUP.
"""

import csv
import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from pipeline.errors import SourceError
from pipeline.listing.cells import GROUP, LABEL, PATH, SPLIT, find_column, is_image_type, naming_parquet_damage
from pipeline.sources.folder_layout import NAMED_IN_ERROR

DELIMITERS = {".csv": ",;\t|", ".tsv": "\t"}
TABLE_SUFFIXES = (*DELIMITERS, ".jsonl", ".ndjson", ".parquet")
ROWS_AT_ONCE = 16384
LINES_FOR_KEYS = 100
LONGEST_HEADER = 65536


class Columns(NamedTuple):
    """The names of the columns in one table."""

    path: str
    label: str
    split: str | None
    group: str | None


def read_columns(file: Path) -> Columns:
    """The columns of a table. Raises SourceError if it is not a table, or has no column of paths or of labels."""
    names = _column_names(file)
    path, label = find_column(names, PATH), find_column(names, LABEL)
    if path is None or label is None or path == label:
        missing = " and ".join(what for what, name in (("paths", path), ("labels", label)) if name is None)
        shown = ", ".join(names[:NAMED_IN_ERROR]) + (f" and {len(names) - NAMED_IN_ERROR} more" if len(names) > NAMED_IN_ERROR else "")
        raise SourceError(
            f"ingest.source: {file} has no column for {missing}. Expected one of {', '.join(PATH[:6])}, … and one of "
            f"{', '.join(LABEL[:6])}, …. Found: {shown or 'none'}."
        )
    return Columns(path, label, find_column(names, SPLIT), find_column(names, GROUP))


def read_cells(file: Path, columns: Columns) -> Iterator[tuple[str, Sequence[Any]]]:
    """(`line 2` or `row 2`, values of the four columns) of each row."""
    if file.suffix.lower() == ".parquet":
        yield from _parquet_cells(file, columns)
    elif file.suffix.lower() in DELIMITERS:
        yield from _csv_cells(file, columns)
    else:
        for line, values in _json_objects(file):
            yield f"line {line}", [values.get(name) if name else None for name in columns]


def _column_names(file: Path) -> list[str]:
    if file.suffix.lower() == ".parquet":
        with naming_parquet_damage(file), pq.ParquetFile(file) as table:
            return [field.name for field in table.schema_arrow if not is_image_type(field.type)]
    if file.suffix.lower() in DELIMITERS:
        return _header(file)[1]
    keys = (key for _, values in itertools.islice(_json_objects(file), LINES_FOR_KEYS) for key in values)
    return list(dict.fromkeys(keys))


def _csv_cells(file: Path, columns: Columns) -> Iterator[tuple[str, list[str]]]:
    delimiter, names = _header(file)
    places = [names.index(name) if name else None for name in columns]
    with _naming_faults(file), file.open(encoding="utf-8-sig", newline="") as text:
        rows = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
        next(row for row in rows if any(row))
        for row in rows:
            if any(row[len(names) :]):
                raise SourceError(
                    f"ingest.source: {file.name}, line {rows.line_num}: {len(row)} fields, but the first line has {len(names)}. "
                    f"Put a field that has a {delimiter!r} in it in double quotes."
                )
            if any(row):
                yield f"line {rows.line_num}", [row[place] if place is not None and place < len(row) else "" for place in places]


def _header(file: Path) -> tuple[str, list[str]]:
    """(delimiter, column names) of a CSV file: the delimiter that yields most of the known names, then most names."""
    with _naming_faults(file), file.open(encoding="utf-8-sig", newline="") as text:
        line = next((line for line in iter(lambda: text.readline(LONGEST_HEADER), "") if line.strip()), "")
        options = [
            (delimiter, [name.strip() for name in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])])
            for delimiter in DELIMITERS[file.suffix.lower()]
        ]
    return max(options, key=lambda option: (sum(find_column(option[1], known) is not None for known in (PATH, LABEL)), len(option[1])))


def _json_objects(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of each line that is not empty."""
    with _naming_faults(file), file.open(encoding="utf-8-sig") as text:
        for number, line in enumerate(text, start=1):
            if line.strip():
                try:
                    values = json.loads(line)
                    json.dumps(values, ensure_ascii=False).encode()  # half of a surrogate pair, "\\ud83d", cannot be stored as text
                except (ValueError, RecursionError) as error:
                    raise SourceError(f"ingest.source: {file}, line {number} is not valid JSON: {error}.") from None
                if not isinstance(values, dict):
                    raise SourceError(f"ingest.source: {file}, line {number}: expected an object, {{…}}, found {line[:30].strip()}.")
                yield number, values


def _parquet_cells(file: Path, columns: Columns) -> Iterator[tuple[str, Sequence[Any]]]:
    with naming_parquet_damage(file), pq.ParquetFile(file) as table:
        wanted = [name for name in columns if name]
        row = itertools.count(1)
        for batch in table.iter_batches(ROWS_AT_ONCE, columns=wanted):
            values = [batch.column(name).to_pylist() if name else itertools.repeat(None) for name in columns]
            yield from ((f"row {next(row)}", cells) for cells in zip(*values, strict=False))  # repeat has no end


@contextmanager
def _naming_faults(file: Path) -> Iterator[None]:
    """Turns any error of a text file into a one-line SourceError."""
    try:
        yield
    except UnicodeDecodeError:
        raise SourceError(f"ingest.source: {file} is not UTF-8 text. Save it as UTF-8 (in Excel: CSV UTF-8).") from None
    except csv.Error as error:
        raise SourceError(f"ingest.source: {file} is not a valid table: {error}. Is a double quote missing?") from None
