"""The digest of all pixels of large JPEGs, of which `intake` decodes a smaller scale: computed for those of which it decides something, and cached.

It decides whether images are copies pixel by pixel, and whether earlier versions of this project, which always took all pixels, knew an image.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.dataset.content_cache import ContentCache, cache_folder, drop_others, key_of, opened_cache
from pipeline.dataset.intake import Images
from pipeline.dataset.judged import keys_in, keys_of
from pipeline.dataset.ledger import Ledger
from pipeline.dataset.splits import chained
from pipeline.images import decoding, large_jpegs, values
from pipeline.images.decoding import decode, pixel_digest
from pipeline.images.large_jpegs import LARGE_PIXELS
from pipeline.parallel import parallel_map
from pipeline.progress import Progress
from pipeline.quality.fingerprints import LUMA
from pipeline.quality.inspection import MODES
from pipeline.quality.near_duplicates import Rows

DIGEST_BYTES = 32
ROWS_AT_ONCE = 1024
MOST_ROUNDED = 12  # grey values of a cell between all pixels and the scaled ones of the same image; up to 6 were seen
MOST_GONE = 0.5  # of the known images, times the share of large JPEGs: more are not taken for removed ones before all pixels were compared

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
        now, first = np.unique(self.now[known], return_index=True)
        founders = founders[known][first]
        every, first = np.unique(np.concatenate([ledger.keys, now]), return_index=True)
        return Ledger(every, np.concatenate([ledger.founders, founders])[first]), now, founders

    def in_sample(self, keys: np.ndarray) -> np.ndarray:
        """Keys, uint64 (N,), with the images among them also by their keys of now."""
        return np.union1d(keys, self.now[np.isin(self.before, keys)])

    def in_sides(self, sides: Mapping[int, int]) -> dict[int, int]:
        """What decides the split of images, by key, with the images also by their keys of now."""
        both = zip(self.now.tolist(), self.before.tolist(), strict=True)
        return {**{now: sides[before] for now, before in both if before in sides}, **sides}


def find_aliases(images: Images, ledger: Ledger, known: np.ndarray, doubtful: np.ndarray, digests: Digests) -> Aliases:
    """The images that data/splits.csv, or the sample `known`, uint64 (M,), has under the key of all their pixels.

    Decoding whole images takes long. So only the rows `doubtful` are looked up, which are decoded anyway, unless the ledger has images or
    groups that are not there, or as much of the sample is gone as if large JPEGs had other keys in it.
    """
    facts, keys = images.facts, keys_of(images)
    present = np.union1d(keys, facts["group"])
    gone = np.setdiff1d(known, present)
    are_all_there = np.isin(ledger.keys, present).all() and len(gone) <= MOST_GONE * facts["scaled"].mean() * len(known)
    rows = np.flatnonzero(facts["scaled"] & ~np.isin(keys, ledger.keys) & ~np.isin(keys, known))
    rows = np.intersect1d(rows, doubtful) if are_all_there else rows
    rows = rows[np.unique(facts["pixels"][rows], return_index=True)[1]]
    if not len(rows) or not len(ledger.keys) + len(known):
        return Aliases(keys[:0], keys[:0])
    before = keys_in(digests(rows))
    found = np.isin(before, ledger.keys) | np.isin(before, known)
    return Aliases(keys[rows[found]], before[found])


def maybe_equal(images: Images, fingerprints: Rows) -> np.ndarray:
    """Rows, int (M,), of large JPEGs that may have the same pixels as an image with another digest.

    Of two large JPEGs, the scaled pixels tell it, and so the keys; of a large JPEG and an image that was decoded whole, their fingerprints.
    """
    facts = images.facts
    rows = np.flatnonzero(facts["scaled"])
    if not len(rows):
        return rows
    pairs = rows[chained(keys_of(images)[rows])]
    pairs = pairs[facts["pixels"][pairs[:, 0]] != facts["pixels"][pairs[:, 1]]]
    whole = np.flatnonzero(~facts["scaled"] & (facts["width"].astype(np.int64) * facts["height"] > LARGE_PIXELS))
    return np.unique(np.concatenate([pairs.ravel(), _look_like(images, fingerprints, rows, whole)]))


def _shapes(images: Images, rows: np.ndarray) -> np.ndarray:
    """Numbers, int64 (M,), of what has to be the same if the pixels are: width, height and mode."""
    facts = images.facts[rows]
    sides = facts["width"].astype(np.int64) << 32 | facts["height"]
    return np.asarray(sides * len(MODES) + facts["mode"])


def _look_like(images: Images, fingerprints: Rows, rows: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Those of the large JPEGs `rows`, int (M,), whose fingerprint is about that of one of the images `whole`, int (K,), of the same shape."""
    found = [rows[:0]]
    shapes, others = _shapes(images, rows), _shapes(images, whole)
    for shape in np.intersect1d(shapes, others):
        mine, lumas = rows[shapes == shape], fingerprints[whole[others == shape]][:, LUMA].astype(np.int16)
        for start in range(0, len(mine), ROWS_AT_ONCE):
            block = mine[start : start + ROWS_AT_ONCE]
            luma = fingerprints[block][:, LUMA].astype(np.int16)
            alike = np.zeros(len(block), bool)
            for other in lumas:
                alike |= np.abs(luma - other).max(axis=1) <= MOST_ROUNDED
            found.append(block[alike])
    return np.concatenate(found)


def compared_whole(images: Images, doubtful: np.ndarray, digests: Digests) -> np.ndarray:
    """V16 (N,): equal for images with the same pixels. doubtful: the rows of `maybe_equal`, which are decoded whole."""
    pixels = images.facts["pixels"].copy()
    if not len(doubtful):
        return pixels
    scaled, first = np.unique(pixels[doubtful], return_index=True)
    at = np.minimum(np.searchsorted(scaled, pixels), len(scaled) - 1)
    copies = scaled[at] == pixels
    pixels[copies] = digests(doubtful[first])[at[copies]]
    return pixels


def same_pixels(pixels: np.ndarray, doubtful: np.ndarray) -> np.ndarray:
    """Pairs, int (M, 2), that link the rows `doubtful` with all images of the same pixels, V16 (N,)."""
    rows = np.flatnonzero(np.isin(pixels, pixels[doubtful]))
    return np.asarray(rows[chained(pixels[rows])])


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
        done: list[np.ndarray] = []
        with Progress("ingest", len(rows), "large images compared pixel by pixel") as progress:
            for part in parallel_map(_Whole(cache, uuid.uuid4().hex, self.max_pixels), tasks):
                done.append(part)
                progress.advance(len(part))
        found[order] = np.concatenate(done)
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
