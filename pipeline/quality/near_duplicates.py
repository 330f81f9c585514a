"""Pairs of images that are copies of one picture: resized, recompressed, a little cropped, brighter or grey. Pure functions of fingerprints.

Three steps, each cheaper per pair than the next. Candidates: the nearest neighbours of the lowest waves of each thumbnail. Registration: one is laid over
the other. A ratio test (Lowe 2004): a match counts as far as it beats what other near images reach, so that look-alikes are not taken for copies.
"""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import joblib
import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pipeline.quality.fingerprints import CHROMA, DETAIL, LUMA
from pipeline.quality.resemblance import FAINT, SIDE, coarse_motion, equal_contrast, likeness, register, stretch, waves

WAVES = 7  # of a point; the mean is its eighth coordinate
WEIGHT_OF_MEAN = 0.15  # brightness tells flat images apart, and hardly moves others
REACH = 0.45  # of a candidate; contrast is 1
NEIGHBOURS = 6  # of an image are looked at
SLACK = 0.3  # a neighbour may be that much farther than the true one: halves the time
ONLOOKERS = slice(16, 24)  # of the neighbours: taken for images of other things, as few pictures have so many copies

NEAR = 0.02  # always looked at more closely
NEARER = 0.8  # than the last neighbour, as a share of its distance
BETTER_EXPLAINED = 0.4  # than the last neighbour, as a share of what is left over
NEARLY_EQUAL = 0.002  # of the energy left over: a candidate however crowded it is

STRUCTURE = np.array([0.2, 0.5, 0.8])  # with little of it, an outline or two,
LEAST_LIKENESS = np.array([0.95, 0.86, 0.75])  # others are easily alike
ENOUGH_LIKENESS = 0.95  # even among look-alikes
LEAD = 0.25  # of what the likest onlooker falls short of 1
LEAST_STRUCTURE = 0.15  # below, an image is too flat to be registered, and must be equal
# As `register` gives it, for 5 % off every side, with a margin; another image that will not fit is dragged beyond
MOST_MOTION = np.array([0.15, 0.95, 0.15, 0.95], np.float32)
MOST_GAIN = 1.25  # one contrast by the other
MOST_BRIGHTER = 40  # grey values
CHROMA_NOISE = 6  # by which colours may differ
CHROMA_SHARE = 0.15  # of their strength, by which they may differ on top
GREY_CHROMA = 3  # of any cell of a grey image
MOST_FLAT_DIFFERENCE = 2  # grey values, of a cell
MOST_FLAT_MEAN = 1.25  # grey values, of all cells
MOST_FLAT_DETAIL = 6  # above, the picture is finer than the thumbnail, which tells nothing

BLOCK = 16_384
POINTS_AT_ONCE = 2048
PAIRS_AT_ONCE = 512  # fits the cache
MOST_THREADS = 8


class Rows(Protocol):
    """An array (N, …), or what stands for one that is on disk."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any, /) -> np.ndarray: ...


def near_duplicates(fingerprints: Rows) -> np.ndarray:
    """Pairs i < j of near duplicates, int64 (M, 2), sorted; of equal fingerprints too.

    fingerprints: uint8 (N, FINGERPRINT_BYTES), a memory map or not. The pairs tie each group of copies together, but are not all pairs within it: each
    image is compared with its NEIGHBOURS, then one image of each group with the neighbours of the group, until nothing new is found. So there are
    at most a few pairs per image, however many are alike. The same pairs of images come out in whatever order the fingerprints come; which
    of several equal fingerprints stands for all does depend on it.
    """
    active, pairs = _distinct(fingerprints)
    found = [pairs[_of_pairs(_equal_enough, fingerprints, pairs) > 0]]
    asking = np.ones(len(active), bool)
    while asking.any() and len(active) > 1:
        links, staying, beside = _round(fingerprints, active, asking)
        found.append(active[links])
        active, asking = active[staying], beside[staying]
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _distinct(fingerprints: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Rows of distinct fingerprints in an order that depends on their bytes alone, and pairs of rows of equal ones, int64 (M, 2)."""
    keys = np.empty(len(fingerprints), np.uint64)
    for rows in _blocks(len(keys), POINTS_AT_ONCE):
        keys[rows] = _keys(fingerprints[rows])
    order = np.argsort(keys, kind="stable")
    new = np.ones(len(order), bool)
    new[1:] = keys[order][1:] != keys[order][:-1]
    first = order[new]
    return first, np.stack([first[np.cumsum(new) - 1], order], axis=1)[~new]


def _keys(fingerprints: Rows) -> np.ndarray:
    """uint64 (N,): equal for equal fingerprints, and for others with a probability of 2^-64."""
    words = np.ascontiguousarray(fingerprints).view(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**64, (2, words.shape[1]), dtype=np.uint64) | np.uint64(1)
    mixed = (words ^ (words >> np.uint64(29))) * factors[0]
    keys: np.ndarray = ((mixed ^ (mixed >> np.uint64(32))) * factors[1]).sum(axis=1, dtype=np.uint64)
    return keys


def _blocks(count: int, length: int) -> Iterator[slice]:
    return (slice(start, min(start + length, count)) for start in range(0, count, length))


def _round(fingerprints: Rows, rows: np.ndarray, asking: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Links of the images that ask, as `_links` gives them; which rows to go on with, one of each group; and which lost a neighbour, bool (len(rows),)."""
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
    """Distances and positions, (P, 1 + count), of the points within REACH, nearest first, itself first of all; inf and tree.n where there are fewer."""
    distances, neighbours = tree.query(tree.data[positions], count + 1, eps=SLACK, distance_upper_bound=REACH, workers=_threads())
    return np.asarray(distances), np.asarray(neighbours)


def _beside(tree: cKDTree, positions: np.ndarray) -> np.ndarray:
    """bool (tree.n,): is among the neighbours of one of the positions, or one itself."""
    result = np.zeros(tree.n + 1, bool)
    for block in _blocks(len(positions), BLOCK):
        result[_neighbours(tree, positions[block], ONLOOKERS.start)[1]] = True
    return result[:-1]


def _links(fingerprints: Rows, rows: np.ndarray, tree: cKDTree, asking: np.ndarray) -> np.ndarray:
    """Pairs i < j of positions in `rows`, int64 (M, 2): near duplicates among those that ask, bool (len(rows),), and their nearest neighbours."""
    kept, likenesses = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    images = tree.indices[asking[tree.indices]]  # near ones one after another: the tree stays in the cache
    for block in _blocks(len(images), BLOCK):
        pairs = _candidates(fingerprints, rows, tree, images[block])
        alike = _of_pairs(_likeness_as_copies, fingerprints, rows[pairs])
        kept.append(pairs[alike > 0])
        likenesses.append(alike[alike > 0])
    pairs, alike = np.concatenate(kept), np.concatenate(likenesses)
    doubtful = np.flatnonzero(alike < ENOUGH_LIKENESS)
    images, places = np.unique(pairs[doubtful], return_inverse=True)
    onlookers = np.zeros(len(images), np.float32)
    for block in _blocks(len(images), BLOCK // 4):
        onlookers[block] = _likest_onlooker(fingerprints, rows, tree, images[block])
    keep = np.ones(len(pairs), bool)
    keep[doubtful] = 1 - alike[doubtful] <= LEAD * (1 - onlookers[places.reshape(-1, 2)].max(axis=1))
    return pairs[keep]


def _points(fingerprints: Rows) -> np.ndarray:
    """float32 (N, WAVES + 1): lowest waves and mean in units of the image's contrast, so that brighter copies stay where they are."""
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
    left = _of_pairs(_left_of_copies, fingerprints, rows[pairs])
    most = np.full(len(images), np.inf, np.float32)
    asked = np.flatnonzero(near.any(axis=1) & (neighbours[:, -1] < len(rows)))
    most[asked] = _of_pairs(_left_unexplained, fingerprints, rows[np.stack([images[asked], neighbours[asked, -1]], axis=1)])
    plausible = left <= np.maximum(BETTER_EXPLAINED * most[at], NEARLY_EQUAL)
    return np.unique(np.sort(pairs[plausible], axis=1), axis=0)


def _likest_onlooker(fingerprints: Rows, rows: np.ndarray, tree: cKDTree, images: np.ndarray) -> np.ndarray:
    """float32 (len(images),): how alike each image and the likest of its ONLOOKERS are as they lie; 0 without any."""
    _, neighbours = _neighbours(tree, images, ONLOOKERS.stop)
    onlookers = neighbours[:, 1:][:, ONLOOKERS]
    at, rank = np.nonzero(onlookers < len(rows))
    result = np.zeros(onlookers.shape, np.float32)
    result[at, rank] = _of_pairs(_likeness_as_they_lie, fingerprints, rows[np.stack([images[at], onlookers[at, rank]], axis=1)])
    likest: np.ndarray = result.max(axis=1)
    return likest


def _of_pairs(measure: Callable[[np.ndarray, np.ndarray], np.ndarray], fingerprints: Rows, pairs: np.ndarray) -> np.ndarray:
    """float32 (M,): a measure of the fingerprints of each pair of rows, on several threads."""

    def measured(start: int) -> np.ndarray:
        first, second = pairs[start : start + PAIRS_AT_ONCE].T
        return measure(fingerprints[first], fingerprints[second])

    with ThreadPoolExecutor(_threads()) as threads:
        return np.concatenate([np.zeros(0, np.float32), *threads.map(measured, range(0, len(pairs), PAIRS_AT_ONCE))])


@functools.cache
def _threads() -> int:
    return min(int(joblib.cpu_count()), MOST_THREADS)


def _left_unexplained(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (P,): the share of the energy of the lowest waves that no small motion explains."""
    images, others, _ = equal_contrast(first[:, LUMA], second[:, LUMA])
    return coarse_motion(waves(images), waves(others))[1]


def _left_of_copies(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (P,): as `_left_unexplained`, inf where brightness or contrast rule copies out."""
    images, others, gain = equal_contrast(first[:, LUMA], second[:, LUMA])
    brighter = np.abs(first[:, LUMA].mean(axis=1, dtype=np.float32) - second[:, LUMA].mean(axis=1, dtype=np.float32))
    possible = (np.abs(np.log(gain)) <= np.log(MOST_GAIN)) & (brighter <= MOST_BRIGHTER)
    result: np.ndarray = np.where(possible, coarse_motion(waves(images), waves(others))[1], np.float32(np.inf))
    return result


def _likeness_as_they_lie(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (P,), 0 to 1, without registration."""
    images, others, _ = equal_contrast(first[:, LUMA], second[:, LUMA])
    alike: np.ndarray = np.clip(likeness(images, others)[0], 0, 1)
    return alike


def _likeness_as_copies(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (P,), 0 to 1, after registration; 0 where it is too low or colour rules copies out; 1 or 0 for flat images, equal or not."""
    images, others, _ = equal_contrast(first[:, LUMA], second[:, LUMA])
    motion, _ = coarse_motion(waves(images), waves(others))
    motion = register(images, others, motion)
    alike, structure = likeness(stretch(images, motion / 2), stretch(others, -motion / 2))
    possible = _same_colours(first[:, CHROMA], second[:, CHROMA])
    possible &= (np.abs(motion) <= MOST_MOTION).all(axis=1) & (alike >= np.interp(structure, STRUCTURE, LEAST_LIKENESS))
    result: np.ndarray = np.where(possible, alike, 0).astype(np.float32)
    flat = np.flatnonzero(structure < LEAST_STRUCTURE)
    result[flat] = _equal_enough(first[flat], second[flat])
    return result


def _same_colours(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """bool (P,): chroma, uint8 (P, 32), differs by little, or one of both is grey."""
    chroma, other = first.astype(np.float32) - 128, second.astype(np.float32) - 128
    grey = np.minimum(np.abs(chroma).max(axis=1), np.abs(other).max(axis=1)) <= GREY_CHROMA
    difference = np.sqrt(((chroma - other) ** 2).mean(axis=1))
    strength = np.sqrt((chroma**2 + other**2).mean(axis=1) / 2)
    same: np.ndarray = grey | (difference <= CHROMA_NOISE + CHROMA_SHARE * strength)
    return same


def _equal_enough(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """bool (P,): the cells agree to a few grey values, more only beside an edge, which resizing shifts; and the thumbnails tell all there is to see."""
    luma, other = (each[:, LUMA].reshape(-1, SIDE, SIDE).astype(np.int16) for each in (first, second))
    difference = np.abs(luma - other)
    brightest = maximum_filter(np.maximum(luma, other), (1, 3, 3))
    darkest = minimum_filter(np.minimum(luma, other), (1, 3, 3))
    alike = (difference <= MOST_FLAT_DIFFERENCE + (brightest - darkest) // 4).all(axis=(1, 2))
    alike &= difference.mean(axis=(1, 2)) <= MOST_FLAT_MEAN
    alike &= np.abs(first[:, CHROMA].astype(np.int16) - second[:, CHROMA]).max(axis=1, initial=0) <= MOST_FLAT_DIFFERENCE
    equal: np.ndarray = alike & (np.maximum(first[:, DETAIL], second[:, DETAIL]) <= MOST_FLAT_DETAIL)
    return equal


def _one_of_each_group(links: np.ndarray, count: int) -> np.ndarray:
    """bool (count,): of each group of linked positions the one with the most links, of several the first; and all that are not linked."""
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
