"""Class folders, on disk or in an archive: which class and split a file belongs to, from its relative path alone; and the reader of a folder."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.errors import SourceError
from pipeline.stores.records import LAYOUTS, Record, Source, readable, source_name

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
NAMED_IN_ERROR = 5
SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx", "icon\r"}


@dataclass(frozen=True)
class Entry:
    """One regular file of a source, by its relative path."""

    path: PurePosixPath
    size_bytes: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Place:
    """Where an image belongs. `name` is its path below the folders that hold everything; `split` is None in a source without train/."""

    name: str
    label: str
    split: str | None


def open_folder(root: Path) -> Source:
    """The images in a folder of class folders. Links to files are followed, links to folders are not."""
    entries, rejected = [], []
    for path in _walk(root):
        relative = PurePosixPath(path.relative_to(root).as_posix())
        if path.is_file():
            entries.append(Entry(relative, path.stat().st_size, path.read_bytes))
        elif is_visible(relative):
            rejected.append((readable(str(relative)), "a link, not followed" if path.is_symlink() else "not a regular file"))
    return arrange(root, entries, rejected)


def arrange(source: Path, entries: Iterable[Entry], rejected: list[tuple[str, str]]) -> Source:
    """The records of files `[split/]class/…/image`, sorted by path. Raises SourceError without images, or with one class only."""
    by_path = {entry.path: entry for entry in entries}
    places, strays = place_files(by_path)
    if not places:
        raise SourceError(f"ingest.source: no images in class folders at {source}. Looked for: {LAYOUTS}. Found: {_describe(by_path)}.")
    labels = {place.label for place in places.values()}
    if len(labels) == 1:
        raise SourceError(
            f"ingest.source: all images of {source} are of one class, {labels.pop()}. Two or more are needed, each in a folder of its own."
        )
    records = [
        Record(place.name, place.label, place.split, by_path[path].size_bytes, by_path[path].read)
        for path, place in sorted(places.items(), key=lambda item: item[0].parts)
    ]
    return Source(source_name(source), None, records, len(records), [*rejected, *strays])


def place_files(paths: Iterable[PurePosixPath]) -> tuple[dict[PurePosixPath, Place], list[tuple[str, str]]]:
    """(the place of each file in a class folder, path and reason of the images that lie elsewhere or would leave the source).

    Folders that hold everything else are looked through. It is `train/` and its likes, above the classes, that make splits. Hidden and system
    files are left alone; so are files outside of class folders that are no images by their name.
    """
    visible = [path for path in paths if is_visible(path)]
    escaping = [path for path in visible if is_escaping(path)]
    inside = [path for path in visible if not is_escaping(path)]
    images = [path for path in inside if path.suffix.lower() in IMAGE_SUFFIXES] or inside
    wrapping = _wrapping(images)
    has_splits = _has_splits({path.relative_to(wrapping).parts[0] for path in images if len(path.relative_to(wrapping).parts) > 1})
    places, strays = {}, [(readable(str(path)), "its path leads out of the source") for path in escaping]
    for path in inside:
        found = _place(path, wrapping, has_splits)
        if isinstance(found, Place):
            places[path] = found
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            strays.append((readable(str(path)), found))
    return places, strays


def is_visible(path: PurePosixPath) -> bool:
    """Whether a path is a person's own, not hidden nor an operating system's."""
    return not any((part.startswith(".") and part != "..") or part.lower() in SYSTEM_NAMES for part in path.parts)


def is_escaping(path: PurePosixPath) -> bool:
    """Whether a path leads out of the folder that it is relative to."""
    return path.is_absolute() or ".." in path.parts


def _walk(root: Path) -> Iterator[Path]:
    """Everything below a folder that is not itself a folder; a link to a folder counts as a file."""
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = sorted(name for name in folders if is_visible(PurePosixPath(name)))
        yield from (Path(folder) / name for name in sorted([*names, *links]))


def _wrapping(images: list[PurePosixPath]) -> PurePosixPath:
    """The folders that hold everything, as archives often have them; a class folder or a split is not one of them."""
    wrapping = PurePosixPath()
    while True:
        inside = [path.relative_to(wrapping).parts for path in images]
        tops = {parts[0] for parts in inside}
        if len(tops) != 1 or any(len(parts) < 3 for parts in inside) or next(iter(tops)).lower() in SPLITS:
            return wrapping
        wrapping /= tops.pop()


def _has_splits(folders: set[str]) -> bool:
    """Whether top folders are splits: train/ with test/ or val/, or train/ alone. A class may well be called train, beside others."""
    splits = [SPLITS[folder.lower()] for folder in folders if folder.lower() in SPLITS]
    return "train" in splits and (len(set(splits)) > 1 or len(splits) == len(folders))


def _place(path: PurePosixPath, wrapping: PurePosixPath, has_splits: bool) -> Place | str:
    """The place of a file, or why it has none."""
    if not path.is_relative_to(wrapping):
        return "lies in no class folder"
    parts = path.relative_to(wrapping).parts
    split = SPLITS.get(parts[0].lower()) if has_splits else None
    if has_splits and split is None:
        return "lies outside of train/, test/ and val/"
    folders = parts[1:-1] if has_splits else parts[:-1]
    if not folders:
        return "lies in no class folder"
    return Place(readable("/".join(parts)), unicodedata.normalize("NFC", readable(folders[0])), split)


def _describe(paths: Iterable[PurePosixPath]) -> str:
    """What lies at the top, for a person who expected something else."""
    tops = sorted({readable(path.parts[0]) for path in paths if is_visible(path)})
    more = f" and {len(tops) - NAMED_IN_ERROR:,} more" if len(tops) > NAMED_IN_ERROR else ""
    return (", ".join(tops[:NAMED_IN_ERROR]) or "nothing") + more
