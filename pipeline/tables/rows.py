"""The cells of the rows that list images: path, label, split, group."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pipeline.listing.split_words import split_in_name, split_of_name
from pipeline.quality.kinds import counted
from pipeline.tables.cells import only_value, split_of, structured, text_of
from pipeline.tables.columns import Columns, Understood
from pipeline.tables.profiles import mark_of
from pipeline.two_readings import listed
from pipeline.ways_out import Undecided, Way, exactly, undecided

COMBINED = Way("make each combination a class of its own", {"multi_label": "combine"})
MOST_FOLDERS = 3
ANOTHER_COLUMN = Way("name another column in ingest.columns.label")


class TableRow(NamedTuple):
    """The cells of one row that matter."""

    path: Any
    label: Any
    split: Any
    group: Any


def table_rows(understood: Understood) -> Iterator[tuple[str, TableRow]]:
    """(line or row, cells) of each row of a table that lists images."""
    columns, names = understood.columns, understood.table.columns
    assert columns is not None
    places = [names.index(name) if name else None for name in (columns.path, columns.label, columns.split, columns.group)]
    hot = [(names.index(name), name.strip()) for name in columns.one_hot]
    for place, cells in understood.table.rows():
        values = [(cells[i] if i == places[0] else _single(cells[i])) if i is not None else None for i in places]
        if hot:
            values[1] = "|".join(name for i, name in hot if mark_of(cells[i]) == 1)
        yield place, TableRow(*values)


def _single(cell: Any) -> Any:
    """A cell; a list of one is its entry, an object of one text the text. Lists and objects may be written as text."""
    if isinstance(cell, str):
        cell = structured(cell.strip())
    if isinstance(cell, list | tuple) and len(cell) == 1:
        cell = cell[0]
    return (only_value(cell) or cell or "") if isinstance(cell, dict) else cell


def split_of_cell(cell: Any, columns: Columns, where: str) -> str | None:
    """The split that a cell says."""
    text = text_of(cell, where)
    if not columns.is_split:
        return split_of(text, where)
    if not text:
        return None
    if text.lower() in ("1", "true", "1.0"):
        return columns.is_split
    return "test" if columns.is_split == "train" else "train"


def split_of_table(path: str) -> str | None:
    """The split in the name of a table, or else in that of its folder."""
    *folders, name = path.split("/")
    found = split_in_name(name.rpartition(".")[0])
    return found.split if found else (split_of_name(folders[-1]) if folders else None)


def label_of(row: TableRow, where: str, multi_label: str) -> str:
    """The label of a row; several are joined if `multi_label` is combine, else they are an error."""
    if isinstance(row.label, list | tuple):
        if not row.label:
            return ""
        if multi_label == "combine":
            return "|".join(text_of(label, where) for label in row.label)
        raise several_labels(where, row.label)
    return text_of(row.label, where)


def has_several_labels(row: TableRow) -> bool:
    """Whether a row has a list of labels."""
    return isinstance(row.label, list | tuple) and len(row.label) > 1


def several_labels(where: str, labels: Sequence[object], ways: Sequence[Way] = (), more: int = 0) -> Undecided:
    """The error for an image with several labels, and `more` like it."""
    also = f", and for {counted(more, 'more image', 'more images')}" if more else ""
    return undecided(
        f"ingest.source: {where}: several labels for one image, {listed([str(label) for label in labels])}{also}. An image has one class here.",
        [*ways, COMBINED, ANOTHER_COLUMN],
    )


def one_image(found: Sequence[str], split: str | None, label: str, cell: str, where: str) -> str | None:
    """The image that a row means; None if there is none. Raises SourceError if it could be several."""
    if len(found) > 1 and split:
        found = [path for path in found if any(split_of_name(part) == split for part in path.split("/")[:-1])] or found
    if len(found) > 1 and label:
        found = [path for path in found if label in path.split("/")[:-1]] or found
    if len(found) > 1:
        folders = [path.rpartition("/")[0] for path in found]
        one_each = [
            Way(f"take those of {folder}", {"ignore": exactly([other for other in folders if other != folder])})
            for folder in folders[:MOST_FOLDERS]
            if len({*folders}) == len(folders) and all(folders)
        ]
        raise undecided(
            f"ingest.source: {where}: {cell} can be {listed(found, 3)}.",
            [
                Way("write the folder before the name in the table"),
                *one_each,
                Way("leave some of them out with ingest.ignore"),
                Way("give the folders' classes with ingest.class_from"),
            ],
        )
    return found[0] if found else None
