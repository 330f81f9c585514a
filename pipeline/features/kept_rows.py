"""Rows computed from packed images, kept by the content of each: an image that was seen before, in whatever run and place, is not computed again.

Work is done in shards, each kept as soon as it is computed: what a killed run loses is its last shard. Memory does not grow with the number of
images but for some bytes per image; memory maps are opened anew for each shard, since mapped pages count as memory of the process.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.dataset.arrays import read_array
from pipeline.dataset.content_cache import KEY_BYTES, ContentCache, key_of
from pipeline.features.extractor import Extractor

SHARD = 512
"""Pictures per shard."""


@dataclass(frozen=True)
class Views:
    """The images uint8 (N, H, W, C) of an .npy file, each seen in `count` ways: as it is, or also mirrored."""

    path: Path
    count: int

    def __len__(self) -> int:
        """The number of positions, N times `count`: the views of an image are neighbours."""
        return len(read_array(self.path)) * self.count

    def read(self, positions: np.ndarray) -> np.ndarray:
        """uint8 (M, H, W, C) at the positions int64 (M,)."""
        pictures = np.asarray(read_array(self.path)[positions // self.count])
        mirrored = np.flatnonzero(positions % self.count)
        pictures[mirrored] = pictures[mirrored, :, ::-1]
        return pictures


@dataclass(frozen=True)
class Pictures:
    """The D different pictures among the views, in order of first appearance.

    keys: uint8 (D, KEY_BYTES). first: int64 (D,), the position where each appears first. numbers: int64 (N * views,), the picture at each position.
    """

    keys: np.ndarray
    first: np.ndarray
    numbers: np.ndarray

    @property
    def prefixes(self) -> np.ndarray:
        """The first 8 bytes of the keys, uint64 (D,)."""
        return np.ascontiguousarray(self.keys[:, :8]).view(np.uint64).ravel()

    def keys_of(self, numbers: np.ndarray) -> list[bytes]:
        return [key.tobytes() for key in self.keys[numbers]]


def kept_folder(parent: Path, extractor: Extractor) -> Path:
    """The folder of an extractor's rows."""
    return parent / hashlib.sha256(repr(extractor.identity).encode()).hexdigest()[:16]


def look_at(views: Views) -> Pictures:
    """The different pictures among the views."""
    keys = np.empty((len(views), KEY_BYTES), np.uint8)
    for start in range(0, len(keys), SHARD):
        positions = np.arange(start, min(start + SHARD, len(keys)))
        keys[positions] = [np.frombuffer(key_of(picture.tobytes()), np.uint8) for picture in views.read(positions)]
    halves = keys.view(np.uint64)
    _, first, inverse = np.unique(halves, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    first = first[order]
    return Pictures(keys[first], first, rank[inverse.reshape(-1)])


def take_known(pictures: Pictures, cache: ContentCache, on_rows: Callable[[np.ndarray, np.ndarray], None]) -> np.ndarray:
    """Give the kept rows to `on_rows`, with the numbers of their pictures; returns the numbers of the others, int64 (M,)."""
    missing = []
    for start in range(0, len(pictures.keys), SHARD):
        numbers = np.arange(start, min(start + SHARD, len(pictures.keys)))
        rows = cache.find(pictures.keys_of(numbers))
        is_known = np.array([row is not None for row in rows])
        if is_known.any():
            on_rows(numbers[is_known], np.stack([row for row in rows if row is not None]))
        missing.append(numbers[~is_known])
    return np.concatenate(missing) if missing else np.empty(0, np.int64)


def compute_missing(
    views: Views,
    pictures: Pictures,
    missing: np.ndarray,
    extractor: Extractor,
    cache: ContentCache,
    on_rows: Callable[[np.ndarray, np.ndarray], None],
) -> None:
    """Compute the rows of the pictures with these numbers, keep them, and give them to `on_rows`, shard by shard."""
    for start in range(0, len(missing), SHARD):
        numbers = missing[start : start + SHARD]
        rows = extractor.compute(views.read(pictures.first[numbers]))
        cache.add(pictures.keys_of(numbers), rows)
        on_rows(numbers, rows)
