"""Packed arrays: what `preprocess` writes and the later stages read by memory map."""

import io
import json
import math
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow.parquet as pq

from pipeline.dataset.splits import stratified_holdout
from pipeline.errors import FULL_DISK
from pipeline.files import write_bytes, written_beside

ROWS_MAPPED = 1024  # at random positions: the system maps 64 kB around each


@dataclass(frozen=True)
class TrainingSet:
    """images: uint8 (N, H, W, C), a memory map. labels: int32 (N,). groups: int32 (N,), images with the same number are kept together.

    validation: bool (N,), True if the source holds the image out for validation.
    """

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    validation: np.ndarray
    class_names: list[str]

    def held_out(self, fraction: float, *, seed: int) -> np.ndarray:
        """bool (N,): the images that `train` does not fit to but watches: those that the source holds out, or else this share of each class."""
        return self.validation if self.validation.any() else stratified_holdout(self.labels, self.groups, fraction, seed=seed)


@dataclass(frozen=True)
class ArrayFile:
    """An .npy file of shape (N, …) being filled; picklable, so that several processes can write parts of it."""

    path: Path
    shape: tuple[int, ...]
    offset: int
    dtype: np.dtype

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def write(self, first: int, rows: np.ndarray) -> None:
        """Write rows (M, …) from number `first` on."""
        with self.path.open("rb+") as file:
            file.seek(self.offset + first * self.row_bytes)
            file.write(np.ascontiguousarray(rows, self.dtype).data)

    def write_at(self, numbers: np.ndarray, rows: np.ndarray) -> None:
        """Write rows (M, …) with the numbers (M,)."""
        with self.path.open("rb+") as file:
            for number, row in zip(numbers.tolist(), np.ascontiguousarray(rows, self.dtype), strict=True):
                file.seek(self.offset + number * self.row_bytes)
                file.write(row.tobytes())


@contextmanager
def packed_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic] = np.uint8) -> Iterator[ArrayFile]:
    """An array on disk to fill; it is moved to `path` at the end."""
    kind = np.dtype(dtype)
    with written_beside(path) as beside:
        with beside.open("wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            offset = file.tell()
            file.truncate(offset + math.prod(shape) * kind.itemsize)
        _reserve(beside)
        yield ArrayFile(beside, shape, offset, kind)


def _reserve(path: Path) -> None:
    """Allocate the disk space of a sparse file: a full disk is an OSError now; later it would kill the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("rb+") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno in FULL_DISK:
                raise OSError(error.errno, error.strerror, str(path)) from None


class MappedRows:
    """The rows uint8 (N, row_bytes) of an open file, memory mapped, few at a time: mapped pages count as memory of the process."""

    def __init__(self, file: BinaryIO, row_bytes: int) -> None:
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._rows = np.frombuffer(self._map, np.uint8).reshape(-1, row_bytes)
        self._read = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """A copy of some rows."""
        taken = self._rows[rows].copy() if isinstance(rows, slice) else self._rows[rows]
        self._read += len(taken)
        if self._read > ROWS_MAPPED and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._read = 0
        return taken


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array to an .npy file, atomically."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_bytes(path, buffer.getvalue())


def read_array(path: Path) -> np.ndarray:
    """The array of an .npy file, memory mapped."""
    array: np.ndarray = np.load(path, mmap_mode="r")
    return array


def read_training_set(folder: Path) -> TrainingSet:
    """The training images of data/preprocess."""
    train = folder / "train"
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    labels, groups, validation = (np.load(train / f"{name}.npy") for name in ("labels", "groups", "validation"))
    return TrainingSet(read_array(train / "images.npy"), labels, groups, validation, spec["class_names"])


def read_index(folder: Path, split: str) -> dict[str, list[object]]:
    """The columns of an index: `path`, `sha256`, and for training images `fold`."""
    columns: dict[str, list[object]] = pq.read_table(folder / split / "index.parquet").to_pydict()
    return columns
