"""A table: its columns and rows, whatever its format, and the errors of its file."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.errors import SourceError

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
