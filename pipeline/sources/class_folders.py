"""Class folders, on disk or in an archive: which class and split a file belongs to, from its relative path alone; and the reader of a folder.

A source is gone through twice: once for what its layout is, once for its records. Neither keeps the names of the files. Names are compared and
given in one form of Unicode, so that the same files have the same names and the same order on every file system.
"""

import heapq
import io
import itertools
import os
import re
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeAlias, TypeVar

from pipeline.errors import ImageError, SourceError
from pipeline.sources.records import LeftOut, Record, Source, readable, source_name

SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2", ".ppm", ".pgm"}
SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx", "icon\r"}
NAMED_IN_ERROR = 5
FOLDERS_BEFORE_CUT = 1024

Folders: TypeAlias = tuple[str, ...]
T = TypeVar("T")


class NoClassFolders(SourceError):  # noqa: N818 - says what is not there
    """A source has no images in class folders. `found` says what lies there instead."""

    def __init__(self, source: Path, found: str) -> None:
        super().__init__(f"ingest.source: no images in class folders at {source}. Found: {found}.")
        self.found = found


class Place(NamedTuple):
    """Where the files of a folder belong. `prefix` is its path below the folders that hold everything, with a slash at the end."""

    prefix: str
    label: str
    split: str | None


class Layout(NamedTuple):
    """The folders that hold everything, and the split of each folder in them by its lower-case name; no splits where these are classes."""

    wrapping: Folders
    splits: Mapping[str, str | None]

    def place(self, folders: Folders) -> Place | str:
        """The place of the files in a folder, or why they have none."""
        below = folders[len(self.wrapping) :]
        if folders[: len(self.wrapping)] != self.wrapping:
            return "lies in no class folder"
        if self.splits and (not below or below[0].lower() not in self.splits):
            return "lies outside of train/, test/ and val/"
        classes = below[1:] if self.splits else below
        if not classes:
            return "lies in no class folder"
        return Place("/".join(below) + "/", classes[0], self.splits[below[0].lower()] if self.splits else None)


class Survey:
    """Counts the files of a source by folder, as they come by. Keeps no file's name, and of folders no more than tell splits and classes."""

    def __init__(self) -> None:
        self._counts: defaultdict[Folders, list[int]] = defaultdict(lambda: [0, 0])  # all files, images by their name
        self._first_files: list[str] = []
        self._wrapping: Folders | None = None
        self._cut_at = FOLDERS_BEFORE_CUT
        self._current: tuple[Folders | None, list[int]] = (None, [])

    def add(self, folders: Folders, name: str) -> None:
        """Count one file that lies in these folders."""
        last, counts = self._current
        if folders != last:
            counts = self._counts[self._cut(folders)]
            self._current = folders, counts
        counts[0] += 1
        counts[1] += has_image_suffix(name)
        if not folders:
            self._first_files = sorted([*self._first_files, name])[:NAMED_IN_ERROR]
        if len(self._counts) > self._cut_at:
            self._cut_all()

    def layout(self) -> Layout:
        """The layout that the images have; that of all files where none is an image by its name.

        Folders that hold everything else are looked through. It is `train/` and its likes, above the classes, that make splits. Without `test/`
        the images of `train/` are of no split.
        """
        images = self._image_folders() or list(self._counts)
        wrapping = _wrapping(images)
        tops = {folders[len(wrapping)].lower() for folders in images if len(folders) > len(wrapping)}
        splits = [SPLITS[top] for top in tops if top in SPLITS]
        if "train" not in splits or (len(set(splits)) == 1 and len(splits) < len(tops)):
            return Layout(wrapping, {})
        return Layout(wrapping, SPLITS if "test" in splits else {**SPLITS, "train": None, "training": None})

    def splits_without_train(self, layout: Layout) -> list[str]:
        """The folders that hold all images, where they are test/ and val/ with folders inside; none where they are classes or have train/."""
        depth = len(layout.wrapping)
        below = [folders[depth:] for folders in self._image_folders() or self._counts if len(folders) > depth]
        is_other_split = all(len(names) > 1 and SPLITS.get(names[0].lower(), "train") != "train" for names in below)
        return sorted({names[0] for names in below}) if is_other_split else []

    def has_images(self) -> bool:
        """Whether any file is an image by its name."""
        return bool(self._image_folders())

    def labels(self, layout: Layout) -> dict[str, int]:
        """How many files each class has."""
        labels: defaultdict[str, int] = defaultdict(int)
        for folders, (files, _) in self._counts.items():
            place = layout.place(folders)
            if isinstance(place, Place):
                labels[place.label] += files
        return dict(labels)

    def describe(self) -> str:
        """What lies at the top, for a person who expected something else."""
        folders = {folders[0] for folders in self._counts if folders}
        tops = sorted({*folders, *self._first_files})[:NAMED_IN_ERROR]
        files = self._counts[()][0] if () in self._counts else 0
        more = len(folders) + files - len(tops)
        return (", ".join(tops) or "nothing") + (f" and {more:,} more" if more else "")

    def _image_folders(self) -> list[Folders]:
        return [folders for folders, (_, images) in self._counts.items() if images]

    def _cut(self, folders: Folders) -> Folders:
        """Folders down to the class: the first below the wrapping, or the second if the first may be a split."""
        if self._wrapping is None:
            return folders
        depth = len(self._wrapping) + 1
        return folders[: depth + 1] if len(folders) > depth and folders[depth - 1].lower() in SPLITS else folders[:depth]

    def _cut_all(self) -> None:
        """Forget the folders below the classes. More images can only make the wrapping shorter, so this never forgets too much."""
        images = self._image_folders()
        if images:
            self._wrapping = _wrapping(images)
            counts, self._counts = self._counts, defaultdict(lambda: [0, 0])
            for folders, (files, of_images) in counts.items():
                cut = self._counts[self._cut(folders)]
                cut[0] += files
                cut[1] += of_images
            self._current = (None, [])
        self._cut_at = max(FOLDERS_BEFORE_CUT, 2 * len(self._counts))


@dataclass(frozen=True)
class ReadFile:
    """Reads one file; a value, so that it can be sent to another process. Raises ImageError for what is gone or no regular file any more."""

    path: str

    def __call__(self) -> bytes:
        try:
            with io.FileIO(self.path, opener=_open_without_waiting) as file:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return file.readall()
        except FileNotFoundError:
            raise ImageError("gone since it was listed", "missing") from None
        except IsADirectoryError:
            pass
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror}", "unreadable") from None
        raise ImageError("not a regular file any more", "special")


def open_folder(root: Path) -> Source:
    """The images in a folder of class folders, sorted by path. Raises SourceError without images, or with one class only.

    A link to a file in the folder is followed, any other is not. What may not be read, and what is no regular file, is left out.
    """
    skipped: list[LeftOut] = []
    layout, count = survey_files(root, _Walk(str(root), skipped), skipped)
    left_out: list[LeftOut] = []
    records = place_files(layout, _Walk(str(root), left_out), _record, left_out)
    return Source(source_name(root), None, records, count, left_out)


def survey_files(source: Path, files: Iterable[tuple[Folders, str, T]], skipped: list[LeftOut]) -> tuple[Layout, int]:
    """(the layout that files have, how many of them are in class folders), from the folders and the name of each.

    Raises NoClassFolders where none is, naming the first of `skipped` too, and SourceError where all are of one class or there is no train/.
    """
    survey = Survey()
    for folders, name, _ in files:
        survey.add(folders, name)
    layout = survey.layout()
    labels = survey.labels(layout)
    if not labels:
        example = f", and {len(skipped):,} left out, for example {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise NoClassFolders(source, survey.describe() + example)
    if without_train := survey.splits_without_train(layout):
        inside = "/".join((str(source), *layout.wrapping))
        raise SourceError(
            f"ingest.source: {inside} has {'/ and '.join(without_train)}/, but no train/. Add train/ with the images to learn from, "
            f"or take the class folders out of {without_train[0]}/ to have them split by ingest.test_fraction."
        )
    if len(labels) == 1 and not survey.has_images():
        raise NoClassFolders(source, survey.describe() + "; no file is an image by its name")
    if len(labels) == 1:
        raise SourceError(
            f"ingest.source: all images of {source} are of one class, {min(labels)}. Two or more are needed, each in a folder of its own."
        )
    return layout, sum(labels.values())


def place_files(
    layout: Layout, files: Iterable[tuple[Folders, str, T]], record: Callable[[str, Place, T], Record | LeftOut], left_out: list[LeftOut]
) -> Iterator[Record]:
    """What `record` makes of each file in a class folder, in the order given; images that lie elsewhere are added to what is left out.

    Files elsewhere that are no images by their name are left alone.
    """
    last, place = None, layout.place(())
    for folders, name, file in files:
        if folders != last:
            last, place = folders, layout.place(folders)
        if isinstance(place, Place):
            found = record(place.prefix + name, place, file)
            if isinstance(found, Record):
                yield found
            else:
                left_out.append(found)
        elif has_image_suffix(name):
            left_out.append(LeftOut("/".join((*folders, name)), "stray", place))


def images_below(root: Path) -> Iterator[str]:
    """The path below a folder of each file in it that is an image by its name, normalised; what is hidden or leads elsewhere is left alone."""
    return ("/".join((*folders, name)) for folders, name, _ in _Walk(str(root), []) if has_image_suffix(name))


def has_image_suffix(name: str) -> bool:
    """Whether a file is an image by its name."""
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES


def is_visible(path: PurePosixPath | str) -> bool:
    """Whether a path is a person's own, not hidden nor an operating system's."""
    return not any((part.startswith(".") and part not in (".", "..")) or part.lower() in SYSTEM_NAMES for part in str(path).split("/"))


def is_escaping(path: PurePosixPath | str) -> bool:
    """Whether a path leads out of the folder that it is relative to, on any operating system: absolute, `..`, `C:`, with `/` or with `\\`."""
    parts = str(path).replace("\\", "/").split("/")
    return not parts[0] or ".." in parts or re.match("[A-Za-z]:", parts[0]) is not None


def normalised(name: str) -> str:
    r"""A name in the one form that it is stored and compared in: composed (NFC), with \xe4 for a byte that is not UTF-8."""
    return name if name.isascii() else unicodedata.normalize("NFC", readable(name))


def name_clash(path: str, taken: str) -> LeftOut:
    """A file whose name is taken by another once both are normalised; both as they are found."""
    return LeftOut(readable(path), "name_clash", f"has the same name, once normalised, as {taken!a}, which is taken")


def _wrapping(folders: list[Folders]) -> Folders:
    """The folders that hold everything, as archives often have them; a class folder or a split is not one of them."""
    around = [names[:-1] for names in folders]
    shared = zip(min(around, default=()), max(around, default=()), strict=False)  # what these two share, all between them do
    return tuple(name for name, _ in itertools.takewhile(lambda pair: pair[0] == pair[1] and pair[0].lower() not in SPLITS, shared))


class _Folder(NamedTuple):
    """A folder by its normalised names below the source, and where it lies: in several places if their names differ in encoding alone."""

    names: Folders
    paths: list[str]


class _Walk:
    """(folders, name, path) of each regular file below a folder, sorted by folders and name; what is none is left out, and named.

    Hidden and system files are left alone. Holds the names of one folder at a time, and of those around it.
    """

    def __init__(self, source: str, left_out: list[LeftOut]) -> None:
        self._source = source
        self._inside = os.path.realpath(source).rstrip(os.sep) + os.sep
        self._left_out = left_out

    def __iter__(self) -> Iterator[tuple[Folders, str, str]]:
        entered = [self._contents(_Folder((), [self._source]))]  # a list, since folders can be nested deeper than calls
        while entered:
            for found in entered[-1]:
                if isinstance(found, _Folder):
                    entered.append(self._contents(found))
                    break
                yield found
            else:
                entered.pop()

    def _contents(self, folder: _Folder) -> Iterator[tuple[Folders, str, str] | _Folder]:
        """The files and folders in one folder, sorted by name. Of files with one name the first is taken."""
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
        """(the names in a folder in order, which of them are a `folder` or a `link`). Raises SourceError where the source itself cannot be read."""
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
                raise SourceError(f"ingest.source: {path} may not be read: {error.strerror}. Give yourself the right to.") from None
            self._leave_out(path, "unreadable", f"a folder that cannot be read: {error.strerror}")
        names.sort(key=None if all(map(str.isascii, names)) else _sort_key)  # the keys of many names take as much memory as these
        return names, kinds

    def _follow(self, link: str) -> str | None:
        """The regular file in the source that a link leads to; None, and left out, where it leads elsewhere."""
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
    """What an entry is that is no regular file."""
    if entry.is_symlink():
        return "link"
    return "folder" if entry.is_dir(follow_symlinks=False) else None


LINKED_FOLDER = "a link to a folder, not followed"


def _reason_not_to_follow(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return LINKED_FOLDER
    return "a link that leads out of the source" if stat.S_ISREG(mode) else "a link to what is not a regular file"


def _sort_key(name: str) -> tuple[str, str]:
    return normalised(name), name


def _named(path: str, names: list[str]) -> Iterator[tuple[str, str, str]]:
    """(normalised name, name as found, folder's path) of each name in a folder, to be merged with those of others."""
    return ((normalised(name), name, path) for name in names)


def _record(name: str, place: Place, path: str) -> Record | LeftOut:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return LeftOut(name, "missing", "gone since it was listed")
    except OSError as error:
        return LeftOut(name, "unreadable", f"cannot be read: {error.strerror}")
    if not stat.S_ISREG(status.st_mode):
        return LeftOut(name, "special", "not a regular file any more")
    return Record(name, place.label, place.split, None, status.st_size, ReadFile(path))


def _open_without_waiting(path: str, flags: int) -> int:
    """Opens a file; a FIFO is opened at once, too, instead of when somebody writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
