"""Splits in a table of image numbers, as in CUB-200: images.txt gives each image a number, train_test_split.txt says 1 for training."""

from collections.abc import Sequence

from pipeline.listing.split_words import words_of
from pipeline.tables.columns import Understood
from pipeline.tables.image_index import ImageIndex
from pipeline.tables.said import Labels

BOTH = {"train", "test"}


def add_splits_by_number(tables: Sequence[Understood], index: ImageIndex, labels: Labels) -> None:
    """Take the splits that a table gives to numbers of images, where another table gives the numbers to the images."""
    flags = next((understood for understood in tables if _is_split_of_numbers(understood)), None)
    paths = _numbered_paths(tables, index) if flags else {}
    if not flags or not paths:
        return
    for _, (number, flag) in flags.table.rows():
        if path := paths.get(str(number)):
            labels.splits[path] = "train" if str(flag) == "1" else "test"


def _is_split_of_numbers(understood: Understood) -> bool:
    profiles = list(understood.profiles.values())
    return (
        len(profiles) == 2
        and set(words_of(understood.table.name)) >= BOTH
        and profiles[1].values <= {"0", "1"}
        and len(profiles[0].values) == understood.rows
    )


def _numbered_paths(tables: Sequence[Understood], index: ImageIndex) -> dict[str, str]:
    """The images by their numbers, from a table of two columns, number and path."""
    for understood in tables:
        profiles = list(understood.profiles.values())
        if len(profiles) == 2 and len(profiles[1].images) == understood.rows == len(profiles[0].values) == profiles[0].numbers:
            rows = ((str(number), index.find(str(path), understood.table.path)) for _, (number, path) in understood.table.rows())
            return {number: found[0] for number, found in rows if len(found) == 1}
    return {}
