"""Opens a table in any of its formats. Knows nothing of what its columns mean."""

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from pipeline.errors import SourceError
from pipeline.images.format_marks import Format
from pipeline.listing.split_words import split_of_name
from pipeline.tables.cells import is_image_type, naming_parquet_damage
from pipeline.tables.delimited import DELIMITERS, delimited
from pipeline.tables.json_tables import json_table
from pipeline.tables.table import Row, Table, lines_above
from pipeline.ways_out import Way, exactly, undecided

NO_TABLES = {"README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "MAKEFILE", "DOCKERFILE"}
SUFFIXES = (*(suffix for suffix in DELIMITERS if suffix), ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xls", ".ods", ".xml")
ROWS_AT_ONCE = 16384
ROWS_TO_TELL = 60
SPLIT_COLUMN = "split"


def is_table_name(name: str) -> bool:
    """Whether a file may be a table, by its name."""
    return _suffix(name) in SUFFIXES


def may_be_table(name: str, found: Format | None) -> bool:
    """Whether a file may be a table, by its name, or by its content if its name has no ending."""
    if "." in name:
        return is_table_name(name)
    return found is not None and found.kind in ("table", "text") and name.upper() not in NO_TABLES


def is_loose(name: str) -> bool:
    """Whether a file of this name is often something else than a table."""
    return _suffix(name) in (".txt", ".lst", ".json", ".xml", "")


def _suffix(name: str) -> str:
    last = name.rpartition("/")[2]
    return last[last.rfind(".") :].lower() if "." in last else ""


def open_table(path: str, file: Path, names_image: Callable[[str], bool]) -> Table | None:
    """The table in a file; None if it is text or JSON that is no table. `names_image` tells whether a cell is the name of an image.

    Raises SourceError for a table that cannot be read.
    """
    suffix = _suffix(path)
    if suffix == ".parquet":
        return _parquet(path, file)
    if suffix in (".xlsx", ".xls", ".ods"):
        return _sheet_table(path, file, names_image)
    if suffix == ".xml":
        return _cvat(path, file)
    if suffix in (".json", ".jsonl", ".ndjson"):
        return json_table(path, file, is_lines=suffix != ".json")
    return delimited(path, file, suffix, names_image)


def _parquet(path: str, file: Path) -> Table | None:
    with naming_parquet_damage(Path(path)), pq.ParquetFile(file) as parquet:
        columns = [field.name for field in parquet.schema_arrow if not is_image_type(field.type)]
    return Table(path, columns, lambda: _parquet_rows(path, file, columns)) if columns else None


def _parquet_rows(path: str, file: Path, columns: list[str]) -> Iterator[Row]:
    with naming_parquet_damage(Path(path)), pq.ParquetFile(file) as parquet:
        row = itertools.count(1)
        for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=columns):
            values = [column.to_pylist() for column in batch.columns]
            yield from ((f"row {next(row)}", cells) for cells in zip(*values, strict=True))


class _Sheet(NamedTuple):
    """A sheet: its name, its columns, and its rows with their numbers."""

    name: str
    columns: list[str]
    rows: list[tuple[int, list[Any]]]


def _sheet_table(path: str, file: Path, names_image: Callable[[str], bool]) -> Table | None:
    """The table in a workbook: the sheet that names most images, and those with the same columns. Sheets called train and test give splits."""
    sheets = [sheet for name, rows in _sheets(path, file) if (sheet := _with_header(name, rows, names_image))]
    if not sheets:
        return None
    main = max(sheets, key=lambda sheet: _images_named(sheet, names_image))
    read = [sheet for sheet in sheets if sheet.columns == main.columns]
    unread = tuple(
        f"sheet {sheet.name} is not read: its columns are not those of the sheet {main.name}" for sheet in sheets if sheet not in read
    )
    if len(read) == 1:
        return Table(path, main.columns, lambda: ((f"row {i}", row) for i, row in main.rows), unread)
    is_of_splits = all(split_of_name(sheet.name) for sheet in read) and SPLIT_COLUMN not in main.columns
    columns = [*main.columns, SPLIT_COLUMN] if is_of_splits else main.columns
    return Table(path, columns, lambda: _joined(read, is_of_splits), unread)


def _joined(sheets: list[_Sheet], is_of_splits: bool) -> Iterator[Row]:
    for sheet in sheets:
        for i, row in sheet.rows:
            yield f"sheet {sheet.name}, row {i}", [*row, sheet.name] if is_of_splits else row


def _sheets(path: str, file: Path) -> list[tuple[str, list[tuple[int, list[Any]]]]]:
    """The name of each sheet, and its rows that are not empty, with their numbers."""
    try:
        import python_calamine  # an extra of this project
    except ImportError:
        raise undecided(
            f"ingest.source: {path} is a table in a format that needs a package.",
            [
                Way("install it with `pip install python-calamine`"),
                Way("save the table as CSV"),
                Way("leave it out", {"ignore": exactly([path])}),
            ],
        ) from None
    found = []
    try:
        workbook = python_calamine.CalamineWorkbook.from_path(str(file))
        for name in workbook.sheet_names:
            sheet = workbook.get_sheet_by_name(name)
            first = (sheet.start or (0, 0))[0] + 1
            rows = [(i, row) for i, row in enumerate(sheet.to_python(), first) if any(str(cell).strip() for cell in row)]
            found.append((name, rows))
    except Exception as error:  # the package raises its own kinds for each format
        raise SourceError(f"ingest.source: {path} cannot be read as a table: {error}. Save it as CSV.") from None
    return found


def _with_header(name: str, rows: list[tuple[int, list[Any]]], names_image: Callable[[str], bool]) -> _Sheet | None:
    """A sheet with its header, which may stand below a title; None if it has no rows."""
    above = lines_above([row for _, row in rows[:ROWS_TO_TELL]], names_image)
    if len(rows) < above + 2:
        return None
    return _Sheet(name, [str(cell).strip() for cell in rows[above][1]], rows[above + 1 :])


def _images_named(sheet: _Sheet, names_image: Callable[[str], bool]) -> int:
    """The number of the first rows that name an image."""
    return sum(any(names_image(str(cell)) for cell in row) for _, row in sheet.rows[:ROWS_TO_TELL])


def _cvat(path: str, file: Path) -> Table | None:
    """The tags of images in CVAT's annotations.xml; None for any other XML."""
    with file.open("rb") as content:
        if b"<annotations" not in content.read(4096):
            return None
    rows: list[Row] = []
    try:
        for _, element in ET.iterparse(file):  # noqa: S314 - expat is limited against nested entities
            if element.tag == "image":
                tags = [tag.get("label") for tag in element.iter("tag")]
                shapes = [
                    shape.tag for shape in element if shape.tag in ("box", "polygon", "points", "polyline", "mask", "ellipse", "cuboid")
                ]
                rows.append(
                    (
                        f"image {element.get('id')}",
                        [element.get("name"), element.get("subset"), tags if len(tags) != 1 else tags[0], len(shapes)],
                    )
                )
                element.clear()
    except ET.ParseError as error:
        raise SourceError(f"ingest.source: {path} is not valid XML: {error}.") from None
    return Table(path, ["name", "subset", "label", "shapes"], lambda: iter(rows)) if rows else None
