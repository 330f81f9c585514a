"""idx files of the MNIST family, gzipped or not: images `train-images-idx3-ubyte`, labels `train-labels-idx1-ubyte`, `t10k-…`.

`classes.txt` beside them names the classes, one per line, or EMNIST's `…-mapping.txt`; without them, the numbers are the names. Images become PNGs,
some hundred at a time.
"""

import gzip
import math
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from pipeline.containers.in_memory import Pixels, images_at_once
from pipeline.errors import SourceError
from pipeline.images.decoding import MOST_PIXELS
from pipeline.listing.names import is_visible
from pipeline.listing.records import LeftOut, Reading, Record, readable
from pipeline.listing.split_words import WORDS

NAME = re.compile(r"(?P<prefix>.+?)[-_](?P<kind>images|labels)[-.]idx[13][-_]ubyte(\.gz)?", re.IGNORECASE)
CLASS_NAMES = re.compile(r"classes\.txt|.+-mapping\.txt")
BYTES_AT_ONCE = 2**20


def candidates(paths: Sequence[str]) -> list[str]:
    """The files of images and labels, and the names of the classes beside them."""
    idx = [path for path in paths if is_visible(path) and _parsed(path)]
    folders = {_folder(path) for path in idx}
    return [*idx, *(path for path in paths if CLASS_NAMES.fullmatch(PurePosixPath(path).name) and _folder(path) in folders)]


def read(files: Mapping[str, Path]) -> Reading | None:
    """The images of one set of idx files. Of a single file, those beside it that belong to it are read, too.

    Raises SourceError for files that do not match, and for several sets.
    """
    idx = [path for path in files if _parsed(path)]
    if not idx:
        return None
    if len(files) == 1:
        files = _with_files_beside(idx[0], files[idx[0]])
    images = _files_of_images(files)
    if not images:
        raise SourceError(f"ingest.source: {idx[0]} has no file of images beside it. Expected {_counterpart(idx[0], 'images')}.")
    sets: dict[str, list[str]] = {}
    for path in images:
        sets.setdefault(_set_and_split(path)[0], []).append(path)
    splits = [_set_and_split(path)[1] for path in images]
    if len(sets) > 1 or len(set(splits)) < len(splits):
        several = " and ".join(group[0] for group in sets.values()) if len(sets) > 1 else " and ".join(images)
        raise SourceError(f"ingest.source: there is more than one set of idx files: {several}. Set ingest.source to one of these files.")
    parts = [_open_part(path, files) for path in images]
    names = _class_names(files, _set_and_split(images[0])[0], 1 + max(int(part.labels.max(initial=0)) for part in parts))
    counts = Counter((part.split, names[label]) for part in parts for label in part.labels.tolist())

    def records(_: list[LeftOut]) -> Iterator[Record]:
        return (record for part in parts for record in _records(part, names))

    return Reading("idx files of images and labels", "ingest.format: idx", names, counts, records)


@dataclass(frozen=True)
class _Part:
    """One file of images with its labels uint8 (N,). `path` is its name in the source."""

    path: str
    split: str | None
    images: Path
    labels: np.ndarray


def _parsed(path: str) -> re.Match[str] | None:
    return NAME.fullmatch(PurePosixPath(path).name)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _prefix(path: str) -> str:
    """The path up to `-images` or `-labels`."""
    found = _parsed(path)
    return str(PurePosixPath(path).with_name(found["prefix"])) if found else path


def _set_and_split(path: str) -> tuple[str, str | None]:
    """("folder/emnist-letters", "train") of folder/emnist-letters-train-images-idx3-ubyte."""
    *words, last = re.split("[-_]", PurePosixPath(_prefix(path)).name)
    split = WORDS.get(last.lower())
    return (f"{_folder(path)}/{'-'.join(words)}" if split else _prefix(path)), split


def _with_files_beside(path: str, file: Path) -> dict[str, Path]:
    """A file and those in its folder on disk that are of the same set, and the names of the classes, by their names in the source."""
    beside = {str(PurePosixPath(path).with_name(other.name)): other for other in sorted(file.parent.iterdir()) if other.is_file()}
    return {
        name: other
        for name, other in beside.items()
        if CLASS_NAMES.fullmatch(other.name) or (_parsed(name) and _set_and_split(name)[0] == _set_and_split(path)[0])
    }


def _files_of_images(files: Mapping[str, Path]) -> list[str]:
    """The paths of images, train before t10k and test; of a file that is there both unpacked and gzipped, the unpacked one."""
    found = {_prefix(path): path for path in sorted(files, reverse=True) if (match := _parsed(path)) and match["kind"].lower() == "images"}
    return [found[prefix] for prefix in sorted(found, reverse=True)]


def _open_part(path: str, files: Mapping[str, Path]) -> _Part:
    expected = _counterpart(path, "labels")
    found = next((name for name in (expected, expected.removesuffix(".gz"), expected + ".gz") if name in files), None)
    if found is None:
        raise SourceError(f"ingest.source: {path} has no file of labels beside it. Expected {expected}.")
    with _open(files[found]) as file:
        labels = _read(file, found, _read_shape(file, found, 1))
        _refuse_more(file, found)
    with _open(files[path]) as file:
        count, height, width = _read_shape(file, path, 3)
    if not 0 < height * width <= MOST_PIXELS:
        raise SourceError(f"ingest.source: {path} has images of {height} x {width} px.")
    if count != len(labels):
        raise SourceError(f"ingest.source: {path} has {count} images, but {PurePosixPath(found).name} has {len(labels)} labels.")
    return _Part(path, _set_and_split(path)[1], files[path], labels)


def _counterpart(path: str, kind: str) -> str:
    """The name of the file of labels for one of images, and the other way round."""
    other, number = ("labels", "idx1") if kind == "labels" else ("images", "idx3")
    name = re.sub("idx[13]", number, re.sub("images|labels", other, PurePosixPath(path).name, flags=re.IGNORECASE), flags=re.IGNORECASE)
    return str(PurePosixPath(path).with_name(name))


def _records(part: _Part, class_names: list[str]) -> Iterator[Record]:
    digits = len(str(max(len(part.labels) - 1, 0)))
    with _open(part.images) as file:
        count, height, width = _read_shape(file, part.path, 3)
        at_once = images_at_once(height * width)
        for first in range(0, count, at_once):
            images = _read(file, part.path, (min(at_once, count - first), height, width))
            for i, pixels in enumerate(images, start=first):
                path = f"{readable(_prefix(part.path))}/{i:0{digits}d}.png"
                yield Record(path, class_names[part.labels[i]], part.split, None, pixels.nbytes, Pixels(pixels))
        _refuse_more(file, part.path)


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _read_shape(file: IO[bytes] | gzip.GzipFile, path: str, dimensions: int) -> tuple[int, ...]:
    """The shape in an idx file's header. Raises SourceError if it is not of bytes in this number of dimensions."""
    header = _read(file, path, (4 + 4 * dimensions,)).tobytes()
    if header[:4] != bytes([0, 0, 8, dimensions]):
        raise SourceError(
            f"ingest.source: {path} is not an idx file of bytes in {dimensions} dimensions: it starts with {header[:4].hex(' ')}."
        )
    return struct.unpack_from(f">{dimensions}I", header, 4)


def _read(file: IO[bytes] | gzip.GzipFile, path: str, shape: tuple[int, ...]) -> np.ndarray:
    """The next values of a file, uint8 in `shape`. Raises SourceError if it ends before."""
    wanted, content = math.prod(shape), bytearray()
    while len(content) < wanted:
        piece = _next_bytes(file, path, min(BYTES_AT_ONCE, wanted - len(content)))
        if not piece:
            raise SourceError(f"ingest.source: {path} ends too early. Get the file again.")
        content += piece
    return np.frombuffer(content, np.uint8).reshape(shape)


def _refuse_more(file: IO[bytes] | gzip.GzipFile, path: str) -> None:
    """Raise SourceError if a file goes on where its header says that it ends. At the end, gzip also compares its checksum."""
    if _next_bytes(file, path, 1):
        raise SourceError(f"ingest.source: {path} is longer than its header says. Get the file again.")


def _next_bytes(file: IO[bytes] | gzip.GzipFile, path: str, count: int) -> bytes:
    try:
        return file.read(count)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"ingest.source: {path} is damaged: {error}. Get the file again.") from None


def _class_names(files: Mapping[str, Path], set_name: str, count: int) -> list[str]:
    """A name for each of at least `count` labels. Raises SourceError if too few are named, or one twice."""
    path = next(
        (name for name in (f"{_folder(set_name)}/classes.txt".lstrip("/"), f"{set_name.lstrip('/')}-mapping.txt") if name in files), None
    )
    if path is None:
        return [str(label) for label in range(count)]
    lines = [line.strip() for line in files[path].read_text(encoding="utf-8-sig", errors="replace").splitlines() if line.strip()]
    names = _mapped(lines, path) if path.endswith("-mapping.txt") else lines
    if len(names) < count:
        raise SourceError(f"ingest.source: {path} names {len(names)} classes, but the labels go up to {count - 1}.")
    if len(set(names)) < len(names):
        raise SourceError(f"ingest.source: {path} names a class twice. Expected one name per label, one per line.")
    return names


def _mapped(lines: list[str], path: str) -> list[str]:
    """The names of EMNIST's labels, from lines of the label and the code of its character: `10 65`, with more codes for `c` and `C` in one class."""
    try:
        names = {int(label): chr(int(code)) for label, code, *_ in map(str.split, lines)}
    except (ValueError, OverflowError):
        raise SourceError(f"ingest.source: {path} should have lines of a label and the code of a character, such as `10 65`.") from None
    return [names.get(label, str(label)) for label in range(1 + min(255, max(names, default=-1)))]
