"""Arrow columns built from buffers. `pyarrow.array` would import pandas, which takes 0.3 s in each process that writes a shard."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def texts(values: Sequence[str | None]) -> pa.Array:
    """A column of strings; None becomes null."""
    encoded = [b"" if value is None else value.encode() for value in values]
    valid = np.packbits([value is not None for value in values], bitorder="little") if None in values else None
    return _variable(pa.string(), encoded, valid)


def contents(values: Sequence[bytes]) -> pa.Array:
    """A column of bytes, below 2 GB in total."""
    return _variable(pa.binary(), values, None)


def integers(values: np.ndarray) -> pa.Array:
    """A column of numbers of the array's dtype."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def _variable(kind: pa.DataType, values: Sequence[bytes], valid: np.ndarray | None) -> pa.Array:
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    buffers = [None if valid is None else pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)
