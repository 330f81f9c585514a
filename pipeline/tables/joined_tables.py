"""Tables that say something together: splits of image numbers, as in CUB-200, whose images.txt gives the numbers; a list for each class, cat.txt."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.folders.doubtful_names import has_word, word_lists
from pipeline.listing.split_words import split_in_name, split_of_name, words_of
from pipeline.tables.columns import Understood
from pipeline.tables.image_index import ImageIndex
from pipeline.tables.profiles import Profile
from pipeline.tables.said import Labels
from pipeline.tables.table import Row, Table

BOTH = {"train", "test"}
IN_NAME = "name of the list"
COVERED_BY_LISTS = 0.9  # of the images
NO_CLASSES = {"list", "lists", "file", "files", "filelist", "filenames", "names", "all", "images", "index", "other", "ids"}
DOUBTED = ("parts", "versions", "structure", "never", "strays", "again", "again_at_end")


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


def with_labels_in_names(tables: Sequence[Understood], images: int) -> list[Understood]:
    """The tables; lists of images without any other column have the labels in their names, if these may be classes and each image is in one list.

    `images`: the number of all images. A list in a folder called train or test is of this split.
    """
    lists = [understood for understood in tables if _is_list(understood)]
    if not _may_be_classes(lists, images) or any(understood.kind in ("labels", "doubtful", "boxes") for understood in tables):
        return list(tables)
    return [_labelled(understood) if understood in lists else understood for understood in tables]


def _is_list(understood: Understood) -> bool:
    name = understood.table.name.rpartition(".")[0]
    return (
        understood.kind == "splits"
        and len(understood.table.columns) == 1
        and understood.columns is not None
        and split_of_name(name) is None
    )


def _may_be_classes(lists: Sequence[Understood], images: int) -> bool:
    """Whether lists share nearly all images among them, and their names are words that may be classes, not `part1` or `list`."""
    names = {_name(understood) for understood in lists}
    by_folder: defaultdict[str, set[str]] = defaultdict(set)
    named: Counter[str] = Counter()
    for understood in lists:
        assert understood.columns is not None
        by_folder[understood.table.path.rpartition("/")[0]].add(_name(understood))
        named.update(understood.profiles[understood.columns.path].images)
    return (
        len(names) > 1
        and all(len(inside) > 1 for inside in by_folder.values())
        and all(_may_be_class(name) for name in names)
        and max(named.values(), default=0) == 1
        and len(named) >= COVERED_BY_LISTS * images
    )


def _may_be_class(name: str) -> bool:
    words = set(words_of(name))
    return (
        bool(words)
        and not any(sign.isdigit() for sign in name)
        and not words & (NO_CLASSES | word_lists()["parts"])
        and split_in_name(name) is None
        and not any(has_word(name, kind) for kind in DOUBTED)
    )


def _name(understood: Understood) -> str:
    return understood.table.name.rpartition(".")[0] or understood.table.name


def _labelled(understood: Understood) -> Understood:
    """The list with a column of its name."""
    assert understood.columns is not None
    table, name = understood.table, _name(understood)

    def rows() -> Iterator[Row]:
        return ((place, [*cells, name]) for place, cells in table.rows())

    return replace(
        understood,
        table=Table(table.path, [*table.columns, IN_NAME], rows, table.unread),
        kind="labels",
        columns=replace(understood.columns, label=IN_NAME),
        profiles={**understood.profiles, IN_NAME: Profile(IN_NAME, filled=understood.rows, values={name, ""})},
        is_strong=True,
    )
