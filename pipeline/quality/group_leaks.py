"""Groups that a source puts into more than one split. Pure functions of arrays over N images."""

from collections.abc import Mapping

import numpy as np

from pipeline.quality.class_checks import ClassProblem


def find_group_leaks(groups: np.ndarray, splits: np.ndarray, names: Mapping[int, str], split_names: tuple[str, ...]) -> list[ClassProblem]:
    """A problem for each group with images in several splits, in order of the names.

    groups: uint64 (N,), 0 for none. splits: int8 (N,), indices into `split_names`. names: of groups by key.
    """
    pairs, counts = np.unique(np.stack([groups, splits.astype(np.uint64)], axis=1)[groups != 0], axis=0, return_counts=True)
    numbers, splits_of = np.unique(pairs[:, 0], return_counts=True)
    several = np.isin(pairs[:, 0], numbers[splits_of > 1])
    told: dict[str, list[str]] = {}
    for (group, split), count in zip(pairs[several].tolist(), counts[several].tolist(), strict=True):
        told.setdefault(names[group], []).append(f"{count:,} in {split_names[split]}")
    return [ClassProblem("group_leak", (), f"group {name}: images {', '.join(where)}") for name, where in sorted(told.items())]
