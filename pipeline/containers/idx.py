"""idx files of the MNIST family, gzipped or not: images `train-images-idx3-ubyte`, labels `train-labels-idx1-ubyte`, `t10k-…`.

`classes.txt` beside them names the classes, one per line; without it, the numbers are the names. Images become PNGs, some hundred at a time.
"""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.errors import SourceError
from pipeline.images.decoding import encode_png
from pipeline.listing.records import Record, Source, readable, source_name

IMAGES = re.compile(r"(?P<prefix>.+?)[-_]images[-.]idx3[-_]ubyte(\.gz)?", re.IGNORECASE)
SPLITS = {
    "train": "train",
    "training": "train",
    "t10k": "test",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
IMAGES_READ_AT_ONCE = 1024
BYTES_READ_AT_ONCE = 32 * 2**20


def find_idx_folder(folder: Path) -> Path | None:
    """The folder with idx files of images: this one, or the only one in it, at any depth."""
    while not _image_files(folder):
        inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if len(inside) != 1 or not inside[0].is_dir() or inside[0].is_symlink():
            return None
        folder = inside[0]
    return folder


def is_idx_name(name: str) -> bool:
    """Whether a file is one of images or labels of the MNIST family, by its name."""
    return re.fullmatch(r".+[-_](images[-.]idx3|labels[-.]idx1)[-_]ubyte(\.gz)?", name, re.IGNORECASE) is not None


def open_idx(folder: Path, name: Path) -> Source:
    """The images of the idx files in a folder; the data set is named after `name`. Raises SourceError for files that do not match."""
    parts = [_open_part(prefix, file) for prefix, file in _image_files(folder).items()]
    splits = [part.split for part in parts]
    if len(set(splits)) < len(splits):
        raise SourceError(
            f"ingest.source: {folder} has more than one set of idx files: {', '.join(_image_files(folder))}. Expected one in a folder."
        )
    class_names = _class_names(folder, 1 + max(int(part.labels.max(initial=0)) for part in parts))
    records = (record for part in parts for record in _records(part, class_names, has_test="test" in splits))
    return Source(source_name(name), class_names, records, sum(len(part.labels) for part in parts))


@dataclass(frozen=True)
class Pixels:
    """Encodes uint8 (H, W) or (H, W, 3) as PNG. Picklable."""

    pixels: np.ndarray

    def __call__(self) -> bytes:
        return encode_png(self.pixels)


def images_at_once(image_bytes: int) -> int:
    """The number of images to read at a time: a thousand, or some megabytes."""
    return max(1, min(IMAGES_READ_AT_ONCE, BYTES_READ_AT_ONCE // image_bytes))


@dataclass(frozen=True)
class _Part:
    """One file of images with its labels uint8 (N,)."""

    prefix: str
    split: str
    images: Path
    labels: np.ndarray


def _image_files(folder: Path) -> dict[str, Path]:
    """The files of images by the prefix before `-images`; if a file exists both unpacked and gzipped, the unpacked one."""
    matches = [(IMAGES.fullmatch(file.name), file) for file in sorted(folder.iterdir(), reverse=True)]
    files = {match["prefix"]: file for match, file in matches if match}
    return dict(sorted(files.items(), reverse=True))  # train before t10k and test


def _open_part(prefix: str, images: Path) -> _Part:
    split = SPLITS.get(re.split(r"[-_]", prefix.lower())[-1], "train")
    labels_file = _labels_beside(images)
    with _open(labels_file) as file:
        labels = _read(file, labels_file, _read_shape(file, labels_file, 1))
    with _open(images) as file:
        count, height, width = _read_shape(file, images, 3)
    if not height * width:
        raise SourceError(f"ingest.source: {images} has images of {height} x {width} px.")
    if count != len(labels):
        raise SourceError(f"ingest.source: {images} has {count} images, but {labels_file.name} has {len(labels)} labels.")
    return _Part(prefix, split, images, labels)


def _records(part: _Part, class_names: list[str], *, has_test: bool) -> Iterator[Record]:
    split = part.split if has_test or part.split == "validation" else None
    digits = len(str(max(len(part.labels) - 1, 0)))
    with _open(part.images) as file:
        count, height, width = _read_shape(file, part.images, 3)
        at_once = images_at_once(height * width)
        for first in range(0, count, at_once):
            images = _read(file, part.images, (min(at_once, count - first), height, width))
            for i, pixels in enumerate(images, start=first):
                path = f"{readable(part.prefix)}/{i:0{digits}d}.png"
                yield Record(path, class_names[part.labels[i]], split, None, pixels.nbytes, Pixels(pixels))


def _labels_beside(images: Path) -> Path:
    name = re.sub("idx3", "idx1", re.sub("images", "labels", images.name, flags=re.IGNORECASE), flags=re.IGNORECASE)
    for candidate in (name, name.removesuffix(".gz"), name + ".gz"):
        if (images.parent / candidate).is_file():
            return images.parent / candidate
    raise SourceError(f"ingest.source: {images.name} has no file of labels beside it. Expected {name} in {images.parent}.")


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _read_shape(file: IO[bytes] | gzip.GzipFile, path: Path, dimensions: int) -> tuple[int, ...]:
    """The shape in an idx file's header. Raises SourceError if it is not of bytes in this number of dimensions."""
    header = _read(file, path, (4 + 4 * dimensions,)).tobytes()
    if header[:4] != bytes([0, 0, 8, dimensions]):
        raise SourceError(
            f"ingest.source: {path} is not an idx file of bytes in {dimensions} dimensions: it starts with {header[:4].hex(' ')}."
        )
    return struct.unpack_from(f">{dimensions}I", header, 4)


def _read(file: IO[bytes] | gzip.GzipFile, path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The next values of a file, uint8 in `shape`. Raises SourceError if it ends before."""
    try:
        content = file.read(math.prod(shape))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"ingest.source: {path} is damaged: {error}. Get the file again.") from None
    if len(content) < math.prod(shape):
        raise SourceError(f"ingest.source: {path} ends too early. Get the file again.")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _class_names(folder: Path, count: int) -> list[str]:
    """A name for each of at least `count` labels. Raises SourceError if classes.txt has too few names, or one twice."""
    file = folder / "classes.txt"
    if not file.is_file():
        return [str(label) for label in range(count)]
    names = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if len(names) < count:
        raise SourceError(f"ingest.source: {file} names {len(names)} classes, but the labels go up to {count - 1}.")
    if len(set(names)) < len(names):
        raise SourceError(f"ingest.source: {file} names a class twice. Expected one name per label, one per line.")
    return names
