"""Sources of images written for tests, and what a reader gives for them."""

import gzip
import io
import struct
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.listing.records import LeftOut, Source


def write(root: Path, *names: str) -> Path:
    """Files below a folder; each holds its own name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    return root


def png(value: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), value).save(buffer, "PNG")
    return buffer.getvalue()


def pixels(source: Source) -> np.ndarray:
    """The decoded images of a source whose images are all of one size."""
    return np.stack([np.asarray(Image.open(io.BytesIO(record.read()))) for record in source.records])


def found(source: Source) -> list[tuple[str, str, str | None]]:
    """(path, label, split) of each record."""
    return [record[:3] for record in source.records]


def left_out(source: Source) -> list[LeftOut]:
    """What a source leaves out, once all its records have been read."""
    list(source.records)
    return source.left_out


def write_idx(folder: Path, images: np.ndarray, labels: Sequence[int], prefix: str = "train-", ending: str = "") -> None:
    """An idx file of images and one of labels, packed if the ending is .gz."""
    opened = gzip.open if ending else open
    folder.mkdir(parents=True, exist_ok=True)
    with opened(folder / f"{prefix}images-idx3-ubyte{ending}", "wb") as file:
        file.write(struct.pack(">IIII", 0x803, *images.shape) + images.tobytes())
    with opened(folder / f"{prefix}labels-idx1-ubyte{ending}", "wb") as file:
        file.write(struct.pack(">II", 0x801, len(labels)) + bytes(labels))


def peak_bytes(open_source: Callable[[], Source]) -> int:
    """The most memory in use while all records of a source are read."""
    tracemalloc.start()
    try:
        for _ in open_source().records:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
