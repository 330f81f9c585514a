"""The images that a person names: files, folders, globs, archives, tables of paths, URLs, and paths from standard input."""

import glob
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import SourceError
from pipeline.listing.listing import IMAGE_SUFFIXES, Collector, Listing
from pipeline.listing.opening import Options, is_archive, list_source
from pipeline.listing.records import readable
from pipeline.listing.remote import is_url, local_copy
from pipeline.listing.stores import without_secrets
from pipeline.listing.walk import DiskFile, walk
from pipeline.names import listed
from pipeline.serving.batches import Unusable
from pipeline.tables.cells import PATH, find_column
from pipeline.tables.opening import is_table_name, open_table
from pipeline.tables.table import Table

FROM_INPUT = "-"
NAMED = 3
MOST_SEARCHED = 200_000
NO_FILE = "there is no such file"
LOST = ("link", "special", "unreadable", "escaping", "encrypted", "name_clash")
"""What the list of a folder leaves out although it may be an image."""


class Named(NamedTuple):
    """An image: its path as it is shown, and what gives the encoded image."""

    path: str
    content: Callable[[], bytes]


@dataclass
class Images:
    """All images, in the order in which they were named; notes: lines for the user; folders: those that images were looked for in."""

    images: list[Named] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def find_images(named: Sequence[str], scratch: Path) -> Images:
    """The images that arguments name; `-` stands for the paths in standard input. scratch: the folder for copies of what is at a URL or packed.

    Raises SourceError for an argument that names nothing, or no image.
    """
    found = Images()
    try:
        for argument in named:
            before = len(found.images)
            if argument == FROM_INPUT:
                found.images += _listed_in(sys.stdin.buffer.read())
            else:
                _add(argument, found, scratch)
            if len(found.images) == before:
                raise SourceError(f"{_shown(argument)} has no images. {_expected(found.notes)}")
    except SourceError as error:
        raise SourceError(str(error).removeprefix("ingest.source: ")) from None  # written for the source of a run
    return found


def _shown(argument: str) -> str:
    return "Standard input" if argument == FROM_INPUT else without_secrets(argument)


def _expected(notes: Sequence[str]) -> str:
    return notes[-1] if notes else "Expected files such as JPEG, PNG or WebP, also in folders below."


def _add(argument: str, found: Images, scratch: Path) -> None:
    """Add the images that one argument names."""
    if is_url(argument):
        copy = local_copy(argument, scratch / "urls")
        start = len(found.images)
        _add_path(copy, found, scratch)
        shown = without_secrets(argument).rstrip("/")
        found.images[start:] = [Named(shown + image.path.removeprefix(str(copy)), image.content) for image in found.images[start:]]
    elif os.path.lexists(argument):
        _add_path(Path(argument), found, scratch)
    elif glob.has_magic(argument) and (matching := sorted(glob.glob(argument, recursive=True))):  # noqa: PTH207 (as the shell does)
        is_deep = "**" in argument
        for path in matching:
            if not (is_deep and Path(path).is_dir()):  # its files match, too
                _add_path(Path(path), found, scratch)
    else:
        what = "no file matches it" if glob.has_magic(argument) else "there is no such file or folder"
        raise SourceError(f"{argument}: {what}. Looked in {Path.cwd()}.")


def _add_path(path: Path, found: Images, scratch: Path) -> None:
    if path.is_dir():
        collector = Collector()
        walk(path, collector, follow_links=True)
        _add_listing(path, collector.listing(), found)
        found.folders.append(path)
    elif not path.is_file():
        found.images.append(Named(readable(str(path)), DiskFile(str(path))))  # says why it is none
    elif path.suffix.lower() not in IMAGE_SUFFIXES and _is_packed(path):
        _add_listing(path, list_source(path, Options(), scratch / "archives"), found)
    elif is_table_name(path.name):
        found.images += _rows(path)
    else:
        found.images.append(Named(readable(str(path)), DiskFile(str(path))))


def _is_packed(path: Path) -> bool:
    try:
        return is_archive(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Give yourself read access.") from None


def _add_listing(path: Path, listing: Listing, found: Images) -> None:
    """Add the images in a folder or archive, and of what is lost, why."""
    for folder in listing.folders.values():
        for name in folder.names:
            content = folder.content(name)
            shown = content.path if isinstance(content, DiskFile) else f"{path}/{folder.below(name)}"
            found.images.append(Named(readable(shown), content))
    found.images += [Named(f"{path}/{fault.path}", Unusable(fault.reason)) for fault in listing.left_out if fault.finding in LOST]
    if others := [other.path for other in listing.others()]:
        count = "1 other file is no image" if len(others) == 1 else f"{len(others):,} other files are no images"
        found.notes.append(f"{path}: {count}: {listed(others, NAMED)}. Name an archive or a table itself to predict what is in it.")


def _listed_in(content: bytes) -> Iterator[Named]:
    """The files named in a text: one a line, or ended by zero bytes, as `find -print0` writes them."""
    ends = b"\0" if b"\0" in content else b"\n"
    for line in content.split(ends):
        name = os.fsdecode(line if ends == b"\0" else line.rstrip(b"\r"))
        if name:
            yield _in_list(name, Path())


def _in_list(name: str, beside: Path) -> Named:
    """An image that a list names, which may be missing; relative to the folder of the list, or else to the current one."""
    places = [beside / name, Path(name)]
    place = next((place for place in places if place.is_file()), None)
    if place is not None:
        return Named(readable(str(place)), DiskFile(str(place)))
    reason = "a folder, not a file" if any(place.is_dir() for place in places) else NO_FILE
    return Named(readable(name), Unusable(reason))


class _Below:
    """The files below a folder by their names, listed once one is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: dict[str, list[str]] | None = None

    def ending_in(self, name: str) -> list[str]:
        """The paths below the folder that end in this one, as `cat/1.jpg` or `1.jpg`; at most MOST_SEARCHED files are looked at."""
        if self._paths is None:
            self._paths = {}
            files = ((folder, file) for folder, _, files in os.walk(self._folder) for file in files)
            for folder, file in itertools.islice(files, MOST_SEARCHED):
                self._paths.setdefault(file, []).append(os.path.join(folder, file))  # noqa: PTH118 (once per file)
        wanted = Path(name).parts
        return sorted(path for path in self._paths.get(Path(name).name, []) if Path(path).parts[-len(wanted) :] == wanted)


def _searched(found: Named, name: str, beside: Path, below: _Below) -> Named:
    """The same image from a folder below that of the table, if it is not where the table says and there is exactly one of that name."""
    if found.content != Unusable(NO_FILE) or Path(name).is_absolute():
        return found
    paths = below.ending_in(name)
    if len(paths) == 1:
        return Named(readable(paths[0]), DiskFile(paths[0]))
    if paths:
        return Named(found.path, Unusable(f"{len(paths):,} files below {beside.absolute()} are called so: {listed(paths, NAMED)}"))
    return Named(found.path, Unusable(f"{NO_FILE} in {beside.absolute()} or below it, nor in {Path.cwd()}"))


def _rows(path: Path) -> Iterator[Named]:
    """The images that a table names."""
    table = open_table(str(path), path, _names_image)
    if table is None:
        raise SourceError(f"{path} is no table with a column of paths, and no image.")
    column, below = _path_column(table), _Below(path.parent)
    for _, cells in table.rows():
        if name := str(cells[column] if column < len(cells) and cells[column] is not None else "").strip():
            yield _searched(_in_list(name, path.parent), name, path.parent, below)


def _path_column(table: Table) -> int:
    """The column with the paths: the one whose cells name images, else by its name. Raises SourceError if there is none, or more than one."""
    first = [cells for _, cells in _start_of(table.rows())]
    naming = [i for i in range(len(table.columns)) if any(i < len(cells) and _names_image(cells[i]) for cells in first)]
    known = find_column(table.columns, PATH)
    if known is not None and (not naming or table.columns.index(known) in naming):
        return table.columns.index(known)
    if len(naming) != 1:
        found = listed([table.columns[i] for i in naming] or table.columns)
        raise SourceError(
            f"{table.path}: {'several columns name' if naming else 'no column names'} images: {found}. Call the one with the paths path."
        )
    return naming[0]


def _start_of(rows: Iterable[Any], count: int = 60) -> list[Any]:
    return [row for row, _ in zip(rows, range(count), strict=False)]


def _names_image(cell: object) -> bool:
    return isinstance(cell, str) and Path(cell.strip()).suffix.lower() in IMAGE_SUFFIXES
