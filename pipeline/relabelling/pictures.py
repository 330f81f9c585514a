"""The images of `ingest` as a browser shows them, by the sha256 of their pixels."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.dataset.intake import LabelledImage
from pipeline.dataset.shards import read_index_batches, read_rows, shard_files
from pipeline.errors import StorageError
from pipeline.images.decoding import decode
from pipeline.images.thumbnails import thumbnail

MOST_PX = 720


def read_index(folder: Path) -> Iterator[LabelledImage]:
    """The images of the last run, in its order. folder: data/ingest. Raises StorageError if `ingest` has not run."""
    if not (folder / "index.parquet").is_file():
        raise StorageError("data/ingest/index.parquet does not exist. `dvc repro` makes it.")
    for batch in read_index_batches(folder, LabelledImage._fields):
        yield from map(LabelledImage, *(column.to_pylist() for column in batch.columns))


class Pictures:
    """Opens the shards of data/ingest once; an image is read when it is asked for."""

    def __init__(self, folder: Path, max_pixels: int) -> None:
        """folder: data/ingest. max_pixels: of any image. Raises StorageError if `ingest` has not run."""
        every = [image.sha256 for image in read_index(folder)]
        self._shards, self._max_pixels = shard_files(folder / "images.parquet"), max_pixels
        self._lengths = [pq.ParquetFile(shard).metadata.num_rows for shard in self._shards]
        self._rows: dict[str, int] = {}
        for row, sha256 in enumerate(every):
            self._rows.setdefault(sha256, row)

    def picture(self, sha256: str) -> bytes | None:
        """A PNG or JPEG, at most MOST_PX high and wide; None if there is no such image."""
        row = self._rows.get(sha256)
        if row is None:
            return None
        content = read_rows(self._shards, self._lengths, [row], "bytes")[row]
        assert isinstance(content, bytes)
        return thumbnail(decode(content, max_pixels=self._max_pixels, reduce_large_jpegs=True), MOST_PX)
