"""Arrays as NumPy stores them, in .npy files and in .npz archives of them. Nothing pickled is ever loaded: it can run code."""

import math
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

import numpy as np
from numpy.lib import format as npy

from pipeline.containers.in_memory import images_at_once
from pipeline.errors import SourceError

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError)


@dataclass(frozen=True)
class StoredArray:
    """One array: `path` is its file in the source, `member` its name in a .npz; the rest from its header.

    `by_columns`: stored in Fortran order. Values start at `offset` of the file or member.
    """

    path: str
    file: Path
    member: str | None
    shape: tuple[int, ...]
    dtype: np.dtype
    by_columns: bool
    offset: int

    @property
    def name(self) -> str:
        """Its name without `.npy`."""
        return (self.member or PurePosixPath(self.path).name).removesuffix(".npy")

    def __str__(self) -> str:
        return f"{self.path}: {self.member}" if self.member else self.path


def arrays_in(path: str, file: Path) -> list[StoredArray]:
    """The arrays of a .npz or .npy file, which is called `path` in the source. Raises SourceError if it is damaged."""
    if not path.lower().endswith(".npz"):
        with file.open("rb") as opened:
            return [_stored_array(path, file, None, opened, file.stat().st_size)]
    arrays = []
    with naming_damage(path), zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                with archive.open(info) as opened:
                    arrays.append(_stored_array(path, file, info.filename, opened, info.file_size))
    return arrays


def refuse_objects(array: StoredArray) -> None:
    """Raise SourceError for an array of Python objects."""
    if array.dtype.hasobject:
        raise SourceError(
            f"ingest.source: {array} holds Python objects, which are not loaded, since they can run code. "
            "Save it as one array of numbers or text: numpy.savez(file, images=numpy.stack(images), …)."
        )


def read_whole(array: StoredArray) -> np.ndarray:
    """A whole array; that of a .npy file is mapped into memory. Raises SourceError if it is damaged, or holds Python objects."""
    refuse_objects(array)
    order: Literal["F", "C"] = "F" if array.by_columns else "C"
    with naming_damage(array.path):
        if array.member is None:
            return np.memmap(array.file, array.dtype, "r", array.offset, array.shape, order)
        with zipfile.ZipFile(array.file) as archive, archive.open(array.member) as file:
            file.read(array.offset)
            content = file.read(math.prod(array.shape) * array.dtype.itemsize)
            values: np.ndarray = np.frombuffer(content, array.dtype)
            return values.reshape(array.shape, order=order)


def blocks(array: StoredArray, image_axis: int) -> Iterator[np.ndarray]:
    """The images of an array, some hundred at a time, along the first axis.

    Those of a .npz are loaded all at once if they do not lie one after the other there.
    """
    at_once = images_at_once(math.prod(array.shape) // array.shape[image_axis] * array.dtype.itemsize)
    if array.member is not None and image_axis == 0 and not array.by_columns:
        yield from _streamed(array, at_once)
        return
    images = np.moveaxis(read_whole(array), image_axis, 0)
    for first in range(0, len(images), at_once):
        yield np.array(images[first : first + at_once])


def _streamed(array: StoredArray, at_once: int) -> Iterator[np.ndarray]:
    image_bytes = math.prod(array.shape[1:]) * array.dtype.itemsize
    with naming_damage(array.path), zipfile.ZipFile(array.file) as archive, archive.open(array.member or "") as file:
        file.read(array.offset)
        for first in range(0, array.shape[0], at_once):
            count = min(at_once, array.shape[0] - first)
            yield np.frombuffer(file.read(count * image_bytes), array.dtype).reshape(count, *array.shape[1:])
        file.read(1)  # at its end, the checksum is compared


def _stored_array(path: str, file: Path, member: str | None, opened: IO[bytes], size_bytes: int) -> StoredArray:
    """An array by its header. Raises SourceError if that is damaged, or says another size than the file has."""
    shown = member or path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files of Python 2
            version = npy.read_magic(opened)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, by_columns, dtype = read(opened)
    except Exception as error:  # on damaged headers, NumPy raises nearly any exception
        reason = (str(error).splitlines() or [""])[0]
        raise SourceError(f"ingest.source: {path} is damaged: {shown} has no header of NumPy: {reason}. Get the file again.") from None
    ends_at = opened.tell() + math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or (not dtype.hasobject and ends_at != size_bytes):
        ends = "ends too early" if ends_at > size_bytes else "is longer than its header says"
        raise SourceError(f"ingest.source: {path} is damaged: {shown} {ends}. Get the file again.")
    return StoredArray(path, file, member, shape, dtype, by_columns, opened.tell())


@contextmanager
def naming_damage(path: str) -> Iterator[None]:
    """Turns any error of a damaged archive into a one-line SourceError."""
    try:
        yield
    except PermissionError:
        raise
    except (*DAMAGE, OSError) as error:  # zipfile seeks to where a damaged directory points
        raise SourceError(f"ingest.source: {path} is damaged or encrypted: {error}. Get the file again.") from None
