"""Reading containers in tests: as from a folder, with the paths in it as the names of the files."""

import io
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from pipeline.errors import ImageError, SourceError
from pipeline.listing.records import LeftOut, Reading, Record


class Reader(Protocol):
    """A module of the containers."""

    def candidates(self, paths: Sequence[str], /) -> list[str]: ...

    def read(self, files: Mapping[str, Path], /) -> Reading | None: ...


def read_folder(reader: Reader, folder: Path) -> Reading | None:
    """What a reader makes of the files of a folder, of those that it asks for."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return reader.read({path: folder / path for path in reader.candidates(paths)})


def readable(reader: Reader, source: Path) -> Reading:
    """The reading of a folder or a single file, which must be one."""
    reading = read_folder(reader, source) if source.is_dir() else reader.read({source.name: source})
    assert reading is not None
    return reading


def records_of(reading: Reading) -> list[Record]:
    return list(reading.records([]))


def labels_of(reading: Reading) -> list[tuple[str, str | None]]:
    """(label, split) of each record; the counts of the reading say the same."""
    found = [(record.label, record.split) for record in reading.records([])]
    assert {(split, label): found.count((label, split)) for label, split in found} == dict(reading.counts)
    return found


def left_out_of(reading: Reading) -> list[LeftOut]:
    missing: list[LeftOut] = []
    list(reading.records(missing))
    return [*reading.left_out, *missing]


def pixels_of(reading: Reading) -> np.ndarray:
    """The decoded images of a reading whose images are all of one size."""
    return np.stack([np.asarray(Image.open(io.BytesIO(record.read()))) for record in reading.records([])])


def mutations(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """A good file with bytes changed, cut out, doubled, or cut off."""
    draw = random.Random(seed)
    for _ in range(count):
        changed = bytearray(content)
        for _ in range(draw.choice([1, 1, 2, 8])):
            at = draw.randrange(len(changed))
            end = min(len(changed), at + draw.choice([1, 4, 40]))
            part = bytes(changed[at:end])
            changed[at:end] = draw.choice([draw.randbytes(len(part)), b"", part * 2])
            changed = changed or bytearray(b"\0")
        yield bytes(changed[: draw.randrange(1, len(changed) + 1)] if draw.random() < 0.2 else changed)


def survives(reader: Reader, files: Mapping[str, Path]) -> str:
    """How a reader ends with damaged files; any error but those for users passes through."""
    try:
        reading = reader.read(files)
        if reading is None:
            return "nothing"
        for record in reading.records([]):
            record.read()
    except (SourceError, ImageError) as error:
        return "refused" if str(error) and "\n" not in str(error) else "refused in several lines"
    return "read"
