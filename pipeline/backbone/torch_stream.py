"""Tensors in a file that torch wrote before version 1.6, without torch: named arrays, and nothing else.

The file is five pickles (magic number, protocol, machine, tensors by name, keys of their storages), then the storages themselves. Unpickling can
run any code, so only the four kinds of names that such a file needs are known here; all others are refused.
"""

import io
import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from pipeline.errors import WeightsError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
LENGTH_BYTES = 8
MOST_AXES, LARGEST_STRIDE = 8, 2**40


class _StorageKind(NamedTuple):
    dtype: str


class _Storage(NamedTuple):
    key: str
    dtype: str
    size: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _RebuildTensor:
    """Stands for torch's function of that name. Has no attribute that a pickle could set."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
        sizes = (offset, *shape, *strides)
        known = all(type(size) is int and size >= 0 for size in sizes) and max(strides, default=0) < LARGEST_STRIDE
        if not isinstance(storage, _Storage) or not known or not len(shape) == len(strides) <= MOST_AXES:
            raise ValueError("has a tensor of unknown form")
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if math.prod(shape) > storage.size or (math.prod(shape) and last >= storage.size):
            raise ValueError(f"has a tensor of shape {tuple(shape)} that reaches past its storage of {storage.size:,} values")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _RebuildTensor()
        if module == "torch" and name in DTYPES:
            return _StorageKind(DTYPES[name])
        raise ValueError(f"asks for {f'{module}.{name}'[:80]!a}, which no weights contain")

    def persistent_load(self, reference: Any) -> _Storage:
        match reference:
            case ("storage", _StorageKind(dtype), str(key), str(), int(size), None) if size >= 0:
                return _Storage(key, dtype, size)
        raise ValueError("has a storage of unknown form")


def read_tensors(file: Path) -> dict[str, np.ndarray]:
    """The arrays in a file, by name, each with its own shape and dtype. Raises WeightsError if it is damaged or holds anything else."""
    with file.open("rb") as stream:
        try:
            _check_start(stream)
            tensors = _named_tensors(_load(stream))
            storages = _read_storages(stream, tensors, _load(stream))
            return {name: _view(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}
        except Exception as error:  # a pickle can raise any
            fault = str(error).partition("\n")[0] if type(error) is ValueError else f"is damaged: {error!r:.100}"
            raise WeightsError(f"{file} cannot be used as weights: it {fault}. It was not loaded. Install its package again.") from None


def _load(stream: BinaryIO) -> Any:
    return _Unpickler(stream).load()


def _check_start(stream: BinaryIO) -> None:
    if (found := _load(stream)) != MAGIC_NUMBER:
        raise ValueError(f"does not begin with torch's magic number, but with {found!r:.40}")
    if (found := _load(stream)) != PROTOCOL:
        raise ValueError(f"is of protocol {found!r:.40}, not {PROTOCOL}")
    machine = _load(stream)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("was not written on a little-endian machine")


def _named_tensors(value: Any) -> dict[str, _Tensor]:
    items = list(dict.items(value)) if isinstance(value, dict) else []  # not value.items: a pickle can give an OrderedDict any attribute
    if not items or not all(isinstance(name, str) and isinstance(tensor, _Tensor) for name, tensor in items):
        raise ValueError("is no table of tensors by name")
    return dict(items)


def _read_storages(stream: BinaryIO, tensors: dict[str, _Tensor], keys: Any) -> dict[str, np.ndarray]:
    """The values of every storage, (count,), by key: each has its count before its values."""
    known = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if (
        not isinstance(keys, list)
        or sorted(keys) != sorted(known)
        or any(known[each.storage.key] != each.storage for each in tensors.values())
    ):
        raise ValueError("does not hold the storages that its tensors name")
    values = {}
    for key in keys:
        storage, dtype = known[key], np.dtype(known[key].dtype)
        count = int.from_bytes(_read(stream, LENGTH_BYTES), "little")
        if count != storage.size:
            raise ValueError(f"has a storage of {count:,} values where its tensors expect {storage.size:,}")
        values[key] = np.frombuffer(_read(stream, count * dtype.itemsize), dtype)
    return values


def _read(stream: BinaryIO, length: int) -> bytes:
    here = stream.tell()
    left = stream.seek(0, io.SEEK_END) - here
    stream.seek(here)
    if length > left:
        raise ValueError("ends too early")
    return stream.read(length)


def _view(tensor: _Tensor, values: np.ndarray) -> np.ndarray:
    """A copy in C order of the tensor's values; its sizes were checked when it was made."""
    strides = [stride * values.itemsize for stride in tensor.strides]
    return np.array(np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides, writeable=False), order="C")
