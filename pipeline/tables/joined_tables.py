"""Splits in a table of image numbers, as in CUB-200: images.txt gives each image a number, train_test_split.txt says 1 for training."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.listing.split_words import words_of
from pipeline.tables.columns import Understood
from pipeline.tables.image_index import ImageIndex
from pipeline.tables.said import Labels

BOTH = {"train", "test"}


def add_splits_by_number(tables: Sequence[Understood], index: ImageIndex, labels: Labels) -> None:
    """Take the splits that a table gives to numbers of images, where another table gives the numbers to the images."""
    flags = next((understood for understood in tables if understood.kind == "numbers" and _is_split_of_numbers(understood)), None)
    numbered = next((understood for understood in tables if understood.kind == "numbers" and _is_numbered(understood)), None)
    if not flags or not numbered:
        return
    found = ((str(number), index.find(str(path), numbered.table.path)) for _, (number, path) in numbered.table.rows())
    paths = {number: images[0] for number, images in found if len(images) == 1}
    labels.splits_from = flags.table.path
    for _, (number, flag) in flags.table.rows():
        if path := paths.get(str(number)):
            labels.splits[path] = "train" if str(flag) == "1" else "test"


def with_numbers_told(tables: Sequence[Understood]) -> list[Understood]:
    """The tables; one that gives numbers to images, and one that gives splits to these numbers, are of the kind "numbers"."""
    flags = next((understood for understood in tables if _is_split_of_numbers(understood)), None)
    numbered = next((understood for understood in tables if _is_numbered(understood)), None)
    if not flags or not numbered:
        return list(tables)
    return [replace(understood, kind="numbers") if understood in (flags, numbered) else understood for understood in tables]


def _is_split_of_numbers(understood: Understood) -> bool:
    profiles = list(understood.profiles.values())
    return (
        len(profiles) == 2
        and set(words_of(understood.table.name)) >= BOTH
        and profiles[1].values <= {"0", "1"}
        and len(profiles[0].values) == understood.rows
    )


def _is_numbered(understood: Understood) -> bool:
    """Whether a table has two columns, number and path."""
    profiles = list(understood.profiles.values())
    return len(profiles) == 2 and len(profiles[1].images) == understood.rows == len(profiles[0].values) == profiles[0].numbers
