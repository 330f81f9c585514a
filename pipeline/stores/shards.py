"""Encoded images in Parquet shards: a folder `images.parquet/` of `00000.parquet`, …, one row per image, read and written a few thousand at a time."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.stores.files import sync

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("label", pa.string()),
        ("split", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mode", pa.string()),
        ("bytes", pa.binary()),
    ]
)
MOST_ROWS = 8192
MOST_BYTES = 64 * 2**20
BATCH_ROWS = 512
REPEATING = ["label", "split", "mode"]


class ShardWriter:
    """Writes rows to shards in the order in which they come, at once, so that it holds none; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._shard: _Shard | None = None

    def add(self, rows: pa.Table) -> None:
        """Append a table of SCHEMA: it becomes one row group."""
        if len(rows) == 0:
            return
        if self._shard is None:
            self._shard = _Shard(self._folder / f"{self._count:05d}.parquet")
            self._count += 1
        self._shard.add(rows)
        if self._shard.rows >= MOST_ROWS or self._shard.size_bytes >= MOST_BYTES:
            self._close_shard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close_shard()

    def _close_shard(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None


class _Shard:
    """One open Parquet file, with what it holds so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=REPEATING, write_statistics=REPEATING)
        self.rows = self.size_bytes = 0

    def add(self, rows: pa.Table) -> None:
        self._writer.write_table(rows)
        self.rows += len(rows)
        self.size_bytes += rows.nbytes

    def close(self) -> None:
        self._writer.close()
        sync(self._path)


def read_batches(folder: Path, columns: list[str], most_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """Some columns of all rows, at most `most_rows` at a time, in order."""
    for shard in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(shard) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns).combine_chunks()
                for first in range(0, len(rows), most_rows):
                    part = np.arange(first, min(first + most_rows, len(rows)))
                    yield from rows.take(part).to_batches()  # a copy: a slice would be sent to another process with all the rest


def read_encoded_images(folder: Path, split: str) -> Iterator[list[tuple[bytes, str]]]:
    """(encoded image, class name) of the rows of one split, a few hundred at a time."""
    for batch in read_batches(folder, ["bytes", "label", "split"]):
        rows = [(row["bytes"], row["label"]) for row in batch.to_pylist() if row["split"] == split]
        if rows:
            yield rows
