"""Folders and tables that both name classes: one reading if they agree, else an error that shows both."""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Mapping

from pipeline.errors import SourceError
from pipeline.folders.path_patterns import split_of_path
from pipeline.folders.places import FolderPlan
from pipeline.listing.listing import Listing
from pipeline.listing.records import Reading
from pipeline.quality.kinds import counted
from pipeline.sources.by_folders import has_training
from pipeline.sources.by_tables import by_table
from pipeline.sources.choice import Choice
from pipeline.tables.labels import by_path
from pipeline.tables.said import Labels, Said
from pipeline.two_readings import Way, classes, listed, two_readings

LONGEST_SHARD = 3
HASH = re.compile(r"[0-9a-f-]{8,}")


def compare_readings(listing: Listing, choice: Choice, plan: FolderPlan, labels: Labels, said: Mapping[str, Said]) -> Reading:
    """Folders and tables both name classes: they are one reading if they name the same, else the tables count only if the folders cannot."""
    pairs: Counter[tuple[str, str]] = Counter()
    for path, row in said.items():
        if place := plan.places.get(tuple(path.split("/")[:-1])):
            pairs[place.label, row.label] += 1
    table_classes, folder_classes = {row.label for row in said.values()}, plan.class_names()
    numbers = _same_numbers(folder_classes, table_classes)
    if not pairs:
        if has_training(plan) and not table_classes <= folder_classes | numbers.keys():
            raise _differ(
                choice,
                plan,
                labels,
                said,
                f"the tables label other images than those in class folders, by other names: {listed(table_classes - folder_classes)}",
            )
        return by_table(listing, choice, labels, plan, numbers)
    if _are_shards(listing, plan, table_classes):
        return by_table(listing, choice, labels, None)
    if _is_one_to_one(pairs) and not _is_swapped(pairs, plan, table_classes) and not _is_renamed(pairs):
        return _agreeing(listing, choice, plan, labels, numbers | {label: folder for folder, label in pairs})
    raise _differ(choice, plan, labels, said, _disagreement(plan, labels, said, pairs))


def refuse_other_splits(choice: Choice, labels: Labels) -> None:
    """Raise SourceError if tables put images of one split folder into another split, unless all of them lie in folders of one split."""
    folders: set[str] = set()
    odd: dict[str, tuple[str, Said]] = {}
    for path, row in by_path(labels).items():
        if split := split_of_path(path):
            folders.add(split)
            if row.split and row.split != split and "test" in (row.split, split):
                odd[path] = (split, row)
    if not odd or len(folders) < 2:
        return
    path, (split, row) = min(odd.items())
    raise two_readings(
        choice.path,
        f"{counted(len(odd), 'image is', 'images are')} in another split by {listed(labels.tables)} than by the folders, such as {path}, "
        f"which is in {split} by its folder, and in {row.split} by {labels.splits_from or row.place}",
        [
            Way(f"the splits of {labels.splits_from or 'the tables'}", {"format": "table"}),
            Way("the folders alone", {"format": "folders"}),
            Way("for the labels of the table and the splits of the folders, take the splits out of the table"),
        ],
    )


def _disagreement(plan: FolderPlan, labels: Labels, said: Mapping[str, Said], pairs: Mapping[tuple[str, str], int]) -> str:
    """What folders and tables say differently: the images that disagree, if the classes have the same names or most agree, else the classes."""
    folders, in_table = plan.class_names(), {row.label for row in said.values()}
    are_same_names = {_plain(label) for label in in_table} <= {_plain(folder) for folder in folders}
    usual = {folder: max((label for one, label in pairs if one == folder), key=lambda label: pairs[folder, label]) for folder, _ in pairs}
    odd = {
        path: (row, place.label)
        for path, row in said.items()
        if (place := plan.places.get(tuple(path.split("/")[:-1])))
        and (_plain(place.label) != _plain(row.label) if are_same_names else usual[place.label] != row.label)
    }
    is_named_alike = len(set(usual.values())) == len(usual)
    if odd and (are_same_names or (is_named_alike and len(odd) * 10 < sum(pairs.values()))):
        path, (row, folder) = min(odd.items())
        return (
            f"{len(odd):,} of {sum(pairs.values()):,} images disagree, such as {path}, which is {row.label} by {row.place}, and {folder} by "
            "its folder"
        )
    return f"the folders are {listed(folders)}, and {listed(labels.tables)} says {listed(in_table)}"


def _are_shards(listing: Listing, plan: FolderPlan, table_classes: Collection[str]) -> bool:
    """Whether folders are the first letters of the names in them, as stores of very many files are parted, and no classes: `cat/cat3.jpg`."""
    are_hashes, has_words, count, with_letters = True, False, 0, 0
    for parts in plan.places:
        short = list(itertools.takewhile(lambda part: len(part) <= LONGEST_SHARD, reversed(parts)))
        start = "".join(reversed(short)).lower()
        if not start:
            return False
        for name in listing.folders[parts].names:
            stem = name.lower().rpartition(".")[0] or name.lower()
            if not stem.startswith(start):
                return False
            are_hashes = are_hashes and bool(HASH.fullmatch(stem))
            count += 1
            with_letters += not stem.isdecimal()
            has_words = has_words or _is_numbered(start, stem[len(start) :])
    if are_hashes and 2 * with_letters > count:
        return True
    return not has_words and not {_plain(name) for name in plan.class_names()} & {_plain(name) for name in table_classes}


def _is_numbered(start: str, rest: str) -> bool:
    """Whether a name is a word and a number, or parted from the rest: cat3, cat_a; not 012 or a1b2."""
    return not rest or not rest[0].isalnum() or (start.isalpha() and rest.strip("0123456789 ._()-") == "")


def _plain(name: str) -> str:
    """A name, so that those which differ in case or in zeros before a number are the same."""
    return str(int(name)) if name.isdecimal() else name.casefold()


def _is_swapped(pairs: Collection[tuple[str, str]], plan: FolderPlan, table_classes: Collection[str]) -> bool:
    """Whether a folder's images have the name of another folder in the table, or the folder's name is that of other images there.

    Numbers that are all moved by one, 1 to 10 and 0 to 9, are no other classes.
    """
    folders, labels = {_plain(name) for name in plan.class_names()}, {_plain(name) for name in table_classes}
    differing = {(one, other) for folder, label in pairs if (one := _plain(folder)) != (other := _plain(label))}
    if not any(other in folders or one in labels for one, other in differing):
        return False
    is_moved = all(one.isdecimal() and other.isdecimal() for one, other in differing) and len(differing) == len(pairs)
    return not (is_moved and {int(one) - int(other) for one, other in differing} in ({1}, {-1}))


def _same_numbers(folders: Collection[str], labels: Collection[str]) -> dict[str, str]:
    """The folder of each label, where all are whole numbers that differ in zeros before them at most: 00020 and 20; empty if they are not."""
    if not all(name.isdecimal() for name in (*folders, *labels)):
        return {}
    by_number = {int(name): name for name in folders}
    if len(by_number) < len(folders) or len({int(label) for label in labels}) < len(labels):
        return {}
    return {label: by_number[int(label)] for label in labels if int(label) in by_number}


def _is_one_to_one(pairs: Mapping[tuple[str, str], int]) -> bool:
    return len(pairs) == len({folder for folder, _ in pairs}) == len({label for _, label in pairs})


def _is_renamed(pairs: Mapping[tuple[str, str], int]) -> bool:
    """Whether some classes have the folder's name in the table, too, and others another word: which of the two is meant, cannot be told."""
    words = [_plain(folder) == _plain(label) for folder, label in pairs if not label.strip().isdecimal()]
    return any(words) and not all(words)


def _agreeing(listing: Listing, choice: Choice, plan: FolderPlan, labels: Labels, names: Mapping[str, str]) -> Reading:
    """Folders and table say the same: the folders' names, with the splits and groups of the table, and the images of both."""
    said = by_path(labels)
    for path, row in said.items():
        place = plan.places.get(tuple(path.split("/")[:-1]))
        if place and place.split and row.split and "test" in (place.split, row.split) and place.split != row.split:
            raise _differ(choice, plan, labels, said, f"{path} is in {place.split} by its folder, and in {row.split} by {row.place}")
    return by_table(listing, choice, labels, plan, names)


def _differ(choice: Choice, plan: FolderPlan, labels: Labels, said: Mapping[str, Said], seen: str) -> SourceError:
    return two_readings(
        choice.path,
        seen,
        [
            Way(f"by the table {listed(labels.tables)}, {classes({row.label for row in said.values()})}", {"format": "table"}),
            Way(f"by the folders, {classes(plan.class_names())}", {"format": "folders"}),
        ],
    )
