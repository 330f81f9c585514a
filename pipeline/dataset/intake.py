"""Read every image of a source, decode it once, write its bytes to a shard, and cache the results by content.

Uses all cores, a shard at a time; about 80 bytes per image stay in memory.
"""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.dataset.columns import contents, integers, texts
from pipeline.dataset.content_cache import ContentCache, cache_folder, drop_others, key_of, opened_cache
from pipeline.dataset.shards import SHARD_SCHEMA, write_shard
from pipeline.dataset.split_names import NO_SPLIT, SPLITS
from pipeline.errors import ImageError
from pipeline.images import decoding, frames, large_jpegs, sharpness, values
from pipeline.images.sharpness import OF_PIXELS
from pipeline.listing.records import LeftOut, Record, Source
from pipeline.parallel import parallel_map
from pipeline.progress import Progress
from pipeline.quality import fingerprints, inspection
from pipeline.quality.fingerprints import OF_FINGERPRINTS, looks_of
from pipeline.quality.inspection import FACTS, MODES, VALUES, WHOLE_NUMBERS, inspect, is_misnamed

SHARD_ROWS = 1024
SHARD_BYTES = 8 * 2**20
MOST_BYTES = 256 * 2**20
PROPERTY_NAMES = (*OF_FINGERPRINTS, *OF_PIXELS)
KEPT_FACTS = np.dtype(
    [
        ("pixels", "V16"),  # the first half of the digest
        ("scaled", "?"),  # as in FACTS: the digest is not that of all pixels
        ("content", "<u8"),  # the first 8 bytes of the sha256 of the encoded image
        ("label", "<i4"),  # index into Images.labels
        ("split", "i1"),  # the source's: NO_SPLIT, TRAIN, …
        ("group", "<u8"),  # key of the source's group; 0 for none
        ("width", "<u4"),
        ("height", "<u4"),
        ("mode", "u1"),
        ("format", "u1"),
        ("misnamed", "?"),
        ("depth", "u1"),  # as in FACTS, like all others from here
        ("one_colour", "?"),
        ("brightest", "u1"),
        ("frames", "<u2"),
        *((name, "<f4") for name in PROPERTY_NAMES),
    ]
)
NO_LABELS: Mapping[str, str] = {}
DEEP = np.dtype([("row", "<i8"), *((name, VALUES[name]) for name in VALUES.names or ())])


class LabelledImage(NamedTuple):
    """An image as people know it: the sha256 of its pixels, its path and its class."""

    sha256: str
    path: str
    label: str


@dataclass(frozen=True)
class Images:
    """The usable images. facts: KEPT_FACTS (N,), in the order of the shards. deep: DEEP (M,), the rows and values of images of more than 8 bits per
    channel. labels: all classes, also those without a usable image. shard_lengths: images in each shard. groups: by key, the names of those that have
    images in splits of the source. judged: those that a person has called bad or given a class, with their class in the source. given: classes that are
    so given and that no image of the source has.
    """

    facts: np.ndarray
    deep: np.ndarray
    labels: list[str]
    shard_lengths: list[int]
    left_out: list[LeftOut]
    groups: Mapping[int, str] = field(default_factory=dict)
    judged: Sequence[LabelledImage] = ()
    given: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Taken:
    """The result of one chunk of records: FACTS (N,), prefixes of the content, what is said of them, the files left out, all labels of the source, and
    the images that a person has judged.
    """

    facts: np.ndarray
    content: np.ndarray
    records: list[tuple[str, str | None, str | None, bool]]
    left_out: list[LeftOut]
    labels: set[str]
    judged: list[LabelledImage]


def take_images(
    source: Source, shards: Path, fingerprints_file: BinaryIO, cache: Path, max_pixels: int, new_labels: Mapping[str, str] = NO_LABELS
) -> Images:
    """Write all images of a source to the folder `shards`, and their fingerprints, one after the other, to a file.

    new_labels: by the sha256 of the pixels, classes that count instead of those of the source; empty for images that keep theirs and are only to be
    listed.
    """
    cache = cache_folder(cache / "inspected", modules=(decoding, large_jpegs, frames, sharpness, values, inspection, fingerprints))
    labels: dict[str, int] = {}
    facts = bytearray()  # grows in place: concatenating arrays would need twice the memory
    deep: list[np.ndarray] = []
    lengths: list[int] = []
    left_out: list[LeftOut] = []
    groups: dict[int, str] = {}
    judged: list[LabelledImage] = []
    of_source: set[str] = set()
    with Progress("ingest", source.count, "images") as progress:
        for taken in parallel_map(_Take(shards, cache, uuid.uuid4().hex, max_pixels, new_labels), enumerate(_chunks(source.records))):
            fingerprints_file.write(taken.facts["fingerprint"].tobytes())
            deep.append(_deep(taken.facts, first_row=len(facts) // KEPT_FACTS.itemsize))
            facts += _kept(taken, labels).tobytes()
            judged += taken.judged
            of_source |= taken.labels
            for label in sorted(taken.labels):
                labels.setdefault(label, len(labels))
            lengths += [len(taken.facts)] if len(taken.facts) else []
            left_out += taken.left_out
            groups |= {_group_key(group): group for _, split, group, _ in taken.records if split and group}
            progress.advance(len(taken.facts) + len(taken.left_out))
    result = Images(
        np.frombuffer(facts, KEPT_FACTS),
        np.concatenate([np.empty(0, DEEP), *deep]),
        list(labels),
        lengths,
        sorted([*source.left_out, *left_out]),
        groups,
        judged,
        frozenset(labels) - of_source,
    )
    ContentCache(cache).keep(np.unique(result.facts["content"]))
    drop_others(cache)
    return result


@dataclass(frozen=True)
class _Take:
    """Writes one chunk of records to one shard; picklable, so that it can be sent to another process."""

    shards: Path
    cache: Path
    run: str
    max_pixels: int
    new_labels: Mapping[str, str]

    def __call__(self, numbered: tuple[int, list[Record]]) -> Taken:
        number, records = numbered
        readable, left_out = _read_all(records)
        keys = [key_of(content) for _, content in readable]
        facts, faults = self._inspect(keys, [content for _, content in readable])
        left_out += [LeftOut(readable[i][0].path, error.finding, str(error)) for i, error in faults.items()]
        as_read = [pair for i, pair in enumerate(readable) if i not in faults]
        taken, judged = self._relabelled(as_read, facts) if self.new_labels else (as_read, [])
        if taken:
            write_shard(self.shards, number, _table(taken, facts))
        said = [
            (record.label, record.split, record.group, is_misnamed(record.path, image_format))
            for (record, _), image_format in zip(taken, facts["format"].tolist(), strict=True)
        ]
        prefixes = np.frombuffer(b"".join(key[:8] for i, key in enumerate(keys) if i not in faults), np.uint64)
        return Taken(facts, prefixes, said, left_out, {record.label for record in records}, judged)

    def _relabelled(self, read: list[tuple[Record, bytes]], facts: np.ndarray) -> tuple[list[tuple[Record, bytes]], list[LabelledImage]]:
        """The records with the labels that count, and the images that have been judged. facts: FACTS (N,) of the records."""
        digests = [digest.hex() for digest in facts["pixels"].tolist()]
        places = [i for i, digest in enumerate(digests) if digest in self.new_labels]
        judged = [LabelledImage(digests[i], read[i][0].path, read[i][0].label) for i in places]
        taken = list(read)
        for i in places:
            record, content = read[i]
            taken[i] = record._replace(label=self.new_labels[digests[i]] or record.label), content
        return taken, judged

    def _inspect(self, keys: list[bytes], encoded: list[bytes]) -> tuple[np.ndarray, dict[int, ImageError]]:
        """(FACTS (M,) of the images that can be decoded, from the cache if possible; the errors of the others, by index)."""
        cache = opened_cache(self.cache, self.run)
        known = [row if row is not None and int(row["width"]) * int(row["height"]) <= self.max_pixels else None for row in cache.find(keys)]
        rows: list[tuple[object, ...]] = []
        faults: dict[int, ImageError] = {}
        for i in (i for i, row in enumerate(known) if row is None):
            try:
                rows.append(inspect(encoded[i], self.max_pixels))
            except ImageError as error:
                faults[i] = error
        new = np.array(rows, FACTS)
        is_new = np.array([row is None for i, row in enumerate(known) if i not in faults], bool)
        facts = np.empty(len(is_new), FACTS)
        facts[is_new] = new
        facts[~is_new] = np.array([row for row in known if row is not None], FACTS)
        cache.add([key for i, key in enumerate(keys) if known[i] is None and i not in faults], new)
        return facts, faults


def _read_all(records: list[Record]) -> tuple[list[tuple[Record, bytes]], list[LeftOut]]:
    """The records that can be read, with their encoded images, and the files that cannot."""
    readable, left_out = [], []
    for record in records:
        try:
            if record.size_bytes > MOST_BYTES:
                raise ImageError(f"{record.size_bytes / 2**20:,.0f} MB is more than {MOST_BYTES // 2**20} MB", "too_large")
            readable.append((record, record.read()))
        except ImageError as error:
            left_out.append(LeftOut(record.path, error.finding, str(error)))
        except OSError as error:
            left_out.append(LeftOut(record.path, "unreadable", f"cannot be read: {error.strerror}"))
    return readable, left_out


def _table(taken: list[tuple[Record, bytes]], facts: np.ndarray) -> pa.Table:
    columns = [
        texts([record.path for record, _ in taken]),
        texts([record.label for record, _ in taken]),
        texts([digest.hex() for digest in facts["pixels"].tolist()]),
        integers(facts["width"].astype(np.int32)),
        integers(facts["height"].astype(np.int32)),
        texts([MODES[mode] for mode in facts["mode"].tolist()]),
        contents([content for _, content in taken]),
    ]
    return pa.Table.from_arrays(columns, schema=SHARD_SCHEMA)


def _kept(taken: Taken, labels: dict[str, int]) -> np.ndarray:
    """KEPT_FACTS (N,) of a chunk; new classes are added to `labels`."""
    kept = np.zeros(len(taken.facts), KEPT_FACTS)
    kept["pixels"] = np.frombuffer(taken.facts["pixels"].tobytes(), "V16")[::2]
    kept["content"] = taken.content
    for name in ("scaled", "width", "height", "mode", "format", "depth", "one_colour", "brightest", "frames", *OF_PIXELS):
        kept[name] = taken.facts[name]
    for name, column in zip(OF_FINGERPRINTS, looks_of(taken.facts["fingerprint"]).T, strict=True):
        kept[name] = column
    if taken.records:
        names, splits, groups, kept["misnamed"] = zip(*taken.records, strict=True)
        kept["label"] = [labels.setdefault(name, len(labels)) for name in names]
        kept["split"] = [SPLITS.index(split) if split else NO_SPLIT for split in splits]
        kept["group"] = [_group_key(group) if group else 0 for group in groups]
    return kept


def _deep(facts: np.ndarray, first_row: int) -> np.ndarray:
    """DEEP (M,) of those of a chunk of FACTS (N,) that have more than 8 bits per channel."""
    rows = np.flatnonzero(facts["depth"] >= WHOLE_NUMBERS)
    deep = np.empty(len(rows), DEEP)
    deep["row"] = first_row + rows
    for name in VALUES.names or ():
        deep[name] = facts["values"][name][rows]
    return deep


def _group_key(name: str) -> int:
    """The key that decides the split of a group named by the source."""
    return int.from_bytes(hashlib.sha256(f"group {name}".encode()).digest()[:8], "big")


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """The records in chunks of about a thousand, or a few megabytes."""
    chunk: list[Record] = []
    size_bytes = 0
    for record in records:
        chunk.append(record)
        size_bytes += min(record.size_bytes, MOST_BYTES)
        if len(chunk) == SHARD_ROWS or size_bytes >= SHARD_BYTES:
            yield chunk
            chunk, size_bytes = [], 0
    if chunk:
        yield chunk
