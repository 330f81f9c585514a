"""A table: its columns and rows, whatever its format, where they begin in its file, and the errors of its file."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.errors import SourceError
from pipeline.tables.cells import PATH, find_column

Row: TypeAlias = tuple[str, Sequence[Any]]


@dataclass(frozen=True)
class Table:
    """A table: its path in the source, its columns ("column 1", … if it names none), and its rows as (line or row, cells).

    `unread` says of each other table in its file why it is not read.
    """

    path: str
    columns: list[str]
    rows: Callable[[], Iterator[Row]]
    unread: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@contextmanager
def naming_faults(path: str) -> Iterator[None]:
    """Turns any error of a text file into a one-line SourceError."""
    try:
        yield
    except UnicodeError:
        raise SourceError(f"ingest.source: {path} is not UTF-8 text. Save it as UTF-8 (in Excel: CSV UTF-8).") from None
    except csv.Error as error:
        raise SourceError(f"ingest.source: {path} is not a valid table: {error}. Is a double quote missing?") from None


def lines_above(rows: Sequence[Sequence[Any]], names_image: Callable[[str], bool]) -> int:
    """The number of rows above the header or the first row: those with few filled cells, before rows that have many. No row is empty.

    A row that names an image is none of them, unless it is a number: CelebA's files begin with the count of their rows.
    """
    counts = [sum(bool(str(cell).strip()) for cell in row) for row in rows]
    for i, row in enumerate(rows):
        below = counts[i + 1 :]
        usual = max(set(below), key=lambda count: (below.count(count), count), default=0)
        is_unnamed_column = usual == 2 and not str(row[0]).strip()  # `,label`: the paths have no name
        is_about_image = any(names_image(text) for cell in row if not (text := str(cell).strip()).isdigit())
        if counts[i] > max(1, usual // 2) or usual < 2 or is_unnamed_column or is_about_image:
            return i
    return 0


def with_first_named(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """The names of the columns; where all rows have one cell more, as R and CelebA write them, the first one, of the paths, has no name."""
    is_short = bool(rows) and all(len(row) == len(header) + 1 for row in rows) and not find_column(header, PATH)
    return ["column 1", *header] if is_short else list(header)
