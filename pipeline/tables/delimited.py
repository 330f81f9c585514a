"""Tables of text: CSV, TSV, white space; the delimiter and the header are told by the first lines."""

import csv
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.tables.table import Row, Table, lines_above, naming_faults, with_first_named

DELIMITERS = {".csv": ",;\t|", ".tsv": "\t,;|", ".tab": "\t,;|", "": ",;\t| ", ".txt": "\t,;| ", ".lst": "\t,;| "}
LINES_TO_TELL = 60
LONGEST_LINE = 1 << 20


def delimited(path: str, file: Path, suffix: str, names_image: Callable[[str], bool]) -> Table | None:
    """A table of text. Its first row names the columns, unless a cell of it names an image."""
    with naming_faults(path):
        numbered = _first_lines(file)
        texts = [line for _, line in numbered]
        delimiter = _delimiter(texts, DELIMITERS[suffix])
        if delimiter is None and " " in DELIMITERS[suffix] and _begin_with_images(texts, names_image):
            delimiter = " "
        above = lines_above([_fields(line, delimiter) for _, line in numbered], names_image)
        lines, skipped = [line for _, line in numbered[above:]], numbered[above][0] if numbered else 0
        if not lines or (suffix in (".txt", ".lst", "") and delimiter is None and not names_image(lines[0])):
            return None
        rows = [_fields(line, delimiter) for line in lines]
    width = max(len(row) for row in rows)
    naming = [sum(names_image(row[i]) for row in rows[1:] if i < len(row)) for i in range(width)]
    column = naming.index(max(naming)) if any(naming) else None
    if column is not None:
        has_header = not (column < len(rows[0]) and names_image(rows[0][column]))
    else:
        has_header = suffix in (".csv", ".tsv", ".tab") and not any(names_image(cell) for cell in rows[0])
    if delimiter == " " and column == 0 and not has_header:
        width = max(2, min(len(row) for row in rows))  # `1025794 Boeing 707`: the last column has spaces in it
    columns = rows[0] if has_header else [f"column {i}" for i in range(1, width + 1)]
    if has_header and delimiter == " ":
        columns = with_first_named(columns, rows[1:])
    if not has_header and suffix in (".csv", ".tsv", ".tab") and len(lines) == 1:
        return None
    return Table(path, columns, lambda: _delimited_rows(path, file, delimiter, skipped, columns, has_header))


def _delimited_rows(path: str, file: Path, delimiter: str | None, skipped: int, columns: list[str], has_header: bool) -> Iterator[Row]:
    width = len(columns)
    with naming_faults(path), file.open(encoding=_encoding(file), newline="") as text:
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


def _begin_with_images(lines: Sequence[str], names_image: Callable[[str], bool]) -> bool:
    """Whether lines are of several words, the first of which names an image in most."""
    words = [line.split() for line in lines]
    return all(len(found) > 1 for found in words) and 2 * sum(names_image(found[0]) for found in words) > len(words)


def _first_lines(file: Path) -> list[tuple[int, str]]:
    """(lines before it, line) of the first lines that are not empty, without Excel's `sep=;`."""
    with file.open(encoding=_encoding(file), newline="") as text:
        first = itertools.islice(iter(lambda: text.readline(LONGEST_LINE), ""), LINES_TO_TELL)
        lines = [(i, line) for i, line in enumerate(first) if line.strip()]
    return lines[1:] if lines and re.fullmatch(r"\"?sep=(.)\"?\s*", lines[0][1], re.IGNORECASE) else lines


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
