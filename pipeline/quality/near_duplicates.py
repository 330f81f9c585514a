"""Pairs of images that are copies of one picture: resized, recompressed, a little cropped, brighter or grey. Pure functions of fingerprints.

Three steps, each more expensive per pair than the one before. Candidates: nearest neighbours by the lowest waves of each thumbnail. Registration: one
image is aligned with the other. Ratio test (Lowe 2004): a match counts only if it is clearly better than those with other neighbours, so that
look-alikes are not mistaken for copies.
"""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import joblib
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pipeline.quality.fingerprints import LUMA
from pipeline.quality.pair_measures import equal_enough, left_of_copies, left_unexplained, likeness_as_copies, likeness_as_they_lie
from pipeline.quality.resemblance import FAINT, SIDE, waves

WAVES = 7  # coordinates of a point; the mean is the eighth
WEIGHT_OF_MEAN = 0.15  # brightness separates flat images, and hardly affects others
REACH = 0.45  # largest distance of a candidate, in units of contrast
NEIGHBOURS = 6  # of an image that are compared
SLACK = 0.3  # a neighbour may be farther than the nearest by this share: halves the time
ONLOOKERS = slice(16, 24)  # neighbours that are assumed to show other things, as few pictures have so many copies

NEAR = 0.02  # always a candidate
NEARER = 0.8  # as a share of the distance of the last neighbour
BETTER_EXPLAINED = 0.4  # as a share of what the last neighbour leaves unexplained
NEARLY_EQUAL = 0.002  # share of the energy unexplained: always a candidate

ENOUGH_LIKENESS = 0.95  # even among look-alikes
LEAD = 0.25  # share of what the most similar onlooker lacks to 1

BLOCK = 16_384
POINTS_AT_ONCE = 2048
PAIRS_AT_ONCE = 512  # fits into the cache
MOST_THREADS = 8


class Rows(Protocol):
    """An array (N, …), in memory or on disk."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any, /) -> np.ndarray: ...


def near_duplicates(fingerprints: Rows) -> np.ndarray:
    """Pairs i < j of near duplicates, int64 (M, 2), sorted; equal fingerprints are included.

    fingerprints: uint8 (N, FINGERPRINT_BYTES), in memory or memory mapped. The pairs connect each group of copies, but are not all pairs in it: each
    image is compared with its NEIGHBOURS, then one image of each group with the neighbours of the group, until nothing new is found. So there are at
    most a few pairs per image, however many are alike. The result does not depend on the order of the fingerprints, except for which of several equal
    ones represents them.
    """
    active, pairs = _distinct(fingerprints)
    found = [pairs[_of_pairs(equal_enough, fingerprints, pairs) > 0]]
    asking = np.ones(len(active), bool)
    while asking.any() and len(active) > 1:
        links, staying, beside = _round(fingerprints, active, asking)
        found.append(active[links])
        active, asking = active[staying], beside[staying]
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _distinct(fingerprints: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Rows of distinct fingerprints, in an order that depends only on their bytes, and pairs of rows of equal ones, int64 (M, 2)."""
    keys = np.empty(len(fingerprints), np.uint64)
    for rows in _blocks(len(keys), POINTS_AT_ONCE):
        keys[rows] = _keys(fingerprints[rows])
    order = np.argsort(keys, kind="stable")
    new = np.ones(len(order), bool)
    new[1:] = keys[order][1:] != keys[order][:-1]
    first = order[new]
    return first, np.stack([first[np.cumsum(new) - 1], order], axis=1)[~new]


def _keys(fingerprints: Rows) -> np.ndarray:
    """uint64 (N,): equal for equal fingerprints; for different ones with a probability of 2^-64."""
    words = np.ascontiguousarray(fingerprints).view(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**64, (2, words.shape[1]), dtype=np.uint64) | np.uint64(1)
    mixed = (words ^ (words >> np.uint64(29))) * factors[0]
    keys: np.ndarray = ((mixed ^ (mixed >> np.uint64(32))) * factors[1]).sum(axis=1, dtype=np.uint64)
    return keys


def _blocks(count: int, length: int) -> Iterator[slice]:
    return (slice(start, min(start + length, count)) for start in range(0, count, length))


def _round(fingerprints: Rows, rows: np.ndarray, asking: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The links of the images that ask, from `_links`; the rows to continue with, one of each group; and which lost a neighbour, bool (len(rows),)."""
    tree = _tree(fingerprints, rows)
    links = _links(fingerprints, rows, tree, asking)
    staying = _one_of_each_group(links, len(rows))
    return links, staying, _beside(tree, np.flatnonzero(~staying))


def _tree(fingerprints: Rows, rows: np.ndarray) -> cKDTree:
    """The points of the rows."""
    points = np.empty((len(rows), WAVES + 1))
    for block in _blocks(len(rows), POINTS_AT_ONCE):
        points[block] = _points(fingerprints[rows[block]])
    points[:, WAVES] += np.linspace(0, 1e-6, len(rows))  # a tree cannot split equal points
    return cKDTree(points, leafsize=24, balanced_tree=False, copy_data=False)


def _neighbours(tree: cKDTree, positions: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances and positions, (P, 1 + count), of the points within REACH, nearest first, starting with itself; padded with inf and tree.n."""
    distances, neighbours = tree.query(tree.data[positions], count + 1, eps=SLACK, distance_upper_bound=REACH, workers=_threads())
    return np.asarray(distances), np.asarray(neighbours)


def _beside(tree: cKDTree, positions: np.ndarray) -> np.ndarray:
    """bool (tree.n,): True for the positions and all their neighbours."""
    result = np.zeros(tree.n + 1, bool)
    for block in _blocks(len(positions), BLOCK):
        result[_neighbours(tree, positions[block], ONLOOKERS.start)[1]] = True
    return result[:-1]


def _links(fingerprints: Rows, rows: np.ndarray, tree: cKDTree, asking: np.ndarray) -> np.ndarray:
    """Pairs i < j of positions in `rows`, int64 (M, 2): near duplicates among those that ask, bool (len(rows),), and their nearest neighbours."""
    kept, likenesses = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    images = tree.indices[asking[tree.indices]]  # neighbours follow each other, so the tree stays in the cache
    for block in _blocks(len(images), BLOCK):
        pairs = _candidates(fingerprints, rows, tree, images[block])
        alike = _of_pairs(likeness_as_copies, fingerprints, rows[pairs])
        kept.append(pairs[alike > 0])
        likenesses.append(alike[alike > 0])
    pairs, alike = np.concatenate(kept), np.concatenate(likenesses)
    doubtful = np.flatnonzero(alike < ENOUGH_LIKENESS)
    images, places = np.unique(pairs[doubtful], return_inverse=True)
    onlookers = np.zeros(len(images), np.float32)
    for block in _blocks(len(images), BLOCK // 4):
        onlookers[block] = _most_similar_onlooker(fingerprints, rows, tree, images[block])
    keep = np.ones(len(pairs), bool)
    keep[doubtful] = 1 - alike[doubtful] <= LEAD * (1 - onlookers[places.reshape(-1, 2)].max(axis=1))
    return pairs[keep]


def _points(fingerprints: Rows) -> np.ndarray:
    """float32 (N, WAVES + 1): lowest waves and mean in units of the image's contrast, so that a change of contrast does not move a point."""
    luma = fingerprints[:, LUMA].reshape(-1, SIDE, SIDE).astype(np.float32)
    mean = luma.mean(axis=(1, 2), keepdims=True)
    luma -= mean
    contrast = np.sqrt((luma**2).mean(axis=(1, 2)) + FAINT**2)[:, None]
    points: np.ndarray = np.concatenate([waves(luma)[:, :WAVES] / SIDE, WEIGHT_OF_MEAN * mean[:, 0]], axis=1) / contrast
    return points


def _candidates(fingerprints: Rows, rows: np.ndarray, tree: cKDTree, images: np.ndarray) -> np.ndarray:
    """Pairs i < j, int64 (M, 2), of the images and those of their neighbours that may be copies of them."""
    distances, neighbours = _neighbours(tree, images, NEIGHBOURS)
    near = (distances <= np.maximum(NEARER * distances[:, -1:], NEAR)) & (neighbours < len(rows)) & (neighbours != images[:, None])
    at, rank = np.nonzero(near)
    pairs = np.stack([images[at], neighbours[at, rank]], axis=1)
    left = _of_pairs(left_of_copies, fingerprints, rows[pairs])
    most = np.full(len(images), np.inf, np.float32)
    asked = np.flatnonzero(near.any(axis=1) & (neighbours[:, -1] < len(rows)))
    most[asked] = _of_pairs(left_unexplained, fingerprints, rows[np.stack([images[asked], neighbours[asked, -1]], axis=1)])
    plausible = left <= np.maximum(BETTER_EXPLAINED * most[at], NEARLY_EQUAL)
    return np.unique(np.sort(pairs[plausible], axis=1), axis=0)


def _most_similar_onlooker(fingerprints: Rows, rows: np.ndarray, tree: cKDTree, images: np.ndarray) -> np.ndarray:
    """float32 (len(images),): the likeness of each image to the most similar of its ONLOOKERS, without registration; 0 if it has none."""
    _, neighbours = _neighbours(tree, images, ONLOOKERS.stop)
    onlookers = neighbours[:, 1:][:, ONLOOKERS]
    at, rank = np.nonzero(onlookers < len(rows))
    result = np.zeros(onlookers.shape, np.float32)
    result[at, rank] = _of_pairs(likeness_as_they_lie, fingerprints, rows[np.stack([images[at], onlookers[at, rank]], axis=1)])
    most_similar: np.ndarray = result.max(axis=1)
    return most_similar


def _of_pairs(measure: Callable[[np.ndarray, np.ndarray], np.ndarray], fingerprints: Rows, pairs: np.ndarray) -> np.ndarray:
    """float32 (M,): a measure of the fingerprints of each pair of rows, computed in several threads."""

    def measured(start: int) -> np.ndarray:
        first, second = pairs[start : start + PAIRS_AT_ONCE].T
        return measure(fingerprints[first], fingerprints[second])

    with ThreadPoolExecutor(_threads()) as threads:
        return np.concatenate([np.zeros(0, np.float32), *threads.map(measured, range(0, len(pairs), PAIRS_AT_ONCE))])


@functools.cache
def _threads() -> int:
    return min(int(joblib.cpu_count()), MOST_THREADS)


def _one_of_each_group(links: np.ndarray, count: int) -> np.ndarray:
    """bool (count,): True for the position with the most links in each group, the first if there are several, and for all without links."""
    linked, ends = np.unique(links, return_inverse=True)
    first, second = ends.reshape(-1, 2).T
    graph = coo_array((np.ones(len(links), bool), (first, second)), (len(linked), len(linked)))
    groups = connected_components(graph, directed=False)[1] if len(linked) else np.zeros(0, int)
    order = np.lexsort((-np.bincount(ends.ravel(), minlength=len(linked)), groups))
    leaving = np.ones(len(linked), bool)
    leaving[order[np.unique(groups[order], return_index=True)[1]]] = False
    result = np.ones(count, bool)
    result[linked[leaving]] = False
    return result
