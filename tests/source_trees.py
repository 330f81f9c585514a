"""Sources of images written for tests, and what a reader gives for them."""

import gzip
import io
import struct
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.listing.listing import Content, Listing
from pipeline.listing.opening import Options, list_source
from pipeline.listing.records import LeftOut, Source


def write(root: Path, *names: str) -> Path:
    """Files below a folder; each holds its own name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    return root


def write_images(root: Path, *names: str) -> Path:
    """Pictures below a folder, each of another grey."""
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(i))
    return root


def listing_of(path: Path, scratch: Path | None = None, **options: Any) -> Listing:
    """What is in a folder or an archive; copies go into `scratch`, or beside it."""
    return list_source(path, Options(**options), scratch or path.parent / "scratch")


def files(listing: Listing) -> dict[str, Content]:
    """How each image and each other file is read, by path, in the order of the listing."""
    return {folder.below(name): folder.content(name) for folder in listing.folders.values() for name in [*folder.names, *folder.others]}


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


def peak_bytes(act: Callable[[], object]) -> int:
    """The most memory in use during a call, with what it returns."""
    tracemalloc.start()
    try:
        kept = act()
        return tracemalloc.get_traced_memory()[1] if kept is not None else 0
    finally:
        tracemalloc.stop()
