"""Opens a table in any of its formats. Knows nothing of what its columns mean."""

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.errors import SourceError
from pipeline.images.format_marks import Format
from pipeline.tables.cells import is_image_type, naming_parquet_damage
from pipeline.tables.delimited import DELIMITERS, delimited
from pipeline.tables.json_tables import json_table
from pipeline.tables.sheets import sheet_table
from pipeline.tables.table import Row, Table

NO_TABLES = {"README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "MAKEFILE", "DOCKERFILE"}
SUFFIXES = (*(suffix for suffix in DELIMITERS if suffix), ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xls", ".ods", ".xml")
ROWS_AT_ONCE = 16384


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
        return sheet_table(path, file, names_image)
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
