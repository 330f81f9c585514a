"""Decode the images of a shard into packed arrays, or take them from the cache. Everything here is picklable, for use in other processes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.dataset.arrays import ArrayFile
from pipeline.dataset.content_cache import key_of, opened_cache
from pipeline.images.decoding import ImageSpec, encoded_to_input

BATCH_BYTES = 16 * 2**20
MOST_KEPT_BYTES = 2 * 2**30
"""Decoded images are kept for later runs up to this size, those of the first shards; the others are decoded again by each run of the stage."""


@dataclass(frozen=True)
class ShardToPack:
    """One shard and the destination of its images: for each array the rows of the shard, the file, and the index of the first row."""

    path: Path
    parts: list[tuple[np.ndarray, ArrayFile, int]]


@dataclass(frozen=True)
class Prepare:
    """Packs the images of a shard. `run` identifies the run of the stage."""

    spec: ImageSpec
    cache: Path
    run: str

    def __call__(self, shard: ShardToPack) -> np.ndarray:
        """The prefixes of the keys of the images, uint64 (N,)."""
        encoded = pq.ParquetFile(shard.path).read(["bytes"])["bytes"]
        at_once = max(1, BATCH_BYTES // (self.spec.height * self.spec.width * self.spec.channels))
        prefixes = []
        for rows, file, first in shard.parts:
            for start in range(0, len(rows), at_once):
                contents = [encoded[row].as_py() for row in rows[start : start + at_once].tolist()]
                keys = [key_of(content) for content in contents]
                file.write(first + start, self._prepared(keys, contents))
                prefixes += [key[:8] for key in keys]
        return np.frombuffer(b"".join(prefixes), np.uint64)

    def _prepared(self, keys: list[bytes], contents: list[bytes]) -> np.ndarray:
        """uint8 (N, height, width, channels) of N encoded images."""
        cache = opened_cache(self.cache, self.run)
        images = np.empty((len(keys), self.spec.height, self.spec.width, self.spec.channels), np.uint8)
        new = []
        for i, known in enumerate(cache.find(keys)):
            if known is None:
                new.append(i)
                images[i] = encoded_to_input(contents[i], self.spec)
            else:
                images[i] = known
        cache.add([keys[i] for i in new], images[new])
        return images
