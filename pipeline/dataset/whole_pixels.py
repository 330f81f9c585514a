"""The digest of all pixels of large JPEGs, of which `intake` decodes a smaller scale: computed for those of which it decides something, and cached.

It decides whether images are copies pixel by pixel, and whether earlier versions of this project, which always took all pixels, knew an image.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.dataset.content_cache import ContentCache, cache_folder, drop_others, key_of, opened_cache
from pipeline.dataset.intake import Images
from pipeline.dataset.judged import keys_in, keys_of
from pipeline.dataset.ledger import Ledger
from pipeline.images import decoding, large_jpegs, values
from pipeline.images.decoding import decode, pixel_digest
from pipeline.parallel import parallel_map
from pipeline.quality.fingerprints import LUMA
from pipeline.quality.near_duplicates import Rows

DIGEST_BYTES = 32
MOST_ROUNDED = 12  # grey values of a cell between all pixels and the scaled ones of the same image; up to 6 were seen
MOST_GONE = 0.5  # of the known images: more are not taken for removed ones before all pixels were compared

Digests = Callable[[np.ndarray], np.ndarray]
"""V16 (M,): the first half of the digests of all pixels of rows, int (M,)."""


@dataclass(frozen=True)
class Aliases:
    """Images that earlier versions knew by other keys, uint64 (K,) each."""

    now: np.ndarray
    before: np.ndarray

    def in_ledger(self, ledger: Ledger) -> tuple[Ledger, np.ndarray, np.ndarray]:
        """The ledger with the images by their keys of now; those to be appended to it, and what they follow."""
        known, founders = ledger.find(self.before)
        now, founders = self.now[known], founders[known]
        keys, first = np.unique(np.concatenate([ledger.keys, now]), return_index=True)
        return Ledger(keys, np.concatenate([ledger.founders, founders])[first]), now, founders

    def renamed(self, keys: np.ndarray) -> np.ndarray:
        """Keys, uint64 (N,), with those of before replaced by those of now."""
        now = dict(zip(self.before.tolist(), self.now.tolist(), strict=True))
        return np.array([now.get(key, key) for key in keys.tolist()], np.uint64)


def find_aliases(images: Images, ledger: Ledger, known: np.ndarray, digests: Digests) -> Aliases:
    """The images that data/splits.csv, or the sample `known`, uint64 (M,), has under the key of all their pixels.

    Looked for only if the ledger has images or groups that are not there, or most of the sample is gone: decoding whole images takes long.
    """
    keys = keys_of(images)
    present = np.union1d(keys, images.facts["group"])
    recorded = np.setdiff1d(ledger.keys, present)
    gone = np.setdiff1d(known, present)
    wanted = np.concatenate([recorded, gone if len(gone) > MOST_GONE * len(known) else gone[:0]])
    rows = np.flatnonzero(images.facts["scaled"] & ~np.isin(keys, ledger.keys) & ~np.isin(keys, known))
    rows = rows[np.unique(keys[rows], return_index=True)[1]]
    if not len(rows) or not len(wanted):
        return Aliases(keys[:0], keys[:0])
    before = keys_in(digests(rows))
    found = np.isin(before, wanted)
    return Aliases(keys[rows[found]], before[found])


def maybe_equal(images: Images, fingerprints: Rows, near: np.ndarray) -> np.ndarray:
    """Those of the pairs of near duplicates, int (M, 2), that may have the same pixels although their digests, of different kinds, do not tell it."""
    facts = images.facts
    pairs = near[facts["scaled"][near].any(axis=1)]
    same = facts["pixels"][pairs[:, 0]] != facts["pixels"][pairs[:, 1]]
    for name in ("width", "height", "mode"):
        same &= facts[name][pairs[:, 0]] == facts[name][pairs[:, 1]]
    pairs = pairs[same]
    first, second = (fingerprints[column][:, LUMA].astype(np.int16) for column in (pairs[:, 0], pairs[:, 1]))
    return np.asarray(pairs[np.abs(first - second).max(axis=1, initial=0) <= MOST_ROUNDED])


def compared_whole(images: Images, pairs: np.ndarray, digests: Digests) -> np.ndarray:
    """V16 (N,): equal for images with the same pixels. pairs: those of `maybe_equal`, of which large JPEGs are decoded whole."""
    pixels = images.facts["pixels"].copy()
    rows = np.unique(pairs)
    rows = rows[images.facts["scaled"][rows]]
    if not len(rows):
        return pixels
    scaled, first = np.unique(pixels[rows], return_index=True)
    at = np.minimum(np.searchsorted(scaled, pixels), len(scaled) - 1)
    copies = scaled[at] == pixels
    pixels[copies] = digests(rows[first])[at[copies]]
    return pixels


@dataclass(frozen=True)
class WholeDigests:
    """Computes `Digests` of the images of shards, on all cores."""

    images: Images
    shards: Sequence[Path]
    scratch: Path
    max_pixels: int

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        cache = cache_folder(self.scratch / "whole", modules=(decoding, large_jpegs, values))
        starts = np.cumsum([0, *self.images.shard_lengths])
        shard = np.searchsorted(starts, rows, side="right") - 1
        order = np.argsort(shard, kind="stable")
        numbers, first = np.unique(shard[order], return_index=True)
        parts = [rows[order][a:b] - starts[number] for number, a, b in zip(numbers, first, [*first[1:], len(rows)], strict=True)]
        tasks = [(self.shards[number], part) for number, part in zip(numbers, parts, strict=True)]
        found = np.empty((len(rows), DIGEST_BYTES), np.uint8)
        found[order] = np.concatenate(list(parallel_map(_Whole(cache, uuid.uuid4().hex, self.max_pixels), tasks)))
        ContentCache(cache).keep(np.unique(self.images.facts["content"]))
        drop_others(cache)
        return np.ascontiguousarray(found[:, :16]).view("V16").ravel()


@dataclass(frozen=True)
class _Whole:
    """The digests of all pixels of some rows of a shard, uint8 (M, DIGEST_BYTES); picklable."""

    cache: Path
    run: str
    max_pixels: int

    def __call__(self, task: tuple[Path, np.ndarray]) -> np.ndarray:
        path, rows = task
        column = pq.ParquetFile(path).read(["bytes"])["bytes"]
        contents = [column[row].as_py() for row in rows.tolist()]
        keys, cache = [key_of(content) for content in contents], opened_cache(self.cache, self.run)
        known = cache.find(keys)
        new = [i for i, row in enumerate(known) if row is None]
        computed = [pixel_digest(decode(contents[i], max_pixels=self.max_pixels)) for i in new]
        digests = np.array([np.zeros(DIGEST_BYTES, np.uint8) if row is None else row for row in known], np.uint8)
        digests[new] = np.frombuffer(b"".join(computed), np.uint8).reshape(-1, DIGEST_BYTES)
        cache.add([keys[i] for i in new], digests[new])
        return digests
