"""NumPy archives (.npz) of images and labels, as in Keras's MNIST (x_train, y_train, …) and in MedMNIST (train_images, …).

Arrays are read some hundred images at a time, from the archive, and become PNGs. Nothing pickled is ever loaded: it can run code.
"""

import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from pipeline.containers.idx import Pixels, images_at_once
from pipeline.errors import SourceError
from pipeline.listing.cells import numeric_order, text_of
from pipeline.listing.names import NAMED_IN_ERROR
from pipeline.listing.records import Record, Source, readable, source_name
from pipeline.listing.split_words import WORDS as SPLITS

IMAGES = {"x", "image", "images", "imgs", "data", "pixels"}
LABELS = {"y", "label", "labels", "target", "targets"}
CLASS_NAMES = {"class_names", "classes", "label_names", "target_names"}
EXPECTED = "images and labels (x_train and y_train, train_images and train_labels, images and labels, X and y, data and target)"


class _Member(NamedTuple):
    """One array of an archive: split and kind by its name, the rest from its header. `by_columns`: stored in Fortran order."""

    name: str
    split: str | None
    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype
    by_columns: bool


@dataclass(frozen=True)
class _Part:
    """The images of a split, (N, H, W), (N, H, W, 1) or (N, H, W, 3), and the text of their labels."""

    images: _Member
    labels: list[str]


def open_npz(path: Path, name: Path) -> Source:
    """The images of a .npz; the data set is named after `name`. Raises SourceError for arrays that do not match or are no images."""
    members = _members(path)
    names = _class_names(path, members)
    parts = [_open_part(path, images, members, names) for images in members if images.kind == "images"]
    if not parts:
        raise SourceError(f"ingest.source: {path} should have {EXPECTED}. Found: {_describe(path)}.")
    splits = [part.images.split for part in parts]
    if len(set(splits)) < len(splits):
        raise SourceError(
            f"ingest.source: {path} has images twice: {', '.join(part.images.name for part in parts)}. Expected one array per split."
        )
    labels = {label for part in parts for label in part.labels}
    if len(labels) < 2:
        raise SourceError(f"ingest.source: all images of {path} are of one class, {min(labels, default='none')}. At least two are needed.")
    scale = _scale(path, [part.images for part in parts])
    records = (record for part in parts for record in _records(path, part, scale, has_test="test" in splits))
    return Source(source_name(name), names or numeric_order(labels), records, sum(len(part.labels) for part in parts))


def _members(path: Path) -> list[_Member]:
    """The arrays of images, labels and class names. Raises SourceError for arrays of Python objects, and for truncated ones."""
    members = []
    with _naming_damage(path), zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            split, kind = _role(info.filename.removesuffix(".npy"))
            if kind and info.filename.endswith(".npy"):
                with archive.open(info) as file:
                    shape, by_columns, dtype = _read_header(file)
                    size_bytes = file.tell() + math.prod(shape) * dtype.itemsize
                if dtype.hasobject:
                    raise SourceError(
                        f"ingest.source: {path}: {info.filename} holds Python objects, which are not loaded, since they can run code. "
                        "Save it as one array of numbers or text: numpy.savez(file, images=numpy.stack(images), …)."
                    )
                if size_bytes > info.file_size:
                    raise SourceError(f"ingest.source: {path} is damaged: {info.filename} ends too early. Get the file again.")
                members.append(_Member(info.filename, split, kind, shape, dtype, by_columns))
    return members


def _role(name: str) -> tuple[str | None, str]:
    """(split, kind) of an array by its name, with the split before or after; the kind is empty for other names."""
    if name.lower() in CLASS_NAMES:
        return None, "class_names"
    words = re.split(r"[_-]", name.lower())
    splits = [SPLITS[word] for word in words if word in SPLITS]
    rest = [word for word in words if word not in SPLITS]
    if len(splits) > 1 or len(rest) != 1:
        return None, ""
    return (splits[0] if splits else None), "images" if rest[0] in IMAGES else "labels" if rest[0] in LABELS else ""


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(file)
    return npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)


def _open_part(path: Path, images: _Member, members: list[_Member], class_names: list[str] | None) -> _Part:
    """The images of a split with their labels. Raises SourceError if they do not match."""
    if (
        len(images.shape) not in (3, 4)
        or images.shape[3:] not in ((), (1,), (3,))
        or not all(images.shape)
        or images.dtype.kind not in "biuf"
    ):
        raise SourceError(
            f"ingest.source: {path}: {images.name} should be numbers of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), "
            f"found {images.dtype} {images.shape}."
        )
    beside = [member for member in members if (member.kind, member.split) == ("labels", images.split)]
    if len(beside) != 1:
        found = ", ".join(member.name for member in beside) or "none"
        raise SourceError(f"ingest.source: {path}: expected one array of labels for {images.name}, found {found}.")
    count = images.shape[0]
    if beside[0].shape not in ((count,), (count, 1)):
        raise SourceError(
            f"ingest.source: {path}: {beside[0].name} has the shape {beside[0].shape}. Expected one label for each of {count:,} images."
        )
    return _Part(images, _label_texts(path, beside[0], class_names))


def _label_texts(path: Path, labels: _Member, class_names: list[str] | None) -> list[str]:
    """The text of each label: its class name, if there are class names. Raises SourceError for a number without a name."""
    values = _read_array(path, labels).reshape(-1)
    unique, places = np.unique(values, return_inverse=True)
    texts = [text_of(value, labels.name) for value in unique.tolist()]
    if class_names is not None and values.dtype.kind in "iuf":
        if not all(text.isdecimal() and int(text) < len(class_names) for text in texts):
            raise SourceError(
                f"ingest.source: {path}: {labels.name} goes from {texts[0]} to {texts[-1]}, but {len(class_names)} classes are named, from 0."
            )
        texts = [class_names[int(text)] for text in texts]
    if "" in texts or (class_names is not None and not set(texts) <= set(class_names)):
        raise SourceError(f"ingest.source: {path}: {labels.name} has labels that are empty or not among the class names.")
    return [texts[place] for place in places.reshape(-1).tolist()]


def _class_names(path: Path, members: list[_Member]) -> list[str] | None:
    named = [member for member in members if member.kind == "class_names"]
    if not named:
        return None
    values = _read_array(path, named[0])
    if values.dtype.kind != "U" or values.ndim != 1 or len(set(values.tolist())) < len(values):
        raise SourceError(
            f"ingest.source: {path}: {named[0].name} should be a list of names, each once. Found {values.dtype} {values.shape}."
        )
    return [text_of(name, named[0].name) for name in values.tolist()]


def _records(path: Path, part: _Part, scale: float, *, has_test: bool) -> Iterator[Record]:
    split = part.images.split if has_test or part.images.split != "train" else None
    stem = readable(part.images.name.removesuffix(".npy"))
    digits = len(str(len(part.labels) - 1))
    numbered = enumerate(part.labels)
    for block in _blocks(path, part.images):
        images = block if block.dtype == np.uint8 else np.rint(block * scale).astype(np.uint8)
        for pixels in images[..., 0] if images.shape[3:] == (1,) else images:
            i, label = next(numbered)
            yield Record(f"{stem}/{i:0{digits}d}.png", label, split, None, pixels.nbytes, Pixels(pixels))


def _scale(path: Path, arrays: list[_Member]) -> float:
    """The factor that scales the values to 0 to 255: 255 for booleans and for fractions from 0 to 1. Raises SourceError for other ranges."""
    if all(array.dtype == np.uint8 for array in arrays):
        return 1
    limits = np.array([(block.min(), block.max()) for array in arrays for block in _blocks(path, array)], np.float64)
    least, most = limits.min(), limits.max()
    if not (least >= 0 and most <= 255):
        raise SourceError(
            f"ingest.source: {path}: the images of {arrays[0].name} have values from {least:g} to {most:g}. "
            "Expected 0 to 255, or fractions from 0 to 1: scale them before they are saved."
        )
    return 255 if most <= 1 and all(array.dtype.kind in "bf" for array in arrays) else 1


def _blocks(path: Path, images: _Member) -> Iterator[np.ndarray]:
    """The images of an array, some hundred at a time; all at once if stored in Fortran order."""
    if images.by_columns:
        yield _read_array(path, images)
        return
    image_bytes = math.prod(images.shape[1:]) * images.dtype.itemsize
    at_once = images_at_once(image_bytes)
    with _naming_damage(path), zipfile.ZipFile(path) as archive, archive.open(images.name) as file:
        _read_header(file)
        for first in range(0, images.shape[0], at_once):
            count = min(at_once, images.shape[0] - first)
            yield np.frombuffer(file.read(count * image_bytes), images.dtype).reshape(count, *images.shape[1:])


def _read_array(path: Path, member: _Member) -> np.ndarray:
    """A whole array; bytes are decoded to text."""
    with _naming_damage(path), zipfile.ZipFile(path) as archive, archive.open(member.name) as file:
        values: np.ndarray = npy.read_array(file, allow_pickle=False)
        return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values


@contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"ingest.source: {path} is damaged or encrypted: {error}. Get the file again.") from None


def _describe(path: Path) -> str:
    """The arrays of an archive, for an error message."""
    with zipfile.ZipFile(path) as archive:
        names = [readable(name) for name in archive.namelist()]
    more = f" and {len(names) - NAMED_IN_ERROR:,} more" if len(names) > NAMED_IN_ERROR else ""
    return (", ".join(names[:NAMED_IN_ERROR]) or "nothing") + more
