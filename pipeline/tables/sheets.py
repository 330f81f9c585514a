"""Tables in sheets of Excel and LibreOffice: those with the columns of the main one are read together, and the others are named."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import SourceError
from pipeline.listing.split_words import split_of_name
from pipeline.tables.headers import lines_above
from pipeline.tables.table import Row, Table

ROWS_TO_TELL = 60
SPLIT_COLUMN = "split"


class _Sheet(NamedTuple):
    """A sheet: its name, its columns, and its rows with their numbers."""

    name: str
    columns: list[str]
    rows: list[tuple[int, list[Any]]]


def sheet_table(path: str, file: Path, names_image: Callable[[str], bool]) -> Table | None:
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
        raise SourceError(
            f"ingest.source: {path} is a table in a format that needs a package: install it with `pip install python-calamine`, save the table "
            f'as CSV, or leave it out with ingest.ignore: ["{path}"].'
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
