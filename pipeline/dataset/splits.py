"""Which images are held out: by content for test, by class and group for folds and validation. Pure functions of arrays.

A group is a set of images that must be kept together: near duplicates, or a group named by the source.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.dataset.split_names import NO_SPLIT, TEST, TRAIN
from pipeline.errors import SourceError

CROWD_SHARE = 0.05
CROWD_IMAGES = 20
ALWAYS_TEST = np.uint64(0)
ALWAYS_TRAIN = np.uint64(2**64 - 1)


def components(count: int, pairs: np.ndarray) -> np.ndarray:
    """int32 (count,): the group number of each image, if the images of each pair, int (M, 2), belong together."""
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int32)


def chained(keys: np.ndarray) -> np.ndarray:
    """int (M, 2): pairs that link all images with the same key."""
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    return np.stack([order[same], order[same + 1]], axis=1)


def without_crowds(count: int, pairs: np.ndarray) -> np.ndarray:
    """The pairs, int (M, 2), without those in groups of more than CROWD_SHARE of all images (and more than CROWD_IMAGES).

    So many similar images are not copies of one picture but typical of the set, such as drawings or video frames; kept together they would leave
    nothing for the other split.
    """
    group = components(count, pairs)
    large = np.bincount(group) > max(CROWD_IMAGES, CROWD_SHARE * count)
    return np.asarray(pairs[~large[group[pairs[:, 0]]]])


def together(keys: np.ndarray, groups: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """int32 (N,): the group number of each image: same pixels, same group of the source, or linked by near duplicates.

    keys, groups: uint64 (N,), 0 for no group. pairs: int (M, 2), near duplicates.
    """
    grouped = np.flatnonzero(groups)
    links = [pairs, chained(keys), grouped[chained(groups[grouped])]]
    return components(len(keys), np.concatenate(links).astype(np.int64))


@dataclass(frozen=True)
class Sides:
    """splits: int8 (N,), the split of each image. keys: uint64 (N,). followed: uint64 (N,), what decides each.

    new_keys, new_founders: uint64 (M,), images and groups decided for the first time.

    enough_for_test: if nothing is in test, a test fraction at which a group goes there that is not all of a class; 1 if there is no such group.
    """

    splits: np.ndarray
    keys: np.ndarray
    followed: np.ndarray
    new_keys: np.ndarray
    new_founders: np.ndarray
    enough_for_test: float


def decide_sides(
    keys: np.ndarray,
    labels: np.ndarray,
    given: np.ndarray,
    groups: np.ndarray,
    near: np.ndarray,
    recorded: np.ndarray,
    earlier: np.ndarray,
    *,
    test_fraction: float,
) -> Sides:
    """The split of each of N images: the source's; else decided by its group, an earlier run, its near duplicates, or itself.

    keys: uint64, the first 64 bits of the sha256 of the pixels. given: int8, the source's split or NO_SPLIT. groups: uint64, the source's group or 0.
    labels: int. near: int (M, 2), near duplicates. recorded: bool, whether an earlier run decided on the image, or on its group if it has one (see
    `decided_by`); earlier: uint64, what it follows since then.
    """
    fixed = np.where(recorded, earlier, groups).astype(np.uint64)
    fixed = np.select([given == TEST, given != NO_SPLIT], [ALWAYS_TEST, ALWAYS_TRAIN], fixed)
    new = (given == NO_SPLIT) & ~recorded
    followed = founders(keys, fixed, ~new | (groups != 0), near)
    followed = _leave_some_to_train(followed, labels, new, given, test_fraction)
    new_keys, first = np.unique(decided_by(keys, groups)[new], return_index=True)
    splits = np.where(given != NO_SPLIT, given, np.where(is_test(followed, test_fraction), TEST, TRAIN))
    enough = 0.0 if (splits == TEST).any() else _enough_for_test(followed, labels)
    return Sides(splits.astype(np.int8), keys, followed, new_keys, followed[new][first], enough)


def decided_by(keys: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """uint64 (N,): the number by which it is recorded what an image follows: that of its group, or its own if it has none (0)."""
    return np.where(groups != 0, groups, keys)


def decided_by_source(given: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Whether the source or its group decides the split of each image, bool (N,), for `decide_sides`."""
    decided: np.ndarray = (given != NO_SPLIT) | (groups != 0)
    return decided


def _leave_some_to_train(followed: np.ndarray, labels: np.ndarray, new: np.ndarray, given: np.ndarray, test_fraction: float) -> np.ndarray:
    """What the images follow, uint64 (N,), changed for new ones if otherwise a class had no training images or there were no test images.

    If all groups of a class are in test by chance, the one closest to the threshold moves to train; if all images are in train, the group closest to
    the threshold, unless it is all that a class has, moves to test. Images that follow an already decided one stay with it.
    """
    result = followed.copy()
    own = new & ~np.isin(followed, followed[~new])
    trained = np.where(given == NO_SPLIT, ~is_test(result, test_fraction), given != TEST)
    for label in np.setdiff1d(labels[own], labels[trained]):
        result[own & (followed == followed[own & (labels == label)].max())] = ALWAYS_TRAIN
    tested = np.where(given == NO_SPLIT, is_test(result, test_fraction), given == TEST)
    if not tested.any():
        mine = own & ~_are_all_of_a_class(followed, labels)
        if mine.any():
            result[own & (followed == followed[mine].min())] = ALWAYS_TEST
    return result


def _are_all_of_a_class(followed: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """bool (N,): whether some class has no images but those that follow the same as this one."""
    _, number = np.unique(followed, return_inverse=True)
    label, unit = np.divmod(np.unique(labels.astype(np.int64) * (number.max(initial=0) + 1) + number), number.max(initial=0) + 1)
    _, first, counts = np.unique(label, return_index=True, return_counts=True)
    return np.asarray(np.isin(number, unit[first[counts == 1]]))


def _enough_for_test(followed: np.ndarray, labels: np.ndarray) -> float:
    several = followed[~_are_all_of_a_class(followed, labels)]
    return min(1.0, (int(several.min()) + 1) / 2**64) if len(several) else 1.0


def founders(keys: np.ndarray, fixed: np.ndarray, is_fixed: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """uint64 (N,): the key that decides the split of each image.

    keys: uint64 (N,), the first 64 bits of the sha256 of each image's pixels. fixed: uint64 (N,), the deciding key where `is_fixed`, bool (N,): from
    the source, its groups, or an earlier run. pairs: int (M, 2), near duplicates. An image that is not fixed follows its fixed near duplicates; if
    there are none, the group follows one of its members.
    """
    result = fixed.copy()
    free = ~is_fixed
    same_key = chained(keys)
    links = np.concatenate([pairs, same_key]).astype(np.int64)
    group = components(len(keys), links[free[links].all(axis=1)])
    across = links[free[links[:, 0]] != free[links[:, 1]]]
    inside = np.where(free[across[:, 0]], across[:, 0], across[:, 1])
    anchors = np.where(free[across[:, 0]], across[:, 1], across[:, 0])
    members = np.flatnonzero(free)
    leader = _least_by_group(group[members], keys[members], len(keys))
    anchor = _least_by_group(group[inside], fixed[anchors], len(keys))
    anchored = np.zeros(len(keys), bool)
    anchored[group[inside]] = True
    chosen = np.where(anchored, anchor, leader)
    result[members] = chosen[group[members]]
    return result


def is_test(founder: np.ndarray, test_fraction: float) -> np.ndarray:
    """bool (N,): True for a share `test_fraction` of all founders, uint64 (N,). Depends on nothing but their values."""
    return np.asarray(founder < np.uint64(int(test_fraction * 2**64)))


def stratified_folds(labels: np.ndarray, groups: np.ndarray, folds: int, *, seed: int) -> np.ndarray:
    """The fold of each image, int8 (N,), from 0; each class is spread as evenly as whole groups allow.

    labels: int (N,). groups: int (N,), images with the same number are kept together. A class with fewer groups than folds is missing from some folds.
    Large groups are assigned first, each to the fold with the fewest images of its class. Raises SourceError if there are fewer groups than folds.
    """
    numbers, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(numbers) < folds:
        what = "training images" if len(numbers) == len(labels) else "groups of training images"
        raise SourceError(f"{len(numbers)} {what} cannot be split into {folds} folds. Lower cross_validate.folds or add images.")
    order = np.random.default_rng(seed).permutation(len(labels))
    counts = np.zeros((labels.max() + 1, folds), np.int64)
    result = np.full(len(labels), -1, np.int8)
    for members in _large_groups(group, sizes):
        classes, held = np.unique(labels[members], return_counts=True)
        fold = int(np.lexsort((counts.sum(axis=0), counts[classes].sum(axis=0)))[0])
        result[members] = fold
        counts[classes, fold] += held
    for label in np.unique(labels):
        rows = order[(labels[order] == label) & (result[order] < 0)]
        shares = _even_shares(counts[label], len(rows), counts.sum(axis=0))
        result[rows] = np.repeat(np.arange(folds), shares)
        counts[label] += shares
    return result


def stratified_holdout(labels: np.ndarray, groups: np.ndarray, fraction: float, *, seed: int) -> np.ndarray:
    """bool (N,): about `fraction` of each class is held out, in whole groups. A class with two or more groups keeps images on both sides."""
    held_out = np.zeros(len(labels), bool)
    rng = np.random.default_rng(seed)
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = rng.permutation(len(sizes))
    first = np.full(len(sizes), len(labels))
    np.minimum.at(first, group, np.arange(len(labels)))
    group_label = labels[first]
    for label in np.unique(group_label):
        mine = order[group_label[order] == label]
        if len(mine) < 2:
            continue
        reached = np.cumsum(sizes[mine])
        wanted = max(1, round(reached[-1] * fraction))
        taken = int(np.searchsorted(reached, wanted)) + 1
        held_out[np.isin(group, mine[: min(taken, len(mine) - 1)])] = True
    return held_out


def _large_groups(group: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """The rows of each group of two or more images, the largest group first."""
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(sizes)
    large = np.flatnonzero(sizes > 1)
    return [order[ends[i] - sizes[i] : ends[i]] for i in large[np.argsort(-sizes[large], kind="stable")]]


def _even_shares(held: np.ndarray, count: int, total: np.ndarray) -> np.ndarray:
    """int (folds,): how many of `count` images each fold gets, so that together with those held, int (folds,), the folds are as even as possible.

    Ties are broken by the smaller `total`.
    """
    low, high = 0, int(held.max()) + count
    while low < high:  # the highest level to which all folds can be filled
        level = (low + high + 1) // 2
        low, high = (level, high) if np.maximum(level - held, 0).sum() <= count else (low, level - 1)
    shares = np.maximum(low - held, 0)
    least = np.lexsort((total + shares, held + shares))[: count - int(shares.sum())]
    shares[least] += 1
    return np.asarray(shares)


def _least_by_group(group: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """uint64 (count,): one of the values of each group, independent of their order, and not chosen by size, which decides the split."""
    result = np.zeros(count, np.uint64)
    order = np.argsort(_mixed(values), kind="stable")[::-1]
    result[group[order]] = values[order]  # the last one written has the smallest mixed value
    return result


def _mixed(values: np.ndarray) -> np.ndarray:
    """uint64 (N,), each bit depends on all bits of the value: the finalizer of splitmix64 (Steele, Lea and Flood, 2014)."""
    mixed = values.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
