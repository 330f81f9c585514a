"""The rows of a table in any of its formats: CSV, TSV, white space, JSON, JSON lines, Parquet, Excel, CVAT's XML. Knows nothing of images.

Rows are streamed, and can be iterated again. Cells are text, numbers, booleans, None, or lists.
"""

import csv
import itertools
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow.parquet as pq

from pipeline.errors import SourceError
from pipeline.images.formats import Format
from pipeline.listing.cells import is_image_type, naming_parquet_damage

Row: TypeAlias = tuple[str, Sequence[Any]]
DELIMITERS = {".csv": ",;\t|", ".tsv": "\t,;|", ".tab": "\t,;|", "": ",;\t| ", ".txt": "\t,;| ", ".lst": "\t,;| "}
NO_TABLES = {"README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "MAKEFILE", "DOCKERFILE"}
SUFFIXES = (*(suffix for suffix in DELIMITERS if suffix), ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xls", ".ods", ".xml")
ROWS_AT_ONCE = 16384
LINES_TO_TELL = 60
LONGEST_LINE = 1 << 20
LARGEST_JSON_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Table:
    """A table: its path in the source, its columns ("column 1", … if it names none), and its rows as (line or row, cells)."""

    path: str
    columns: list[str]
    rows: Callable[[], Iterator[Row]]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


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
        return _sheet(path, file)
    if suffix == ".xml":
        return _cvat(path, file)
    if suffix in (".json", ".jsonl", ".ndjson"):
        return _json_table(path, file, is_lines=suffix != ".json")
    return _delimited(path, file, suffix, names_image)


def _delimited(path: str, file: Path, suffix: str, names_image: Callable[[str], bool]) -> Table | None:
    """A table of text. Its first row names the columns, unless a cell of it names an image."""
    with _naming_faults(path):
        skipped, lines = _first_lines(file)
        delimiter = _delimiter(lines, DELIMITERS[suffix])
        if not lines or (suffix in (".txt", ".lst", "") and delimiter is None and not names_image(lines[0])):
            return None
        rows = [_fields(line, delimiter) for line in lines]
    width = max(len(row) for row in rows)
    has_header = not any(names_image(cell) for cell in rows[0]) and suffix in (".csv", ".tsv", ".tab")
    if not has_header and suffix in (".txt", ".lst", ""):
        has_header = not any(names_image(cell) for cell in rows[0]) and any(names_image(cell) for row in rows[1:] for cell in row)
    columns = rows[0] if has_header else [f"column {i}" for i in range(1, width + 1)]
    if not has_header and suffix in (".csv", ".tsv", ".tab") and len(lines) == 1:
        return None
    return Table(path, columns, lambda: _delimited_rows(path, file, delimiter, skipped, columns, has_header))


def _delimited_rows(path: str, file: Path, delimiter: str | None, skipped: int, columns: list[str], has_header: bool) -> Iterator[Row]:
    width = len(columns)
    with _naming_faults(path), file.open(encoding=_encoding(file), newline="") as text:
        for _ in range(skipped):
            text.readline()
        if delimiter in (None, " "):
            numbered = ((i, line.split(None, width - 1) if delimiter else [line.strip()]) for i, line in enumerate(text, skipped + 1))
        else:
            reader = csv.reader(text, delimiter=str(delimiter), skipinitialspace=True, strict=True)
            numbered = ((skipped + reader.line_num, row) for row in reader)
        is_first = has_header
        for line, row in numbered:
            if not any(row):
                continue
            if is_first:
                is_first = False
                continue
            if any(cell.strip() for cell in row[width:]):
                if not has_header:
                    row = row[:width]
                else:
                    raise SourceError(
                        f"ingest.source: {path}, line {line}: {len(row)} fields, but the first line has {width}. "
                        f"Put a field that has a {delimiter!r} in it in double quotes."
                    )
            yield f"line {line}", [row[i].strip() if i < len(row) else "" for i in range(width)]


def _first_lines(file: Path) -> tuple[int, list[str]]:
    """(lines before the table, its first lines that are not empty). Excel's `sep=;` is one of the former."""
    with file.open(encoding=_encoding(file), newline="") as text:
        lines = [line for line in itertools.islice(iter(lambda: text.readline(LONGEST_LINE), ""), LINES_TO_TELL) if line.strip()]
    if lines and re.fullmatch(r"\"?sep=(.)\"?\s*", lines[0], re.IGNORECASE):
        return 1, lines[1:]
    return 0, lines


def _encoding(file: Path) -> str:
    with file.open("rb") as content:
        start = content.read(2)
    return "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _delimiter(lines: Sequence[str], known: str) -> str | None:
    """The delimiter that parts most lines into the same number of fields, two or more; None if none does."""
    best: tuple[float, int, int] = (0.5, 0, 0)
    found = None
    for order, delimiter in enumerate(known):
        widths = [len(_fields(line, delimiter)) for line in lines]
        common = max(set(widths), key=widths.count, default=1)
        agreeing = (widths.count(common) / max(len(widths), 1), min(common, 2), -order)
        if common > 1 and agreeing > best:
            best, found = agreeing, delimiter
    return found


def _fields(line: str, delimiter: str | None) -> list[str]:
    if delimiter == " ":
        return line.split()
    if delimiter is None:
        return [line.strip()]
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return [line.strip()]


def _json_table(path: str, file: Path, *, is_lines: bool) -> Table | None:
    """JSON lines, a list of objects, or one object that gives a value for each of many names."""
    if is_lines:
        keys = list(dict.fromkeys(key for _, values in itertools.islice(_json_lines(path, file), LINES_TO_TELL) for key in values))
        return Table(path, keys, lambda: ((place, [values.get(key) for key in keys]) for place, values in _json_lines(path, file)))
    if file.stat().st_size > LARGEST_JSON_BYTES:
        raise SourceError(
            f"ingest.source: {path} has more than {LARGEST_JSON_BYTES // 2**20} MB of JSON. Write it as JSON lines, or as CSV."
        )
    with _naming_faults(path):
        try:
            document = json.loads(file.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise SourceError(f"ingest.source: {path} is not valid JSON: {error}.") from None
    objects = _objects(document)
    if not objects:
        return None
    keys = list(dict.fromkeys(key for values in objects[:LINES_TO_TELL] for key in values))
    return Table(path, keys, lambda: ((f"entry {i}", [values.get(key) for key in keys]) for i, values in enumerate(objects, 1)))


def _objects(document: object) -> list[dict[str, Any]]:
    """The rows of a JSON document; empty if it has none."""
    if isinstance(document, list) and document and all(isinstance(entry, dict) for entry in document):
        return [_flat(entry) for entry in document]
    if isinstance(document, dict) and isinstance(document.get("classes"), list) and isinstance(document.get("labels"), dict):  # FiftyOne
        classes = document["classes"]
        return [
            {"name": key, "label": classes[value] if isinstance(value, int) and 0 <= value < len(classes) else value}
            for key, value in document["labels"].items()
        ]
    if isinstance(document, dict) and len(document) > 1 and all(isinstance(value, str | int | float) for value in document.values()):
        return [{"name": key, "value": value} for key, value in document.items()]
    return []


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its inner objects' keys, `data.image`; of Label Studio's annotations, the choices."""
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        if key in ("annotations", "completions") and isinstance(value, list):
            choices = [choice for choice in _choices(value) if choice]
            flat["choice"] = choices[0] if len(choices) == 1 else choices or None
        elif isinstance(value, dict):
            flat.update({f"{key}.{inner}": content for inner, content in value.items() if not isinstance(content, dict)})
        else:
            flat[key] = value
    return flat


def _choices(annotations: Sequence[Any]) -> list[str]:
    results = [result for annotation in annotations if isinstance(annotation, dict) for result in annotation.get("result") or []]
    values = [result.get("value", {}) for result in results if isinstance(result, dict)]
    return list(dict.fromkeys(str(choice) for value in values if isinstance(value, dict) for choice in value.get("choices") or []))


def _json_lines(path: str, file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(line, object) of each line that is not empty."""
    with _naming_faults(path), file.open(encoding="utf-8-sig") as text:
        for number, line in enumerate(text, start=1):
            if line.strip():
                try:
                    values = json.loads(line)
                    json.dumps(values, ensure_ascii=False).encode()  # half of a surrogate pair, "\\ud83d", cannot be stored as text
                except (ValueError, RecursionError) as error:
                    raise SourceError(f"ingest.source: {path}, line {number} is not valid JSON: {error}.") from None
                if not isinstance(values, dict):
                    raise SourceError(f"ingest.source: {path}, line {number}: expected an object, {{…}}, found {line[:30].strip()}.")
                yield f"line {number}", _flat(values)


def _parquet(path: str, file: Path) -> Table | None:
    with naming_parquet_damage(file), pq.ParquetFile(file) as parquet:
        columns = [field.name for field in parquet.schema_arrow if not is_image_type(field.type)]
    return Table(path, columns, lambda: _parquet_rows(file, columns)) if columns else None


def _parquet_rows(file: Path, columns: list[str]) -> Iterator[Row]:
    with naming_parquet_damage(file), pq.ParquetFile(file) as parquet:
        row = itertools.count(1)
        for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=columns):
            values = [batch.column(name).to_pylist() for name in columns]
            yield from ((f"row {next(row)}", cells) for cells in zip(*values, strict=True))


def _sheet(path: str, file: Path) -> Table | None:
    """The first sheet of an Excel or LibreOffice file."""
    try:
        import python_calamine  # an extra of this project
    except ImportError:
        raise SourceError(
            f"ingest.source: {path} is a table in a format that needs a package: install it with `pip install python-calamine`, save the table "
            f'as CSV, or leave it out with ingest.ignore: ["{path}"].'
        ) from None
    try:
        rows = python_calamine.CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).to_python()
    except Exception as error:  # the package raises its own kinds for each format
        raise SourceError(f"ingest.source: {path} cannot be read as a table: {error}. Save it as CSV.") from None
    rows = [row for row in rows if any(str(cell).strip() for cell in row)]
    if not rows:
        return None
    columns = [str(cell).strip() for cell in rows[0]]
    return Table(path, columns, lambda: ((f"row {i}", row) for i, row in enumerate(rows[1:], 2)))


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


@contextmanager
def _naming_faults(path: str) -> Iterator[None]:
    """Turns any error of a text file into a one-line SourceError."""
    try:
        yield
    except UnicodeError:
        raise SourceError(f"ingest.source: {path} is not UTF-8 text. Save it as UTF-8 (in Excel: CSV UTF-8).") from None
    except csv.Error as error:
        raise SourceError(f"ingest.source: {path} is not a valid table: {error}. Is a double quote missing?") from None
