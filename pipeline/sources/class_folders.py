"""The reader of a folder of class folders. See folder_layout.py for which class and split a file belongs to.

Names are compared and returned in one Unicode form, so that the same files have the same names and the same order on every file system.
"""

import heapq
import io
import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import ImageError, SourceError
from pipeline.listing.names import SYSTEM_NAMES, name_clash, normalised
from pipeline.listing.records import LeftOut, Record, Source, readable, source_name
from pipeline.sources.folder_layout import Folders, Place, has_image_suffix, place_files, survey_files

LINKED_FOLDER = "a link to a folder, not followed"


@dataclass(frozen=True)
class ReadFile:
    """Reads one file. Picklable. Raises ImageError if it was deleted or is no longer a regular file."""

    path: str

    def __call__(self) -> bytes:
        try:
            with io.FileIO(self.path, opener=_open_without_waiting) as file:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return file.readall()
        except FileNotFoundError:
            raise ImageError("deleted since it was listed", "missing") from None
        except IsADirectoryError:
            pass
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror}", "unreadable") from None
        raise ImageError("no longer a regular file", "special")


def open_folder(root: Path) -> Source:
    """The images in a folder of class folders, sorted by path. Raises SourceError without images, or with one class only.

    Links to files inside the folder are followed, others are not. Unreadable and special files are left out.
    """
    skipped: list[LeftOut] = []
    layout, count = survey_files(root, _Walk(str(root), skipped), skipped)
    left_out: list[LeftOut] = []
    records = place_files(layout, _Walk(str(root), left_out), _record, left_out)
    return Source(source_name(root), None, records, count, left_out)


def images_below(root: Path) -> Iterator[str]:
    """The normalised path of each file below a folder that has the extension of an image; hidden files and links to elsewhere are ignored."""
    return ("/".join((*folders, name)) for folders, name, _ in _Walk(str(root), []) if has_image_suffix(name))


class _Folder(NamedTuple):
    """A folder: its normalised names below the source, and its paths, several if their names differ only in encoding."""

    names: Folders
    paths: list[str]


class _Walk:
    """(folders, name, path) of each regular file below a folder, sorted by folders and name; other files are added to `left_out`.

    Hidden and system files are ignored. Holds the names of one folder and its parents at a time.
    """

    def __init__(self, source: str, left_out: list[LeftOut]) -> None:
        self._source = source
        self._inside = os.path.realpath(source).rstrip(os.sep) + os.sep
        self._left_out = left_out

    def __iter__(self) -> Iterator[tuple[Folders, str, str]]:
        entered = [self._contents(_Folder((), [self._source]))]  # a list, since folders can be nested deeper than Python's call stack
        while entered:
            for found in entered[-1]:
                if isinstance(found, _Folder):
                    entered.append(self._contents(found))
                    break
                yield found
            else:
                entered.pop()

    def _contents(self, folder: _Folder) -> Iterator[tuple[Folders, str, str] | _Folder]:
        """The files and folders in one folder, sorted by name. Of several files with the same name, the first counts."""
        listings = {path: self._list(path) for path in folder.paths}
        entries = heapq.merge(*(_named(path, names) for path, (names, _) in listings.items()))
        for name, same in itertools.groupby(entries, key=itemgetter(0)):
            folders, taken = [], ""
            for _, raw, path in same:
                kind, found = listings[path][1].get(raw), f"{path}/{raw}"
                if kind == "folder":
                    folders.append(found)
                elif file := self._follow(found) if kind == "link" else found:
                    if taken:
                        self._left_out.append(name_clash(self._below(found), self._below(taken)))
                    else:
                        taken = found
                        yield folder.names, name, file
            if folders:
                yield _Folder((*folder.names, name), folders)

    def _list(self, path: str) -> tuple[list[str], dict[str, str]]:
        """(sorted names in a folder, kind of those that are a `folder` or a `link`). Raises SourceError if the source itself cannot be read."""
        names, kinds = [], {}
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = entry.name
                    if name[0] == "." or name.lower() in SYSTEM_NAMES:
                        continue
                    if not entry.is_file(follow_symlinks=False):
                        if not (kind := _kind(entry)):
                            self._leave_out(entry.path, "special", "not a regular file")
                            continue
                        kinds[name] = kind
                    names.append(name)
        except OSError as error:
            if path == self._source:
                raise SourceError(f"ingest.source: {path} cannot be read: {error.strerror}. Give yourself read access.") from None
            self._leave_out(path, "unreadable", f"a folder that cannot be read: {error.strerror}")
        names.sort(key=None if all(map(str.isascii, names)) else _sort_key)  # keys take as much memory as the names
        return names, kinds

    def _follow(self, link: str) -> str | None:
        """The regular file in the source that a link points to; None, and left out, if it points elsewhere."""
        target = os.path.realpath(link)
        try:
            mode = Path(link).stat().st_mode
        except OSError as error:
            self._leave_out(link, "link", f"a link that cannot be followed: {error.strerror}")
            return None
        if stat.S_ISREG(mode) and target.startswith(self._inside):
            return target
        self._leave_out(link, "link", _reason_not_to_follow(mode))
        return None

    def _leave_out(self, path: str, finding: str, reason: str) -> None:
        self._left_out.append(LeftOut(readable(self._below(path)), finding, reason))

    def _below(self, path: str) -> str:
        return os.path.relpath(path, self._source)


def _kind(entry: os.DirEntry[str]) -> str | None:
    """`link` or `folder`; None for a special file."""
    if entry.is_symlink():
        return "link"
    return "folder" if entry.is_dir(follow_symlinks=False) else None


def _reason_not_to_follow(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return LINKED_FOLDER
    return "a link that leads outside the source" if stat.S_ISREG(mode) else "a link to something other than a regular file"


def _sort_key(name: str) -> tuple[str, str]:
    return normalised(name), name


def _named(path: str, names: list[str]) -> Iterator[tuple[str, str, str]]:
    """(normalised name, name as found, path of the folder) of each name in a folder."""
    return ((normalised(name), name, path) for name in names)


def _record(name: str, place: Place, path: str) -> Record | LeftOut:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return LeftOut(name, "missing", "deleted since it was listed")
    except OSError as error:
        return LeftOut(name, "unreadable", f"cannot be read: {error.strerror}")
    if not stat.S_ISREG(status.st_mode):
        return LeftOut(name, "special", "no longer a regular file")
    return Record(name, place.label, place.split, None, status.st_size, ReadFile(path))


def _open_without_waiting(path: str, flags: int) -> int:
    """Opens a file; opening a FIFO does not block until somebody writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
