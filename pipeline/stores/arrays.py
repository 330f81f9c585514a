"""Packed arrays: what `preprocess` writes and the later stages read by memory map."""

import errno
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.stores.files import write_bytes, written_beside


@dataclass(frozen=True)
class TrainingSet:
    """images: uint8 (N, H, W, C), a memory map. labels: int32 (N,). validation: bool (N,), True where the source puts an image aside for validation."""

    images: np.ndarray
    labels: np.ndarray
    validation: np.ndarray
    class_names: list[str]


@contextmanager
def packed_array(path: Path, shape: tuple[int, ...], dtype: str) -> Iterator[np.ndarray]:
    """An array to fill, on disk; it is at `path` once it is full."""
    with written_beside(path) as beside:
        if 0 in shape:  # an empty file cannot be mapped
            array = np.empty(shape, dtype)
            yield array
            with beside.open("wb") as file:
                np.save(file, array)
            return
        mapped = np.lib.format.open_memmap(beside, mode="w+", dtype=np.dtype(dtype), shape=shape)
        _reserve(beside)
        yield mapped
        mapped.flush()


def _reserve(path: Path) -> None:
    """Take the disk space of a file that is all holes: a disk that is full now is an OSError, later it would kill the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("rb+") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OSError(error.errno, error.strerror, str(path)) from None


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array whole, as .npy."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_bytes(path, buffer.getvalue())


def read_array(path: Path) -> np.ndarray:
    """The array of an .npy file, by memory map."""
    array: np.ndarray = np.load(path, mmap_mode="r")
    return array


def read_training_set(folder: Path) -> TrainingSet:
    """The training images of data/preprocess."""
    train = folder / "train"
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    labels, validation = (np.load(train / name) for name in ("labels.npy", "validation.npy"))
    return TrainingSet(read_array(train / "images.npy"), labels, validation, spec["class_names"])


def read_index(folder: Path, split: str) -> dict[str, list[object]]:
    """The columns of an index: `path`, `sha256`, and `fold` for the training images."""
    columns: dict[str, list[object]] = pq.read_table(folder / split / "index.parquet").to_pydict()
    return columns
