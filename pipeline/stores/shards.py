"""Encoded images in Parquet shards: a folder `images.parquet/` of `00000.parquet`, …, one row per image, read and written a few thousand at a time."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.stores.files import write_table

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


class ShardWriter:
    """Writes rows to shards in the order in which they come; call `close` at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[pa.Table] = []
        self._count = 0

    def add(self, rows: pa.Table) -> None:
        """Append a table of SCHEMA."""
        self._waiting.append(rows)
        if sum(len(table) for table in self._waiting) >= MOST_ROWS or sum(table.nbytes for table in self._waiting) >= MOST_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left."""
        if any(len(table) for table in self._waiting):
            self._flush()

    def _flush(self) -> None:
        write_table(self._folder / f"{self._count:05d}.parquet", pa.concat_tables(self._waiting).combine_chunks())
        self._waiting = []
        self._count += 1


def read_batches(folder: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of all rows, a few hundred rows at a time, in order."""
    for shard in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(shard) as file:
            yield from file.iter_batches(BATCH_ROWS, columns=columns)


def read_encoded_images(folder: Path, split: str) -> Iterator[list[tuple[bytes, str]]]:
    """(encoded image, class name) of the rows of one split, a few hundred at a time."""
    for batch in read_batches(folder, ["bytes", "label", "split"]):
        rows = [(row["bytes"], row["label"]) for row in batch.to_pylist() if row["split"] == split]
        if rows:
            yield rows
