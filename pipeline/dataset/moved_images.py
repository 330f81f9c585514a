"""Images that earlier runs had in train and that are in test now, or the other way round: a model was trained on what now tests it.

Compared are images that data/splits.csv records and whose split the source or a group decides now, and the sample in data/known_images.csv of those
whose split the source or a group decided before. What only follows from another `ingest.test_fraction` is not counted.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.dataset.judged import Judged, keys_of
from pipeline.dataset.ledger import Ledger, known_sides, smallest_keys
from pipeline.dataset.split_names import NO_SPLIT, TEST
from pipeline.dataset.splits import decided_by_source, is_test
from pipeline.errors import SourceError
from pipeline.listing.records import Origin
from pipeline.paths import Paths
from pipeline.quality.findings import ImageProblem

DECIDES = {"source": "The source now says the split itself", "group": "Groups now decide the split"}
MOVES = ("from test to train", "from train to test")


@dataclass(frozen=True)
class EarlierSides:
    """What earlier runs recorded of the split of images. sample: what decided it, by image, for images that the ledger does not decide."""

    ledger: Ledger
    sample: Mapping[int, int]


@dataclass(frozen=True)
class Moved:
    """rows: int (M,), the images that changed sides. to_test: bool (M,). recorded: how many images have a recorded side.

    by: "source" or "group", which decides the split of all of them now, or empty. sides: what to record of the sample in data/known_images.csv.
    digest: of images and sides.
    """

    rows: np.ndarray
    to_test: np.ndarray
    recorded: int
    by: str
    sides: Mapping[int, int]
    digest: str

    @property
    def counts(self) -> dict[str, int]:
        """How many images moved, by direction."""
        return {move: int((self.to_test == way).sum()) for way, move in enumerate(MOVES)}


def read_sides(paths: Paths, dataset: str, ledger: Ledger) -> EarlierSides:
    """What earlier runs recorded of a data set."""
    return EarlierSides(ledger, known_sides(paths.known_images, dataset))


def find_moved(judged: Judged, recorded: EarlierSides, followed: np.ndarray, test_fraction: float) -> Moved:
    """The kept images that changed sides. followed: uint64 (N,), what decides the split of each image now.

    The same again if they are compared once more after this run has recorded its images.
    """
    rows = np.flatnonzero(judged.kept)
    facts, keys, in_test = judged.images.facts[rows], keys_of(judged.images)[rows], judged.splits[rows] == TEST
    is_decided, deciders = decided_by_source(facts["split"], facts["group"]), followed[rows]
    in_sample = np.isin(keys, np.concatenate([np.empty(0, np.uint64), *smallest_keys(keys_by_class(judged)).values()]))
    known, before = recorded.ledger.find(keys)
    known &= is_decided & ~np.isin(keys, keys[~is_decided])  # others follow the ledger, and so do their copies
    was_test = is_test(before, test_fraction)
    sampled = np.array([key in recorded.sample for key in keys.tolist()], bool) & in_sample
    sample = np.array([recorded.sample.get(key, 0) for key in keys.tolist()], np.uint64)
    sample_was_test = is_test(sample, test_fraction)
    moved_in_sample = sampled & (sample_was_test != in_test)
    moved = (known & (was_test != in_test)) | moved_in_sample
    by_source = (facts["split"] != NO_SPLIT)[moved]
    by = "source" if by_source.all() else "group" if is_decided[moved].all() else ""
    stays = dict(zip(keys[moved_in_sample].tolist(), sample[moved_in_sample].tolist(), strict=True))
    one_side = is_decided & ~(np.isin(keys, keys[in_test]) & np.isin(keys, keys[~in_test]))
    sides = {**dict(zip(keys[one_side].tolist(), deciders[one_side].tolist(), strict=True)), **stays}
    told = hashlib.sha256("".join(f"{key:016x} {side}\n" for key, side in sorted(zip(keys[moved], in_test[moved], strict=True))).encode())
    return Moved(rows[moved], in_test[moved], int((known | sampled).sum()), by, sides, told.hexdigest())


def keys_by_class(judged: Judged) -> dict[str, np.ndarray]:
    """The keys of the kept images, uint64 (N,), by class."""
    keys, labels = keys_of(judged.images)[judged.kept], judged.images.facts["label"][judged.kept]
    return {name: keys[labels == number] for number, name in enumerate(judged.images.labels)}


def moved_problems(moved: Moved) -> list[ImageProblem]:
    """A finding for each of the images."""
    return [
        ImageProblem("moved_images", row, f"{MOVES[way]}: {'train' if way else 'test'} in earlier runs")
        for row, way in zip(moved.rows.tolist(), moved.to_test.tolist(), strict=True)
    ]


def moves_reported(moved: Moved) -> dict[str, Any]:
    """The part of report.json about the images: empty if none moved, so that nothing else re-runs."""
    if not len(moved.rows):
        return {}
    to_test = int(moved.to_test.sum())
    return {"moved_images": {"to_test": to_test, "to_train": len(moved.rows) - to_test, "digest": moved.digest}}


def refuse_moved(moved: Moved, judged: Judged, name: str, policy: Literal["fail", "keep"], origin: Origin) -> None:
    """Raise SourceError if images changed sides and params.yaml does not confirm it. origin: where splits and groups come from."""
    if not len(moved.rows) or policy == "keep":
        return
    example = judged.subjects([int(moved.rows[0])])[int(moved.rows[0])].path
    counts = ", ".join(f"{count:,} {move}" for move, count in reversed(moved.counts.items()) if count)
    why = f"{DECIDES[moved.by]}. " if moved.by else ""
    raise SourceError(
        f"ingest.source: {len(moved.rows):,} of {moved.recorded:,} images of {name} that earlier runs recorded change sides: {counts}, for example "
        f"{example}. {why}A champion from earlier runs would be tested on images that it was trained on. {how_to_go_on(moved.by, origin)}; "
        "data/ingest/findings.csv lists the images."
    )


def how_to_go_on(by: str, origin: Origin) -> str:
    """What to do about images that change sides. by: "source" or "group", which decides the split now. origin: where these come from."""
    role, where = ("group", origin.groups) if by == "group" else ("split", origin.splits)
    to_ignore = f", for which ingest.columns: {{{role}: none}} leaves {where} out" if by and where.startswith("column ") else ""
    return (
        f"Let the source decide the split as before{to_ignore}, or, if the new split is meant, set ingest.moved_images: keep in params.yaml"
    )
