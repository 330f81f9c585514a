"""Images that occur more than once: label conflicts, leakage and duplicates, exact or near. Pure functions of arrays over N images.

pixels: the digest of each image's pixels, (N,). labels: int (N,). splits: int8 (N,), TRAIN < VALIDATION < TEST. kept: bool (N,).
If copies are in two splits, those in the lower one are left out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Policy = Literal["reject", "keep", "fail"]
Found = tuple[np.ndarray, np.ndarray]
"""pairs int64 (M, 2), first the image that stays (or the first one); rows int64 (K,) that `reject` leaves out."""

EXACT = ("conflict", "leak", "duplicate")
NEAR = ("near_conflict", "near_leak", "near_duplicate")


@dataclass(frozen=True)
class Copies:
    """One kind of finding: pairs of rows, int64 (M, 2), the rows concerned, int64 (K,), and the policy."""

    kind: str
    pairs: np.ndarray
    rows: np.ndarray
    policy: Policy


def find_copies(
    pixels: np.ndarray, labels: np.ndarray, splits: np.ndarray, near: np.ndarray, policies: Mapping[str, Policy], kept: np.ndarray
) -> list[Copies]:
    """The findings of all six kinds, in the order of EXACT and NEAR; `kept` is set to False for images left out.

    near: int64 (M, 2), pairs of near duplicates; pairs with the same pixels are ignored. Each kind is searched
    among the images that the previous ones kept.
    """
    groups = list(_groups(pixels))
    exact: Mapping[str, Callable[[], Found]] = {
        "conflict": lambda: _conflicts(groups, labels, kept),
        "leak": lambda: _leaks(groups, splits, kept),
        "duplicate": lambda: _duplicates(groups, labels, splits, kept),
        "near_conflict": lambda: _near_conflicts(_alive(near, pixels, kept), labels),
        "near_leak": lambda: _near_leaks(_alive(near, pixels, kept), splits),
        "near_duplicate": lambda: _near_duplicates(_alive(near, pixels, kept), labels, splits),
    }
    findings = []
    for kind in (*EXACT, *NEAR):
        pairs, rows = exact[kind]()
        findings.append(Copies(kind, pairs, rows, policies[kind]))
        if policies[kind] == "reject":
            kept[rows] = False
    return findings


def _groups(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """The rows, ascending, of each set of two or more images with the same pixels."""
    order = np.argsort(pixels, kind="stable")
    same = pixels[order][1:] == pixels[order][:-1]
    starts = np.flatnonzero(same & ~np.concatenate([[False], same[:-1]]))
    ends = np.flatnonzero(same & ~np.concatenate([same[1:], [False]])) + 2
    for start, end in zip(starts, ends, strict=True):
        yield np.sort(order[start:end])


def _conflicts(groups: list[np.ndarray], labels: np.ndarray, kept: np.ndarray) -> Found:
    pairs, rows = [], []
    for group in groups:
        group = group[kept[group]]
        if len(np.unique(labels[group])) > 1:
            other = group[labels[group] != labels[group[0]]][0]
            pairs += [(group[0], row) if labels[row] != labels[group[0]] else (other, row) for row in group[1:]]
            rows += list(group)
    return _found(pairs, rows)


def _leaks(groups: list[np.ndarray], splits: np.ndarray, kept: np.ndarray) -> Found:
    pairs = []
    for group in groups:
        group = group[kept[group]]
        if len(group):
            stays = group[splits[group].argmax()]
            pairs += [(stays, row) for row in group if splits[row] != splits[stays]]
    return _found(pairs, [row for _, row in pairs])


def _duplicates(groups: list[np.ndarray], labels: np.ndarray, splits: np.ndarray, kept: np.ndarray) -> Found:
    pairs = []
    for group in groups:
        first: dict[tuple[int, int], int] = {}
        for row in group[kept[group]]:
            stays = first.setdefault((int(labels[row]), int(splits[row])), int(row))
            if stays != row:
                pairs.append((stays, int(row)))
    return _found(pairs, [row for _, row in pairs])


def _alive(near: np.ndarray, pixels: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The pairs of which both images are kept and have different pixels."""
    alive = kept[near].all(axis=1) & (pixels[near[:, 0]] != pixels[near[:, 1]])
    return np.asarray(near[alive])


def _near_conflicts(near: np.ndarray, labels: np.ndarray) -> Found:
    pairs = near[labels[near[:, 0]] != labels[near[:, 1]]]
    return pairs, np.unique(pairs)


def _near_leaks(near: np.ndarray, splits: np.ndarray) -> Found:
    pairs = near[splits[near[:, 0]] != splits[near[:, 1]]]
    swapped = splits[pairs[:, 0]] < splits[pairs[:, 1]]
    pairs = np.where(swapped[:, None], pairs[:, ::-1], pairs)
    return pairs, np.unique(pairs[:, 1])


def _near_duplicates(near: np.ndarray, labels: np.ndarray, splits: np.ndarray) -> Found:
    same = (labels[near[:, 0]] == labels[near[:, 1]]) & (splits[near[:, 0]] == splits[near[:, 1]])
    pairs = near[same]
    gone: set[int] = set()
    for stays, row in pairs:
        if stays not in gone:
            gone.add(int(row))
    return pairs, np.array(sorted(gone), np.int64)


def _found(pairs: list[tuple[int, int]], rows: list[int]) -> Found:
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(rows, np.int64)
