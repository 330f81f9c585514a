"""Do the images that are new since the champion look like those before? Reads what the stages have written; no network is computed."""

from collections.abc import Mapping

import numpy as np
import pyarrow.parquet as pq

from pipeline.certainty.kept_answers import TEST, read_kept_answers
from pipeline.certainty.out_of_fold import read_out_of_fold
from pipeline.changes.image_list import Placed
from pipeline.dataset.arrays import read_array
from pipeline.dataset.shards import read_properties
from pipeline.drift import FEWEST
from pipeline.drift.verdict import Drift, Side, find_drift, sample
from pipeline.files import read_json
from pipeline.paths import Paths

TRAINING = ("train", "validation")
SEED = 0


def drift_of_new(before: Mapping[str, Placed], paths: Paths) -> tuple[Drift, np.ndarray] | None:
    """The drift of the images that are not in `before`, and their rows in data/ingest, int (M,), in its order; None if they are too few on a side."""
    index = pq.read_table(paths.stage("ingest") / "index.parquet", columns=["sha256", "split"])
    splits = np.array([split or "" for split in index["split"].to_pylist()])
    is_new = np.array([sha256 not in before for sha256 in index["sha256"].to_pylist()])
    every = (np.flatnonzero((splits != "") & chosen) for chosen in (is_new, ~is_new))
    rows = [some[sample(len(some), SEED)] for some in every]
    if min(map(len, rows)) < FEWEST:
        return None
    new, reference = (_side(each, splits, paths) for each in rows)
    if min(len(np.unique(side.groups)) for side in (new, reference)) < FEWEST:
        return None
    return find_drift(new, reference, seed=SEED), rows[0]


def _side(rows: np.ndarray, splits: np.ndarray, paths: Paths) -> Side:
    """The images in some rows of data/ingest, with the answers of networks that were not fitted to them."""
    parts = [np.flatnonzero(np.isin(splits, TRAINING)), np.flatnonzero(splits == "test")]
    place = np.empty(len(splits), np.int64)
    for offset, part in zip((0, len(parts[0])), parts, strict=True):
        place[part] = offset + np.arange(len(part))
    chosen = place[rows]
    names = list(read_json(paths.stage("preprocess") / "spec.json")["class_names"])
    folds = read_out_of_fold(paths, names)
    tested = read_kept_answers(paths, TEST, names, len(parts[1]))
    groups = np.concatenate([np.load(paths.stage("preprocess") / part / "groups.npy") for part in ("train", "test")])
    return Side(
        _features(chosen, paths),
        np.stack([values[rows] for values in read_properties(paths.stage("ingest")).values()], axis=1),
        groups[chosen],
        np.concatenate([folds.probabilities, tested.probabilities])[chosen],
        np.concatenate([folds.labels, tested.labels])[chosen],
    )


def _features(chosen: np.ndarray, paths: Paths) -> np.ndarray:
    """float32 (M, F) as `preprocess` has computed them for all images, training images first; F is 0 if it has not."""
    parts = [read_array(paths.stage("preprocess") / part / "embeddings.npy") for part in ("train", "test")]
    if not len(parts[0]) or not len(parts[1]):
        return np.empty((len(chosen), 0), np.float32)
    first = len(parts[0])
    return np.stack([parts[int(row >= first)][row - first * (row >= first), 0] for row in chosen.tolist()])
