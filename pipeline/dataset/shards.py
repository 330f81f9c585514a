"""The output of `ingest`: the encoded images in Parquet shards (a folder `images.parquet/` of `00000.parquet`, …), and `index.parquet`.

The index has one row for each row of the shards, in the same order; `split` is null if the image is left out.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dataset.columns import integers
from pipeline.errors import StorageError
from pipeline.files import written_beside

FACTS = [
    ("path", pa.string()),
    ("label", pa.string()),
    ("sha256", pa.string()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("mode", pa.string()),
]
SHARD_SCHEMA = pa.schema([*FACTS, ("bytes", pa.binary())])
INDEX_SCHEMA = pa.schema([*FACTS, ("split", pa.string()), ("group", pa.int32())])
PROPERTIES = "properties.parquet"
SIZE = "size (logarithm of the pixels)"
REPEATING = ["label", "split", "mode"]
IMAGES_READ_AT_ONCE = 256


def write_shard(folder: Path, number: int, rows: pa.Table) -> None:
    """Write a table of SHARD_SCHEMA as one shard, atomically; encoded images are not compressed again."""
    compression = {name: "none" if name == "bytes" else "zstd" for name in SHARD_SCHEMA.names}
    with written_beside(folder / f"{number:05d}.parquet") as beside:
        pq.write_table(rows, beside, compression=compression, use_dictionary=["label", "mode"], write_statistics=False)


def shard_files(folder: Path) -> list[Path]:
    """The shards of a folder images.parquet, in order."""
    return sorted(folder.glob("[!.]*.parquet"))


def write_index(folder: Path, shards: Sequence[Path], splits: Iterator[pa.Array], groups: Iterator[pa.Array]) -> Iterator[pa.RecordBatch]:
    """Write index.parquet shard by shard, and yield its batches."""
    with (
        written_beside(folder / "index.parquet") as beside,
        pq.ParquetWriter(beside, INDEX_SCHEMA, compression="zstd", use_dictionary=REPEATING, write_statistics=REPEATING) as writer,
    ):
        for shard, split, group in zip(shards, splits, groups, strict=True):
            rows = pq.ParquetFile(shard).read([name for name, _ in FACTS])
            rows = pa.Table.from_arrays([*rows.combine_chunks().columns, split, group], schema=INDEX_SCHEMA)
            writer.write_table(rows)
            yield from rows.to_batches()


def read_index_batches(folder: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of data/ingest/index.parquet, one batch for each shard."""
    with pq.ParquetFile(folder / "index.parquet") as file:
        for group in range(file.num_row_groups):
            yield from file.read_row_group(group, list(columns)).combine_chunks().to_batches()


def read_properties(folder: Path) -> dict[str, np.ndarray]:
    """The continuous properties of all images in data/ingest, float32 (N,) by name, in the order of the index; the last one is the size."""
    if not (folder / PROPERTIES).is_file():
        raise StorageError(f"{folder / PROPERTIES} does not exist. `dvc repro` runs the stage that makes it.")
    table = pq.read_table(folder / PROPERTIES)
    sizes = pq.read_table(folder / "index.parquet", columns=["width", "height"])
    pixels = sizes["width"].to_numpy().astype(np.float64) * sizes["height"].to_numpy()
    return {name: table[name].to_numpy() for name in table.column_names} | {SIZE: np.log(pixels).astype(np.float32)}


def read_rows(shards: Sequence[Path], lengths: Sequence[int], rows: Iterable[int], column: str) -> dict[int, object]:
    """Values of one column by row number, counted over all shards; each shard needed is read once. lengths: rows in each shard."""
    starts = np.cumsum([0, *lengths])
    found: dict[int, object] = {}
    wanted = np.unique(np.fromiter(rows, np.int64))
    for number in np.unique(np.searchsorted(starts, wanted, side="right") - 1):
        here = wanted[(wanted >= starts[number]) & (wanted < starts[number + 1])]
        values = pq.ParquetFile(shards[number]).read([column])[column].take(integers(here - starts[number]))
        found.update(zip(here.tolist(), values.to_pylist(), strict=True))
    return found


def read_encoded_images(folder: Path, split: str) -> Iterator[list[tuple[bytes, str]]]:
    """(encoded image, class name) of the images of one split of data/ingest, a few hundred at a time."""
    for shard, index in zip(shard_files(folder / "images.parquet"), read_index_batches(folder, ["label", "split"]), strict=True):
        labels, splits = index["label"].to_pylist(), index["split"].to_pylist()
        rows = [i for i, found in enumerate(splits) if found == split]
        images = pq.ParquetFile(shard).read(["bytes"])["bytes"] if rows else None
        for first in range(0, len(rows), IMAGES_READ_AT_ONCE):
            yield [(images[i].as_py(), labels[i]) for i in rows[first : first + IMAGES_READ_AT_ONCE]] if images is not None else []
