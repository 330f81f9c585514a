"""What earlier runs decided and later ones keep: the order of the classes, and whether an image is in train or test.

Small files to be kept in git: `data/classes.json` (a line for each class: data set, position, name) and `data/splits.csv` (`image`, the first 64 bits
of the sha256 of its pixels, scaled ones of a large JPEG, or of the name of a group of images; `follows`, the image or group that decides its split,
empty for itself) only ever grow. `data/known_images.csv` has the smallest of the numbers of images for each class of a data set in its last run, by
which a later run recognizes it, and what decided the split if `splits.csv` does not say it of the image: the source (the smallest number for test, the
largest for others) or its group; and a line without a class with the range of values of deep images that became 0 to 255. It may be missing.
Each line stands for itself: git keeps those of both sides of a merge (.gitattributes), and their order decides nothing.
"""

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.csv_text import csv_text
from pipeline.errors import StorageError
from pipeline.files import write_bytes

HEADER = b"image,follows\n"
DIGITS = 16
KNOWN_HEADER = ["dataset", "class", "image", "follows"]
WITHOUT_FOLLOWS = KNOWN_HEADER[:-1]  # by earlier versions of this project
MOST_KNOWN = 256
NUMBER = re.compile(r"-?[0-9]{1,1000}")  # int() takes 4,300 digits
CLASSES = TypeAdapter(list[tuple[str, int, str] | tuple[()]], config=ConfigDict(strict=True))
CLASSES_BEFORE = TypeAdapter(dict[str, list[str]], config=ConfigDict(strict=True))  # by earlier versions: git cannot merge it


class Known(NamedTuple):
    """What data/known_images.csv has, by data set. images: by class, with what decided their split, if it is recorded here. ranges: of values."""

    images: dict[str, dict[str, dict[int, int | None]]]
    ranges: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Ledger:
    """keys: uint64 (N,), ascending, of images and groups. founders: uint64 (N,), the image or group that each one follows."""

    keys: np.ndarray
    founders: np.ndarray

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(whether each image was seen before, bool (M,); what it follows, uint64 (M,)) for images uint64 (M,)."""
        if not len(self.keys):
            return np.zeros(len(keys), bool), np.zeros(len(keys), np.uint64)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return self.keys[at] == keys, self.founders[at]


def read_ledger(path: Path) -> Ledger:
    """The content of data/splits.csv; empty if there is no such file. Raises StorageError if it is damaged."""
    content = path.read_bytes() if path.exists() else b""
    lines = content.replace(b"\r\n", b"\n")
    if not lines or lines == HEADER:
        return Ledger(np.empty(0, np.uint64), np.empty(0, np.uint64))
    if not lines.startswith(HEADER):
        raise _damaged(path, f"its first line is not {HEADER.decode().strip()}")
    options = pyarrow.csv.ConvertOptions(column_types={"image": "string", "follows": "string"}, strings_can_be_null=False)
    try:
        table = pyarrow.csv.read_csv(pa.BufferReader(lines), convert_options=options)
        images = _numbers(table["image"].to_pylist())
        follows = table["follows"].to_pylist()
        founders = np.where([not text for text in follows], images, _numbers([text or "0" * DIGITS for text in follows]))
    except (pa.ArrowInvalid, ValueError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from None
    order = np.lexsort((founders, images))  # two branches may have recorded one image: it follows the smaller number, in whichever order
    keys, first = np.unique(images[order], return_index=True)
    return Ledger(keys, founders[order][first])


def extend_ledger(path: Path, keys: np.ndarray, founders: np.ndarray) -> None:
    """Append images, uint64 (N,) each, that are not in the file yet."""
    if not len(keys):
        return
    order = np.argsort(keys)
    lines = [
        f"{key:016x},{'' if key == founder else f'{founder:016x}'}\n" for key, founder in zip(keys[order], founders[order], strict=True)
    ]
    before = path.read_bytes() if path.exists() else HEADER
    write_bytes(path, before + "".join(lines).encode())


def ordered_classes(path: Path, dataset: str, found: set[str]) -> list[str]:
    """The classes of a data set in the order in which they were first seen, new ones last, numbers as numbers.

    Includes recorded classes that are not found.
    """
    known = recorded_classes(path, dataset)
    new = found - set(known)
    return [*known, *(sorted(new, key=lambda name: (int(name), name)) if all(NUMBER.fullmatch(name) for name in new) else sorted(new))]


def recorded_classes(path: Path, dataset: str) -> list[str]:
    """All classes that a data set has had, in the order in which they were first seen; those of two branches, merged, by position and name."""
    positions = _read_classes(path).get(dataset, {})
    return sorted(positions, key=lambda name: (positions[name], name))


def recorded_names(classes: Path, known: Path) -> list[str]:
    """The names of all data sets that are recorded."""
    return sorted({*_read_classes(classes), *_read_known(known).images})


def record_classes(path: Path, dataset: str, names: list[str]) -> None:
    """Record the order of a data set's classes: new ones get the next positions, recorded ones keep theirs."""
    recorded = _read_classes(path)
    positions = recorded.setdefault(dataset, {})
    for name in names:
        positions.setdefault(name, max(positions.values(), default=-1) + 1)
    lines = sorted((data, position, name) for data, found in recorded.items() for name, position in found.items())
    content = "".join(["[\n", *(f"{json.dumps(line, ensure_ascii=False)},\n" for line in lines), "[]\n]\n"]).encode()
    if not path.exists() or path.read_bytes() != content:
        write_bytes(path, content)


def known_images(path: Path, dataset: str) -> dict[str, np.ndarray]:
    """Some images of the last run of a data set by class, uint64 (N,); empty if none are recorded. Raises StorageError if the file is damaged."""
    return {label: np.array(sorted(images), np.uint64) for label, images in _read_known(path).images.get(dataset, {}).items()}


def known_sides(path: Path, dataset: str) -> dict[int, int]:
    """What decided the split of these images, unless data/splits.csv says it. Raises StorageError if the file is damaged."""
    classes = _read_known(path).images.get(dataset, {}).values()
    sides = [(key, follows) for images in classes for key, follows in images.items() if follows is not None]
    return dict(sorted(sides, reverse=True))  # the smallest of several


def known_range(path: Path, dataset: str) -> tuple[float, float] | None:
    """The range of values of the deep images in the last run of a data set; None if it had none. Raises StorageError if the file is damaged."""
    return _read_known(path).ranges.get(dataset)


def smallest_keys(by_class: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The keys, uint64 (N,), of each class that are recorded in data/known_images.csv."""
    most = max(1, MOST_KNOWN // max(1, len(by_class)))
    return {label: np.unique(keys)[:most] for label, keys in by_class.items() if len(keys)}


def record_known_images(
    path: Path,
    dataset: str,
    by_class: Mapping[str, np.ndarray],
    sides: Mapping[int, int],
    value_range: tuple[float, float] | None = None,
) -> None:
    """Record the smallest keys, uint64 (N,), of each class of a data set, replacing those of its last run. sides: as from `known_sides`."""
    smallest = {label: {key: sides.get(key) for key in keys.tolist()} for label, keys in smallest_keys(by_class).items()}
    known = _read_known(path)
    ranges = {name: limits for name, limits in {**known.ranges, dataset: value_range}.items() if limits}
    lines: list[tuple[str, ...]] = [
        (name, label, f"{key:016x}", "" if follows is None else f"{follows:016x}")
        for name, classes in {**known.images, dataset: smallest}.items()
        for label, images in classes.items()
        for key, follows in images.items()
    ]
    lines = sorted([*lines, *((name, "", *(repr(float(limit)).removesuffix(".0") for limit in limits)) for name, limits in ranges.items())])
    content = csv_text([KNOWN_HEADER, *lines]).encode()
    if not path.exists() or path.read_bytes() != content:
        write_bytes(path, content)


def _read_known(path: Path) -> Known:
    try:
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))
        if rows and rows[0] not in (KNOWN_HEADER, WITHOUT_FOLLOWS):
            raise ValueError(f"its first line is not {','.join(KNOWN_HEADER)}")
        known = Known({}, {})
        for number, row in enumerate(rows[1:], 2):
            if len(row) not in (len(KNOWN_HEADER), len(WITHOUT_FOLLOWS)):  # both after a merge
                raise ValueError(f"line {number} is not {','.join(KNOWN_HEADER)}")
            if not row[1]:
                known.ranges[row[0]] = _limits(row[2:], known.ranges.get(row[0]))
                continue
            key, *follows = _numbers([row[2], *filter(None, row[3:])]).tolist()
            images = known.images.setdefault(row[0], {}).setdefault(row[1], {})
            images[key] = min((side for side in (*follows, images.get(key)) if side is not None), default=None)
        return known
    except FileNotFoundError:
        return Known({}, {})
    except (ValueError, csv.Error) as error:
        raise _damaged(path, str(error)) from None


def _limits(texts: list[str], before: tuple[float, float] | None) -> tuple[float, float]:
    """A range of values; with another one, as after a merge, that which holds both. Raises ValueError if it is none."""
    low, high = map(float, texts)
    if not low < high:
        raise ValueError(f"{' to '.join(texts)} is not a range of values")
    return (min(low, before[0]), max(high, before[1])) if before else (low, high)


def _read_classes(path: Path) -> dict[str, dict[str, int]]:
    """The position of each class by data set: the smallest, where two branches gave it several."""
    try:
        content = path.read_bytes()
        if content.lstrip().startswith(b"{"):
            return _positions_before(path, content)
        if not (lines := CLASSES.validate_json(content)) or lines[-1]:
            raise _damaged(path, "its last line but one is not []")
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        raise _damaged(path, str(error.errors()[0]["msg"])) from None
    recorded: dict[str, dict[str, int]] = {}
    for dataset, position, name in sorted(line for line in lines if line):
        recorded.setdefault(dataset, {}).setdefault(name, position)
    return recorded


def _positions_before(path: Path, content: bytes) -> dict[str, dict[str, int]]:
    recorded = CLASSES_BEFORE.validate_json(content)
    if any(len(set(names)) < len(names) for names in recorded.values()):
        raise _damaged(path, "a class is listed twice")
    return {dataset: {name: position for position, name in enumerate(names)} for dataset, names in recorded.items()}


LOST = {
    "splits.csv": "images recorded since the last commit are assigned again, to the same split except for near duplicates",
    "classes.json": "classes added since the last commit are put in order again",
}


def _damaged(path: Path, reason: str) -> StorageError:
    if path.name not in LOST:
        return StorageError(
            f"{path} is damaged: {reason}. Fix it, or delete it: the next run then cannot tell whether all images were replaced."
        )
    return StorageError(
        f"{path} is damaged: {reason}. Fix it, or keep a copy and restore the committed version: "
        f"`git checkout -- data/{path.name}` ({LOST[path.name]})."
    )


def _numbers(texts: list[str]) -> np.ndarray:
    """uint64 (N,) from N texts of 16 hexadecimal digits. Raises ValueError for anything else."""
    wrong = next((text for text in texts if len(text) != DIGITS), None)
    if wrong is not None:
        raise ValueError(f"{wrong!r} is not a number of {DIGITS} hexadecimal digits")
    return np.frombuffer(bytes.fromhex("".join(texts)), ">u8").astype(np.uint64)
