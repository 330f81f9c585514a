"""What a source holds: every file below it once, by folder, on disk or in archives. Knows no layout.

Names are normalised and sorted, so that the same data are listed alike as a folder, a zip and a tar. Contents are read later, when needed.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase, translate
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from pipeline.files import write_bytes
from pipeline.images.formats import SNIFF_BYTES, Format, identify
from pipeline.listing.copies import copy_of_member, only_writer
from pipeline.listing.names import SYSTEM_NAMES, is_system, normalised
from pipeline.listing.records import LeftOut

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2", ".ppm", ".pgm"}
REPOSITORY = {".git", ".dvc", ".hg", ".svn"}
WITH_FILES = ": its images are read, but DVC does not see changes in it"
WITHOUT_FILES = ", a folder without any file: is the drive mounted?"
ICLOUD = ".icloud"  # .IMG_1.jpg.icloud stands for a picture that is not on this machine yet
Folders: TypeAlias = tuple[str, ...]


class Content(Protocol):
    """How a file is read; picklable. Calling it gives all bytes, and raises ImageError or OSError."""

    def __call__(self) -> bytes: ...

    def start(self, count: int) -> bytes:
        """The first bytes; empty if they cannot be read."""

    def size_bytes(self) -> int:
        """The size. Raises OSError if the file is gone."""


class Other(NamedTuple):
    """A file that is no image by its name: its path, and what it is by its content."""

    path: str
    format: Format | None


@dataclass
class Folder:
    """The images in one folder, sorted by name, and how each is read; its other files, and its sub-folders that hold no file at all."""

    parts: Folders
    content: Callable[[str], Content]
    names: list[str] = field(default_factory=list)
    others: dict[str, Format | None] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path below the source; empty for the source itself."""
        return "/".join(self.parts)

    def below(self, name: str) -> str:
        """The path of a file in this folder."""
        return "/".join((*self.parts, name))


@dataclass
class Listing:
    """All folders of a source with files in them, in order. `empty` are folders without any file; `left_out` what was not listed, and why.

    `copies` is the name for copies of members of archives, which changes with the archives; see copies.py. `ignored`: how many files and folders
    `ingest.ignore` leaves out; those in an ignored folder are not counted.
    """

    folders: dict[Folders, Folder]
    empty: list[Folders]
    left_out: list[LeftOut]
    copies: str = ""
    ignored: int = 0

    @property
    def images(self) -> int:
        """The number of images."""
        return sum(len(folder.names) for folder in self.folders.values())

    def others(self) -> Iterator[Other]:
        """The files that are no images."""
        for folder in self.folders.values():
            for name, found in folder.others.items():
                yield Other(folder.below(name), found)

    def forget(self, path: str) -> None:
        """Take a file that is no image off the list."""
        *parts, name = path.split("/")
        self.folders[tuple(parts)].others.pop(name, None)

    def without(self, ignored: Iterable[str]) -> "Listing":
        """A copy of the list, without what globs of `ingest.ignore` match."""
        patterns = re.compile("|".join(translate(way) for pattern in ignored for way in _ways_of(pattern)) or "(?!)")

        def is_kept(path: str) -> bool:
            return not (patterns.match(path) or patterns.match(f"/{path}"))

        kept = {
            parts: replace(
                folder,
                names=[name for name in folder.names if is_kept(folder.below(name))],
                others={name: found for name, found in folder.others.items() if is_kept(folder.below(name))},
            )
            for parts, folder in self.folders.items()
        }
        known = {*self.empty, *(parts[:i] for parts in kept for i in range(len(parts) + 1))}
        with_files = {parts[:i] for parts, folder in kept.items() if folder.names or folder.others for i in range(len(parts) + 1)}
        return replace(
            self,
            folders={parts: folder for parts, folder in kept.items() if folder.names or folder.others},
            empty=[parts for parts in sorted(known - with_files) if parts and is_kept("/".join(parts))],
            left_out=[fault for fault in self.left_out if is_kept(fault.path)],
        )

    def content(self, path: str) -> Content:
        """How the file at a path is read."""
        *parts, name = path.split("/")
        return self.folders[tuple(parts)].content(name)


def _ways_of(pattern: str) -> tuple[str, ...]:
    """The globs of paths that a glob of `ingest.ignore` stands for: what it names, and what is below."""
    return pattern, f"{pattern.rstrip('/')}/*", re.sub(r"^\*\*/", "*/", pattern)


def _matches(path: str, ways: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, way) or fnmatchcase(f"/{path}", way) for way in ways)


class Collector:
    """Builds a listing from the files of folders and archives."""

    def __init__(self, ignore: tuple[str, ...] = ()) -> None:
        self._ignore = {pattern: _ways_of(pattern) for pattern in ignore}
        self._unused = dict.fromkeys(ignore)
        self._ignored: set[str] = set()
        self._found: dict[Folders, dict[str, Content | None]] = {}
        self._disk: dict[Folders, Callable[[str], Content]] = {}
        self._empty: set[Folders] = set()
        self.left_out: list[LeftOut] = []

    def is_plain(self, name: str) -> bool:
        """Whether a file of this name is read without a closer look, as most are."""
        return not self._ignore and name.isascii() and name[0] not in ".~#@$" and name.lower() not in SYSTEM_NAMES

    def is_wanted(self, path: str, *, folder: bool = False) -> bool:
        """Whether a path is read at all: not hidden, not made by a system or a tool, not in `ingest.ignore`. The latter two are noted."""
        name = path.rpartition("/")[2]
        ignoring = self._ignoring(path)
        for pattern in ignoring:
            self._unused.pop(pattern, None)
        if name.startswith((".", "~$")) or is_system(name):
            if folder and name not in REPOSITORY:
                is_hidden = name.startswith(".") and not is_system(name)
                reason = "a hidden folder: rename it if it is a class" if is_hidden else "a folder that a system or a tool made"
                self.left_out.append(LeftOut(path, "system", reason))
            return not folder and name.endswith(ICLOUD)
        if ignoring:
            parts = path.split("/")
            self._ignored.add(next(top for i in range(len(parts)) if self._ignoring(top := "/".join(parts[: i + 1]))))
        return not ignoring

    def _ignoring(self, path: str) -> list[str]:
        """The globs of `ingest.ignore` that a path matches."""
        return [pattern for pattern, ways in self._ignore.items() if _matches(path, ways)]

    def with_ignored(self, listing: Listing) -> Listing:
        """The listing with the number of what `ingest.ignore` leaves out, and its globs that match nothing."""
        inside = tuple(f"{path}/" for path in self._ignored)  # on disk, nobody looks into an ignored folder
        unused = [
            LeftOut(pattern, "unused_ignore", "this glob of ingest.ignore matches nothing in the source")
            for pattern in self._unused
            if not pattern.startswith(inside)
        ]
        return replace(listing, ignored=len(self._ignored), left_out=[*listing.left_out, *unused])

    def add_folder(self, parts: Folders, content: Callable[[str], Content] | None = None) -> bool:
        """Note a folder; `content` says how its files are read by their names, where `add` is not told. False if that was known before."""
        self._found.setdefault(parts, {})
        return content is not None and self._disk.setdefault(parts, content) is content

    def add(self, parts: Folders, name: str, content: Content | None = None) -> bool:
        """Note a file. False if there is one of that name already."""
        files = self._found.setdefault(parts, {})
        if name in files:
            return False
        files[name] = content
        return True

    def forget(self, path: str) -> None:
        """Take a file off the list, such as an archive whose members are on it."""
        *parts, name = path.split("/")
        self._found[tuple(parts)].pop(name, None)

    def listing(self) -> Listing:
        """Everything noted so far, sorted, with what each file is."""
        folders, empty = {}, []
        with_files = {parts[:i] for parts, files in self._found.items() if files for i in range(len(parts) + 1)}
        for parts in sorted(self._found):
            files = self._found[parts]
            if files:
                folders[parts] = self._folder(parts, files)
            elif parts not in with_files and parts:
                empty.append(parts)
        left_out = [
            fault._replace(reason=fault.reason + (WITH_FILES if as_parts(fault.path) in with_files else WITHOUT_FILES))
            if fault.finding == "linked_folder"
            else fault
            for fault in self.left_out
        ]
        return Listing(folders, empty, left_out)

    def _folder(self, parts: Folders, files: dict[str, Content | None]) -> Folder:
        disk = self._disk.get(parts)
        own = {name: content for name, content in files.items() if content is not None}

        def content(name: str) -> Content:
            found = own.get(name)
            if found is not None:
                return found
            assert disk is not None
            return disk(name)

        folder = Folder(parts, content)
        for name in sorted(files):
            if name[name.rfind(".") :].lower() in IMAGE_SUFFIXES:
                folder.names.append(name)
                continue
            found = identify(content(name).start(SNIFF_BYTES), name)
            if found is not None and found.kind == "image":
                folder.names.append(name)
            else:
                folder.others[name] = found
        return folder


def as_parts(path: str) -> Folders:
    """The normalised parts of a path, without empty ones and single dots."""
    return tuple(part for part in normalised(path).split("/") if part not in ("", "."))


def extracted(listing: Listing, path: str, scratch: Path) -> Path:
    """The file at a path as a file on disk: itself, or a copy below the folder `scratch` of a member of an archive, beside those of its folder."""
    content = listing.content(path)
    on_disk = getattr(content, "path", None)
    if isinstance(on_disk, str):
        return Path(on_disk)
    copy = copy_of_member(scratch, listing.copies, path)
    with only_writer(scratch, listing.copies):
        if not copy.exists():
            write_bytes(copy, content())
    return copy
