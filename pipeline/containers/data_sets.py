"""Which files side by side are one data set, in parts and splits, by their names and folders."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from pipeline.errors import SourceError
from pipeline.listing.names import NAMED_IN_ERROR
from pipeline.listing.split_words import split_in_name, split_of_name

PART_WORDS = frozenset(["of", "part", "shard", "tfrecord", "tfrecords", "tfrec", "gz"])


def refuse_several(paths: Sequence[str], what: str) -> None:
    """Raise SourceError for data sets side by side: in several folders, as configurations of the Hub, or by their names, as in mnist-train."""
    folders = ["/".join(folder for folder in PurePosixPath(path).parts[:-1] if not split_of_name(folder)) for path in paths]
    places = sorted({folder or "the top level" for folder in folders})
    if len(places) == 1:
        places = _told_apart_by_names(paths)
    if len(places) > 1:
        shown = " and in ".join(places[:NAMED_IN_ERROR]) + (
            f" and {len(places) - NAMED_IN_ERROR} more" if len(places) > NAMED_IN_ERROR else ""
        )
        raise SourceError(
            f"ingest.source: {what} are in {shown}. Expected one data set: set ingest.source to one of them, or put all files of one data "
            "set into one folder, with one name and numbers."
        )


def split_of_file(path: str) -> str | None:
    """The split in a file's name, train-00000-of-00002.parquet, or that of the innermost folder that says one."""
    found = split_in_name(_stem(path))
    splits = [found.split if found else None, *(split_of_name(folder) for folder in reversed(PurePosixPath(path).parts[:-1]))]
    return next((split for split in splits if split), None)


def _told_apart_by_names(paths: Sequence[str]) -> list[str]:
    """One file of each data set, if files of one split have different names, such as mnist-train and fashion-train."""
    names = [
        (found.split, tuple(word for word in found.rest if word not in PART_WORDS), path)
        for path in paths
        if (found := split_in_name(_stem(path)))
    ]
    first = {rest: path for _, rest, path in reversed(names)}
    return sorted(first.values()) if len({(split, rest) for split, rest, _ in names}) > len({split for split, _, _ in names}) else []


def _stem(path: str) -> str:
    return re.sub(r"\.(parquet|tfrec(ord)?s?|gz)\b", " ", PurePosixPath(path).name, flags=re.IGNORECASE)
