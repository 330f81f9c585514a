"""Class folders, on disk or in an archive: which class and split a file belongs to, from its relative path alone.

A source is read twice: once to detect its layout, once for its records. Neither pass keeps the names of the files.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from pipeline.errors import SourceError
from pipeline.listing.records import LeftOut, Record

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
FOLDERS_BEFORE_CUT = 1024
Folders: TypeAlias = tuple[str, ...]
T = TypeVar("T")


class NoClassFolders(SourceError):  # noqa: N818 - says what is not there
    """A source has no images in class folders. `found` says what is there instead."""

    def __init__(self, source: Path, found: str) -> None:
        super().__init__(f"ingest.source: no images in class folders at {source}. Found: {found}.")
        self.found = found


class Place(NamedTuple):
    """Where the files of a folder belong. `prefix` is the folder's path below the wrapping folders, with a trailing slash."""

    prefix: str
    label: str
    split: str | None


class Layout(NamedTuple):
    """The wrapping folders, which contain everything, and the split of each folder inside by lower-case name; empty if these are classes."""

    wrapping: Folders
    splits: Mapping[str, str | None]

    def place(self, folders: Folders) -> Place | str:
        """The place of the files in a folder, or the reason why they have none."""
        below = folders[len(self.wrapping) :]
        if folders[: len(self.wrapping)] != self.wrapping:
            return "not in a class folder"
        if self.splits and (not below or below[0].lower() not in self.splits):
            return "outside train/, test/ and val/"
        classes = below[1:] if self.splits else below
        if not classes:
            return "not in a class folder"
        return Place("/".join(below) + "/", classes[0], self.splits[below[0].lower()] if self.splits else None)


class Survey:
    """Counts the files of a source by folder. Keeps no file names, and only as many folder names as are needed to tell splits and classes."""

    def __init__(self) -> None:
        self._counts: defaultdict[Folders, list[int]] = defaultdict(lambda: [0, 0])  # all files, files with the extension of an image
        self._first_files: list[str] = []
        self._wrapping: Folders | None = None
        self._cut_at = FOLDERS_BEFORE_CUT
        self._current: tuple[Folders | None, list[int]] = (None, [])

    def add(self, folders: Folders, name: str) -> None:
        """Count one file in these folders."""
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
        """The layout of the images, or of all files if none has the extension of an image.

        Wrapping folders are skipped. `train/` and its synonyms above the classes mean that there are splits. Without `test/`, the images of
        `train/` have no split.
        """
        images = self._image_folders() or list(self._counts)
        wrapping = _wrapping(images)
        tops = {folders[len(wrapping)].lower() for folders in images if len(folders) > len(wrapping)}
        splits = [SPLITS[top] for top in tops if top in SPLITS]
        if "train" not in splits or (len(set(splits)) == 1 and len(splits) < len(tops)):
            return Layout(wrapping, {})
        return Layout(wrapping, SPLITS if "test" in splits else {**SPLITS, "train": None, "training": None})

    def splits_without_train(self, layout: Layout) -> list[str]:
        """The top folders, if they are test/ and val/ with folders inside; empty if they are classes or include train/."""
        depth = len(layout.wrapping)
        below = [folders[depth:] for folders in self._image_folders() or self._counts if len(folders) > depth]
        is_other_split = all(len(names) > 1 and SPLITS.get(names[0].lower(), "train") != "train" for names in below)
        return sorted({names[0] for names in below}) if is_other_split else []

    def splits_among_classes(self, layout: Layout) -> list[str]:
        """The folders that look like classes, but are called as a split is and have folders inside that are called as other classes are."""
        if layout.splits:
            return []
        below = [folders[len(layout.wrapping) :] for folders in self._image_folders() or self._counts]
        classes = {names[0] for names in below if names}
        return sorted({names[0] for names in below if len(names) > 1 and names[0].lower() in SPLITS and names[1] in classes - {names[0]}})

    def has_images(self) -> bool:
        """Whether any file has the extension of an image."""
        return bool(self._image_folders())

    def labels(self, layout: Layout) -> dict[str, int]:
        """The number of files per class."""
        labels: defaultdict[str, int] = defaultdict(int)
        for folders, (files, _) in self._counts.items():
            place = layout.place(folders)
            if isinstance(place, Place):
                labels[place.label] += files
        return dict(labels)

    def describe(self) -> str:
        """The names at the top level, for an error message."""
        folders = {folders[0] for folders in self._counts if folders}
        tops = sorted({*folders, *self._first_files})[:NAMED_IN_ERROR]
        files = self._counts[()][0] if () in self._counts else 0
        more = len(folders) + files - len(tops)
        return (", ".join(tops) or "nothing") + (f" and {more:,} more" if more else "")

    def _image_folders(self) -> list[Folders]:
        return [folders for folders, (_, images) in self._counts.items() if images]

    def _cut(self, folders: Folders) -> Folders:
        """The folders down to the class: the first below the wrapping folders, or the second if the first may be a split."""
        if self._wrapping is None:
            return folders
        depth = len(self._wrapping) + 1
        return folders[: depth + 1] if len(folders) > depth and folders[depth - 1].lower() in SPLITS else folders[:depth]

    def _cut_all(self) -> None:
        """Forget the folders below the classes. More images can only reduce the wrapping folders, so nothing is lost."""
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


def survey_files(source: Path, files: Iterable[tuple[Folders, str, T]], skipped: list[LeftOut]) -> tuple[Layout, int]:
    """(layout, number of files in class folders), from the folders and the name of each file.

    Raises NoClassFolders if there are none, naming the first of `skipped`, and SourceError if there is only one class or no train/.
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
            f"ingest.source: {inside} has {'/ and '.join(without_train)}/, but no train/. Add train/ with the training images, "
            f"or move the class folders out of {without_train[0]}/ to have them split by ingest.test_fraction."
        )
    if splits := survey.splits_among_classes(layout):
        inside = "/".join((str(source), *layout.wrapping))
        raise SourceError(
            f"ingest.source: {inside}/{splits[0]} can be a split, since folders of classes beside it are in it again, or a class, since it is beside "
            f"them. If it is a split, move the class folders beside it into train/. If it is a class, rename it."
        )
    if len(labels) == 1 and not survey.has_images():
        raise NoClassFolders(source, survey.describe() + "; no file has the extension of an image")
    if len(labels) == 1:
        raise SourceError(
            f"ingest.source: all images of {source} are of one class, {min(labels)}. At least two are needed, each in its own folder."
        )
    return layout, sum(labels.values())


def place_files(
    layout: Layout, files: Iterable[tuple[Folders, str, T]], record: Callable[[str, Place, T], Record | LeftOut], left_out: list[LeftOut]
) -> Iterator[Record]:
    """The result of `record` for each file in a class folder, in the given order. Images elsewhere are added to `left_out`.

    Other files elsewhere are ignored.
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


def has_image_suffix(name: str) -> bool:
    """Whether a file has the extension of an image."""
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES


def _wrapping(folders: list[Folders]) -> Folders:
    """The wrapping folders, which contain everything, as is common in archives; never a class folder or a split."""
    around = [names[:-1] for names in folders]
    shared = zip(min(around, default=()), max(around, default=()), strict=False)  # what the first and the last share, all in between share
    return tuple(name for name, _ in itertools.takewhile(lambda pair: pair[0] == pair[1] and pair[0].lower() not in SPLITS, shared))
