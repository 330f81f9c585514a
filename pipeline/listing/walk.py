"""The files of a folder on disk. Links are followed, but not in circles; nothing is opened that could block."""

import io
import os
import stat
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import ImageError, SourceError
from pipeline.listing.listing import Collector, Content
from pipeline.listing.names import name_clash, normalised
from pipeline.listing.records import LeftOut, readable

CIRCLE = "a link to a folder that it is in"


@dataclass(frozen=True)
class DiskFile:
    """A file on disk. Picklable. Raises ImageError if it was deleted or is no longer a regular file."""

    path: str

    def __call__(self) -> bytes:
        return self._read(-1)

    def start(self, count: int) -> bytes:
        try:
            return self._read(count)
        except ImageError:
            return b""

    def size_bytes(self) -> int:
        return os.stat(self.path).st_size  # noqa: PTH116 - once per image

    def _read(self, count: int) -> bytes:
        try:
            with io.FileIO(self.path, opener=_open_without_waiting) as file:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return file.readall() if count < 0 else file.read(count)
        except FileNotFoundError:
            raise ImageError("deleted since it was listed", "missing") from None
        except IsADirectoryError:
            pass
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror}", "unreadable") from None
        raise ImageError("not a regular file", "special")


def not_followed(path: str, error: OSError) -> str:
    """Why a link cannot be followed, and what to look at."""
    if isinstance(error, FileNotFoundError):
        return (
            f"a link to {readable(os.path.normpath(Path(path).parent / Path(path).readlink()))}, which is not there: is the drive mounted?"
        )
    return f"a link that cannot be followed: {error.strerror}"


def walk(root: Path, collector: Collector, *, follow_links: bool) -> None:
    """Note every file below a folder. Raises SourceError if the folder itself cannot be read."""
    _Walk(str(root), collector, follow_links).run()


class _Walk:
    def __init__(self, root: str, collector: Collector, follow_links: bool) -> None:
        self._root = root
        self._collector = collector
        self._follow = follow_links

    def run(self) -> None:
        waiting: list[tuple[str, tuple[str, ...], frozenset[tuple[int, int]]]] = [(self._root, (), frozenset())]
        while waiting:  # no recursion, since folders can be nested deeper than Python's call stack
            path, parts, above = waiting.pop()
            try:
                status = os.stat(path)  # noqa: PTH116
                with os.scandir(path) as found:
                    entries = list(found)
                    is_ascii = all(entry.name.isascii() for entry in entries)
                    entries.sort(key=attrgetter("name") if is_ascii else lambda entry: (normalised(entry.name), entry.name))
            except OSError as error:
                if path == self._root:
                    raise SourceError(f"ingest.source: {path} cannot be read: {error.strerror}. Give yourself read access.") from None
                self._leave_out(path, "unreadable", f"a folder that cannot be read: {error.strerror}")
                continue
            around = above | {(status.st_dev, status.st_ino)}
            folder = _Place(parts, self._collector.add_folder(parts, _Reader(path)), around)
            inside = [entry for entry in entries if self._add(entry, folder)]
            waiting += [(entry.path, (*parts, normalised(entry.name)), around) for entry in reversed(inside)]

    def _add(self, entry: os.DirEntry[str], folder: "_Place") -> bool:
        """Note a file; True for a folder that has to be walked."""
        if self._collector.is_plain(entry.name) and entry.is_file(follow_symlinks=False):
            self._add_file(entry, folder)
            return False
        shown = "/".join((*folder.parts, normalised(entry.name)))
        try:
            if entry.is_symlink():
                return self._add_link(entry, shown, folder)
            is_folder, is_file = entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False)
        except OSError as error:
            self._leave_out(entry.path, "unreadable", f"cannot be read: {error.strerror}")
            return False
        if not self._collector.is_wanted(shown, folder=is_folder):
            return False
        if is_file:
            self._add_file(entry, folder)
        elif not is_folder:
            self._leave_out(entry.path, "special", "not a regular file")
        return is_folder

    def _add_link(self, entry: os.DirEntry[str], shown: str, folder: "_Place") -> bool:
        try:
            status = os.stat(entry.path)  # noqa: PTH116
        except OSError as error:
            if self._collector.is_wanted(shown):
                self._leave_out(entry.path, "link", not_followed(entry.path, error))
            return False
        is_folder = stat.S_ISDIR(status.st_mode)
        if not self._collector.is_wanted(shown, folder=is_folder):
            return False
        if not self._follow:
            self._leave_out(
                entry.path, "link", f"a link to a {'folder' if is_folder else 'file'}, not followed: ingest.follow_links is false"
            )
        elif (status.st_dev, status.st_ino) in folder.around:
            self._leave_out(entry.path, "link", CIRCLE)
        elif is_folder:
            self._leave_out(entry.path, "linked_folder", f"a link to {Path(entry.path).resolve()}")
            return True
        elif stat.S_ISREG(status.st_mode):
            self._add_file(entry, folder)
        else:
            self._leave_out(entry.path, "special", "a link to something other than a regular file")
        return False

    def _add_file(self, entry: os.DirEntry[str], folder: "_Place") -> None:
        name = normalised(entry.name)
        is_found_by_name = folder.is_first and name == entry.name
        if not self._collector.add(folder.parts, name, None if is_found_by_name else DiskFile(entry.path)):
            self._collector.left_out.append(name_clash("/".join((*folder.parts, entry.name)), "/".join((*folder.parts, name))))

    def _leave_out(self, path: str, finding: str, reason: str) -> None:
        self._collector.left_out.append(LeftOut(readable(os.path.relpath(path, self._root)), finding, reason))


class _Place(NamedTuple):
    """A folder that is walked: its normalised path, whether no folder before it has the same, and the folders that it is in."""

    parts: tuple[str, ...]
    is_first: bool
    around: frozenset[tuple[int, int]]


@dataclass(frozen=True)
class _Reader:
    """Files of one folder by their names."""

    folder: str

    def __call__(self, name: str) -> Content:
        return DiskFile(f"{self.folder}/{name}")


def _open_without_waiting(path: str, flags: int) -> int:
    """Opens a file; opening a FIFO does not block until somebody writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
