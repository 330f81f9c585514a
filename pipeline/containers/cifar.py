"""CIFAR-10 and CIFAR-100 as published: the Python version (data_batch_1, …, train, test) and the binary one (data_batch_1.bin, …, train.bin, test.bin).

Images are 32 x 32 px. Pickles are read without unpickling them.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from pipeline.containers.in_memory import Pixels, images_at_once
from pipeline.containers.plain_pickle import ByteArray, Stretch, load_plain, starts_like_pickle
from pipeline.errors import SourceError
from pipeline.listing.names import is_visible, normalised
from pipeline.listing.records import LeftOut, Reading, Record, readable


class _Version(NamedTuple):
    """One of the four forms: the names of its batches; the labels of an image and how many there are, the usual ones last; the file with their names."""

    title: str
    batches: re.Pattern[str]
    labels: tuple[str, ...]
    classes: tuple[int, ...]
    names_file: str
    is_pickled: bool


IMAGE_SHAPE = (3, 32, 32)
IMAGE_BYTES = 3 * 32 * 32
VERSIONS = (
    _Version("CIFAR-10", re.compile(r"data_batch_\d+|test_batch"), ("labels",), (10,), "batches.meta", True),
    _Version("CIFAR-10", re.compile(r"(data_batch_\d+|test_batch)\.bin"), ("labels",), (10,), "batches.meta.txt", False),
    _Version("CIFAR-100", re.compile(r"train|test"), ("coarse_labels", "fine_labels"), (20, 100), "meta", True),
    _Version("CIFAR-100", re.compile(r"(train|test)\.bin"), ("coarse_labels", "fine_labels"), (20, 100), "{label}_names.txt", False),
)


@dataclass(frozen=True)
class _Batch:
    """A file of images: its path in the source and on disk, the label and perhaps the name of each, and where their pixels are.

    A row of `row_bytes` ends with the pixels of an image.
    """

    path: str
    file: Path
    labels: list[int]
    names: list[str] | None
    pixels: bytes | Stretch
    row_bytes: int = IMAGE_BYTES

    def images(self) -> Iterator[np.ndarray]:
        """Each image, uint8 (32, 32, 3), read some hundred at a time."""
        at_once = images_at_once(self.row_bytes)
        with self.file.open("rb") as file:
            file.seek(self.pixels.offset if isinstance(self.pixels, Stretch) else 0)
            for first in range(0, len(self.labels), at_once):
                count = min(at_once, len(self.labels) - first)
                start, length = first * self.row_bytes, count * self.row_bytes
                content = self.pixels[start : start + length] if isinstance(self.pixels, bytes) else file.read(length)
                if len(content) < length:
                    raise SourceError(f"ingest.source: {self.path} ends too early. Get the file again.")
                rows = np.frombuffer(content, np.uint8).reshape(count, self.row_bytes)
                yield from np.ascontiguousarray(rows[:, -IMAGE_BYTES:].reshape(count, *IMAGE_SHAPE).transpose(0, 2, 3, 1))


def candidates(paths: Sequence[str]) -> list[str]:
    """The batches, and the files with the names of classes, by the names that they are published under."""
    names = {version.names_file.format(label=label[:-1]) for version in VERSIONS for label in version.labels}
    return [path for path in paths if is_visible(path) and (_version(path) or PurePosixPath(path).name in names)]


def read(files: Mapping[str, Path], label: str | None = None) -> Reading | None:
    """The images of one of the data sets; `label` chooses labels of CIFAR-100: fine_labels (the usual ones) or coarse_labels.

    Raises SourceError for damaged files, for pickles of anything else, and for several data sets.
    """
    sets: dict[tuple[str, _Version], list[str]] = {}
    for path in sorted(files):
        if version := _version(path):
            sets.setdefault((path.rpartition("/")[0], version), []).append(path)
    readings = [reading for key, paths in sets.items() if (reading := _read_set(*key, paths, files, label))]
    if len(readings) > 1:
        places = " and ".join(paths[0] for paths in sets.values())
        raise SourceError(f"ingest.source: there is more than one CIFAR: {places}. Set ingest.source to the folder of one.")
    return readings[0] if readings else None


def _version(path: str) -> _Version | None:
    return next((version for version in VERSIONS if version.batches.fullmatch(PurePosixPath(path).name)), None)


def _read_set(folder: str, version: _Version, paths: list[str], files: Mapping[str, Path], label: str | None) -> Reading | None:
    """The batches in one folder; None for other files of such names, `train` or `test.bin`."""
    label = label or version.labels[-1]
    if version.title == "CIFAR-100" and version.is_pickled and not any(starts_like_pickle(files[path]) for path in paths):
        return None
    if label not in version.labels:
        raise SourceError(f"ingest.source: {version.title} in {folder or paths[0]} has no {label}. It has {' and '.join(version.labels)}.")
    most = version.classes[version.labels.index(label)]
    batches = [_batch(path, files[path], version, label) for path in paths]
    read = [batch for batch in batches if batch and min(batch.labels) >= 0 and max(batch.labels) < most]
    if len(read) < len(batches):
        if version.title == "CIFAR-100" and not version.is_pickled:
            return None
        raise SourceError(
            f"ingest.source: of {', '.join(paths)}, not all are batches of {version.title} with labels from 0 to {most - 1}. Get the files again."
        )
    _refuse_gaps(paths)
    names = _class_names(folder, version, files, label, 1 + max(max(batch.labels) for batch in read))
    counts: Counter[tuple[str | None, str]] = Counter((_split(batch), names[number]) for batch in read for number in batch.labels)
    how = version.title + (f" with its {label}" if len(version.labels) > 1 else "")

    def records(_: list[LeftOut]) -> Iterator[Record]:
        return (record for batch in read for record in _records(batch, names))

    return Reading(how, "ingest.format: cifar", names, counts, records)


def _batch(path: str, file: Path, version: _Version, label: str) -> _Batch | None:
    return _pickled_batch(path, file, label) if version.is_pickled else _binary_batch(path, file, version.labels, label)


def _pickled_batch(path: str, file: Path, label: str) -> _Batch:
    """A batch of the Python version, with the labels of this name. Raises SourceError if it is none."""
    content = _pickled_dictionary(path, file)
    data, labels, names = content.get("data"), content.get(label), content.get("filenames")
    if not isinstance(data, ByteArray) or data.shape[1:] != (IMAGE_BYTES,):
        raise SourceError(f"ingest.source: {path} should have data of shape (N, {IMAGE_BYTES}), as batches of CIFAR have.")
    if not isinstance(labels, list) or len(labels) != data.shape[0] or not all(type(value) is int for value in labels):
        found = ", ".join(key for key in content if key.endswith("labels")) or "none"
        raise SourceError(
            f"ingest.source: {path} should have a list {label} of {data.shape[0]:,} whole numbers. Lists of labels there: {found}."
        )
    texts = [_text(name) for name in names] if isinstance(names, list) and len(names) == len(labels) else None
    return _Batch(path, file, labels, texts, data.values)


def _binary_batch(path: str, file: Path, columns: Sequence[str], label: str) -> _Batch | None:
    """A batch of the binary version, rows of one byte per column and the pixels; None if its size is that of no such file."""
    row_bytes, size_bytes = len(columns) + IMAGE_BYTES, file.stat().st_size
    if size_bytes % row_bytes or not size_bytes:
        return None
    rows = np.memmap(file, np.uint8, "r", shape=(size_bytes // row_bytes, row_bytes))
    return _Batch(path, file, rows[:, list(columns).index(label)].tolist(), None, Stretch(0, size_bytes), row_bytes)


def _pickled_names(path: str, file: Path, key: str) -> list[str]:
    """The names of the classes in a file of the Python version."""
    names = _pickled_dictionary(path, file).get(key)
    if not isinstance(names, list):
        raise SourceError(f"ingest.source: {path} should have a list {key}, as CIFAR has.")
    return [_text(name) for name in names]


def _names_in_text(file: Path) -> list[str]:
    """The names of the classes in a file of the binary version, one per line."""
    return [line.strip() for line in file.read_text(encoding="utf-8-sig", errors="replace").splitlines() if line.strip()]


def _pickled_dictionary(path: str, file: Path) -> dict[str, object]:
    content = load_plain(path, file)
    if not isinstance(content, dict):
        raise SourceError(f"ingest.source: {path} should be the pickle of a dictionary, as CIFAR's files are.")
    return {_text(key): value for key, value in content.items()}


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _split(batch: _Batch) -> str:
    return "test" if PurePosixPath(batch.path).name.startswith("test") else "train"


def _refuse_gaps(paths: Sequence[str]) -> None:
    """Raise SourceError if a batch is missing before another one."""
    numbers = sorted(int(found[1]) for path in paths if (found := re.search(r"data_batch_(\d+)", path)))
    if missing := [number for number in range(1, max(numbers, default=0)) if number not in numbers]:
        raise SourceError(f"ingest.source: {paths[0]}: data_batch_{missing[0]} is missing beside it. Get all batches.")


def _class_names(folder: str, version: _Version, files: Mapping[str, Path], label: str, count: int) -> list[str]:
    """The names of the classes; numbers if their file is not there."""
    key = f"{label[:-1]}_names"
    path = f"{folder}/{version.names_file.format(label=label[:-1])}".lstrip("/")
    if path not in files:
        return [str(number) for number in range(count)]
    names = _pickled_names(path, files[path], key) if version.is_pickled else _names_in_text(files[path])
    if len(names) < count or len(set(names)) < len(names) or not all(names):
        raise SourceError(f"ingest.source: {path} should name {count} classes or more, each once. Found {len(names)} names.")
    return [normalised(name) for name in names]


def _records(batch: _Batch, class_names: Sequence[str]) -> Iterator[Record]:
    names, digits = _file_names(batch), len(str(len(batch.labels) - 1))
    stem = readable(batch.path.removesuffix(".bin"))
    for i, (pixels, number) in enumerate(zip(batch.images(), batch.labels, strict=True)):
        name = names[i] if names else f"{i:0{digits}d}.png"
        yield Record(f"{stem}/{name}", class_names[number], _split(batch), None, pixels.nbytes, Pixels(pixels))


def _file_names(batch: _Batch) -> list[str] | None:
    """The names that the images had, if they are the names of files, each once."""
    names = [normalised(name) for name in batch.names or []]
    if len(set(names)) < len(names) or not all(re.fullmatch(r"[\w.+ -]*\w", name) for name in names):
        return None
    return names or None
