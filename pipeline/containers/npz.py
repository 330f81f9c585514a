"""NumPy arrays of images and labels, in a .npz, one .npz per split, or .npy files, as in Keras's MNIST (x_train, y_train, …) and in MedMNIST.

Which axis counts the images is known from the number of labels. Images are read some hundred at a time.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.containers.array_images import Kind, Layout, kind_of, layouts_of, to_pixels
from pipeline.containers.array_labels import class_names_in, label_texts
from pipeline.containers.in_memory import Pixels, suffix_of
from pipeline.containers.npy_arrays import StoredArray, arrays_in, blocks, refuse_objects
from pipeline.errors import SourceError
from pipeline.listing.names import is_visible
from pipeline.listing.records import LeftOut, Reading, Record, readable
from pipeline.listing.split_words import FILLERS, WORDS, split_of_name, words_of
from pipeline.tables.cells import numeric_order

IMAGES = {"x", "image", "images", "img", "imgs", "data", "pixels"}
LABELS = {"y", "label", "labels", "target", "targets"}
CLASS_NAMES = {"class_names", "classes", "label_names", "target_names"}
SUFFIXES = (".npz", ".npy")
UNNAMED = "arr_0"


class _Role(NamedTuple):
    """What a name says of an array: images, labels, class_names or nothing; its split; and the other words."""

    kind: str
    split: str | None
    rest: tuple[str, ...]


class _Named(NamedTuple):
    """An array with its role, and the data set that it belongs to: its file's path without splits."""

    array: StoredArray
    role: _Role
    data_set: tuple[str, ...]


@dataclass(frozen=True)
class _Part:
    """The images of a split, and the text of their labels; "" if there is none."""

    images: StoredArray
    split: str | None
    layout: Layout
    labels: list[str]


def candidates(paths: Sequence[str]) -> list[str]:
    """The .npz and .npy files."""
    return [path for path in paths if path.lower().endswith(SUFFIXES) and is_visible(path)]


def read(files: Mapping[str, Path]) -> Reading | None:
    """The images of arrays that are called images and labels, x_train and y_train, ….

    Raises SourceError for several sets of them, and for arrays that do not match, or can be understood in two ways.
    """
    named = [_named(array) for path in sorted(candidates(list(files))) for array in arrays_in(path, files[path])]
    sets: dict[tuple[str, ...], list[_Named]] = {}
    for one in named:
        sets.setdefault(one.data_set, []).append(one)
    sets = {key: inside for key, inside in sets.items() if {"images", "labels"} <= {one.role.kind for one in inside}}
    if not sets:
        return None
    if len(sets) > 1:
        places = " and ".join(inside[0].array.path for inside in sets.values())
        raise SourceError(f"ingest.source: there is more than one set of arrays: {places}. Set ingest.source to one of them.")
    return _reading(sets.popitem()[1])


def _reading(named: list[_Named]) -> Reading:
    names = class_names_in([one.array for one in named if one.role.kind == "class_names"])
    parts = [_open_part(one, named, names) for one in named if one.role.kind == "images"]
    if twice := [part for part in parts if [other.split for other in parts].count(part.split) > 1]:
        raise SourceError(
            f"ingest.source: there are images twice: {', '.join(str(part.images) for part in twice)}. Expected one array per split."
        )
    counts = Counter((part.split, label) for part in parts for label in part.labels if label)
    _refuse_one_class_per_image(parts, counts)
    kind = kind_of([(part.images, part.layout) for part in sorted(parts, key=lambda part: part.split != "train")])
    left_out = [
        LeftOut(readable(str(one.array)), "stray", "an array that is not read: its name says neither images nor labels")
        for one in named
        if not one.role.kind and len(one.array.shape) > 2
    ]

    def records(missing: list[LeftOut]) -> Iterator[Record]:
        return (record for part in parts for record in _records(part, kind, missing))

    return Reading("NumPy arrays", "ingest.format: npz", names or numeric_order({label for _, label in counts}), counts, records, left_out)


def _named(array: StoredArray) -> _Named:
    """An array with what its name and those of its file and folders say. Raises SourceError if they say different splits."""
    file = PurePosixPath(array.path)
    by_file = array.member is None or array.name == UNNAMED
    role, of_file = _role(file.stem if by_file else array.name), _role(file.stem)
    folders = [(folder, split_of_name(folder)) for folder in file.parts[:-1]]
    splits = {split for split in (role.split, of_file.split, *(split for _, split in folders)) if split}
    if len(splits) > 1 and role.kind:
        raise SourceError(f"ingest.source: {array} names two splits, {' and '.join(sorted(splits))}. Expected one: rename it.")
    is_features = role.kind == "images" and len(array.shape) < 3 and not array.dtype.hasobject
    if is_features or (role.rest and not by_file):
        role = role._replace(kind="")
    kind_of_file = ("",) if by_file else (file.suffix, *(of_file.rest if of_file.split else (file.stem,)))
    data_set = (*(folder for folder, split in folders if not split), *kind_of_file, *(role.rest if by_file else ()))
    return _Named(array, role._replace(split=next(iter(splits), None)), data_set)


def _role(name: str) -> _Role:
    """What a name says; of several words for kinds, as in image_labels, the last one counts."""
    if name.lower() in CLASS_NAMES:
        return _Role("class_names", None, ())
    words = words_of(name)
    splits = {WORDS[word] for word in words if word in WORDS}
    kinds = [word for word in words if word in IMAGES | LABELS]
    rest = tuple(word for word in words if word not in WORDS and word not in IMAGES | LABELS | FILLERS)
    kind = "" if not kinds or len(splits) > 1 else "images" if kinds[-1] in IMAGES else "labels"
    return _Role(kind, splits.pop() if len(splits) == 1 else None, rest)


def _open_part(images: _Named, named: list[_Named], class_names: list[str] | None) -> _Part:
    """The images of a split with their labels. Raises SourceError if they do not match."""
    array, split = images.array, images.role.split
    refuse_objects(array)
    beside = [one.array for one in named if (one.role.kind, one.role.split) == ("labels", split)]
    if len(beside) != 1:
        found = ", ".join(map(str, beside)) or "none"
        raise SourceError(f"ingest.source: {array}: expected one array of labels for these images, found {found}.")
    labels = label_texts(beside[0], class_names)
    fitting = layouts_of(array.shape, len(labels))
    if array.dtype.kind not in "biuf" or not fitting:
        raise SourceError(
            f"ingest.source: {array} should be numbers of {len(labels):,} images, as many as {beside[0].name} has labels, in the shape (N, H, W), "
            f"(N, H, W, C), (N, C, H, W), (H, W, N) or (H, W, C, N) with 1, 3 or 4 channels. Found {array.dtype} {array.shape}."
        )
    if len(fitting) > 1:
        orders = " or ".join(f"({layout.order})" for layout in fitting)
        raise SourceError(
            f"ingest.source: {array} of shape {array.shape} with {len(labels):,} labels can be {orders}. Save grey images as (N, H, W, 1), "
            "or each image as a PNG in a folder of its class."
        )
    return _Part(array, split, fitting[0], labels)


def _refuse_one_class_per_image(parts: list[_Part], counts: Mapping[tuple[str | None, str], int]) -> None:
    """Raise SourceError if no label is used twice: such numbers are measurements or names of images, not classes."""
    classes, images = {label for _, label in counts}, sum(counts.values())
    if len(classes) == images:
        found = "no image has a label" if not images else f"all of its {images:,} images have different labels"
        raise SourceError(f"ingest.source: {parts[0].images}: {found}. Expected classes, each of several images.")


def _records(part: _Part, kind: Kind, missing: list[LeftOut]) -> Iterator[Record]:
    stem = f"{part.images.path}/{part.images.name}" if part.images.member else part.images.path.removesuffix(".npy")
    digits = len(str(len(part.labels) - 1))
    numbered = enumerate(part.labels)
    for block in blocks(part.images, part.layout.image_axis):
        for pixels in to_pixels(block, part.layout, kind):
            i, label = next(numbered)
            path = f"{readable(stem)}/{i:0{digits}d}{suffix_of(pixels.dtype)}"
            if label:
                yield Record(path, label, part.split, None, pixels.nbytes, Pixels(pixels))
            else:
                missing.append(LeftOut(path, "unlabelled", "its label is empty"))
