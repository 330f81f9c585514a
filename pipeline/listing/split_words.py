"""The words by which people name the splits of a data set: `train`, `Training Set`, `data_test`, `dev`, `flowers_val`, `test1`."""

import functools
import re
from typing import NamedTuple

WORDS = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "trainval": "train",
    "test": "test",
    "testing": "test",
    "tst": "test",
    "t10k": "test",
    "holdout": "test",
    "heldout": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "validate": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
}
# Words that say nothing beside the word of a split
FILLERS = frozenset(
    [
        "set",
        "sets",
        "data",
        "dataset",
        "datasets",
        "image",
        "images",
        "img",
        "imgs",
        "picture",
        "pictures",
        "pic",
        "pics",
        "photo",
        "photos",
        "folder",
        "folders",
        "dir",
        "split",
        "splits",
        "file",
        "files",
        "subset",
        "jpg",
        "jpeg",
        "png",
        "full",
        "all",
        "small",
        "big",
        "resized",
        "public",
        "private",
        "label",
        "labels",
        "labeled",
        "labelled",
        "ground",
        "truth",
    ]
)
JOINED = re.compile(rf"({'|'.join(sorted(WORDS, key=len, reverse=True))})(sets?|data|images?|imgs?)")


class SplitName(NamedTuple):
    """The split that a name says, and the other words in it, such as `flowers` in `flowers_train`."""

    split: str
    rest: tuple[str, ...]


@functools.lru_cache(maxsize=4096)
def split_in_name(name: str) -> SplitName | None:
    """The split that a name of a folder, file or array says; None if it has no word of a split, or words of several."""
    ways = [found for words in (words_of(name), words_of(name.lower())) if (found := _split_in_words(words))]
    return min(ways, key=lambda found: len(found.rest), default=None)  # tESt_SeT has the right words in lower case only


def _split_in_words(words: tuple[str, ...]) -> SplitName | None:
    splits = {WORDS[word] for word in words if word in WORDS}
    if splits == {"train", "validation"}:  # train_val_list.txt: what is not for the test
        splits = {"train"}
    if len(splits) != 1:
        return None
    return SplitName(splits.pop(), tuple(word for word in words if word not in WORDS and word not in FILLERS and not word.isdigit()))


def split_of_name(name: str) -> str | None:
    """The split of a name that says nothing else: `Training Set`, `test1`, `val_images`, but not `flowers_train` or `test tube`."""
    found = split_in_name(name)
    return found.split if found and not found.rest else None


@functools.lru_cache(maxsize=65536)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: parted at signs, between letters and digits, and where capitals start a word."""
    if name.lower() in WORDS:  # t10k
        return (name.lower(),)
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    words = re.findall(r"[^\W\d_]+|\d+", parted)
    split: list[str] = []
    for word in words:
        joined = JOINED.fullmatch(word.lower())
        split += joined.groups() if joined else (word.lower(),)
    return tuple(split)
