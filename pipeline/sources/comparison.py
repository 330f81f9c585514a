"""Folders and tables that both name classes: one reading if they agree, else an error that shows both."""

import itertools
from collections import Counter
from collections.abc import Collection, Mapping

from pipeline.errors import SourceError
from pipeline.folders.places import FolderPlan
from pipeline.listing.listing import Listing
from pipeline.listing.records import Reading
from pipeline.sources.by_folders import has_training
from pipeline.sources.by_tables import by_table
from pipeline.sources.choice import Choice
from pipeline.tables.labels import by_path
from pipeline.tables.said import Labels, Said
from pipeline.two_readings import Way, classes, listed, two_readings

LONGEST_SHARD = 3


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
    if _are_shards(listing, plan):
        return by_table(listing, choice, labels, None)
    if _is_one_to_one(pairs):
        return _agreeing(listing, choice, plan, labels, numbers | {label: folder for folder, label in pairs})
    raise _differ(choice, plan, labels, said, _disagreement(plan, labels, said, pairs))


def _disagreement(plan: FolderPlan, labels: Labels, said: Mapping[str, Said], pairs: Mapping[tuple[str, str], int]) -> str:
    """What folders and tables say differently: the images that disagree, if most agree, else the classes of both."""
    usual = {folder: max((label for one, label in pairs if one == folder), key=lambda label: pairs[folder, label]) for folder, _ in pairs}
    odd = {
        path: row
        for path, row in said.items()
        if (place := plan.places.get(tuple(path.split("/")[:-1]))) and usual[place.label] != row.label
    }
    is_named_alike = len(set(usual.values())) == len(usual)
    if is_named_alike and len(odd) * 10 < sum(pairs.values()):
        path, row = min(odd.items())
        return f"{len(odd):,} of {sum(pairs.values()):,} images disagree, such as {path}, which is {row.label} by {row.place}"
    return f"the folders are {listed(plan.class_names())}, and {listed(labels.tables)} says {listed({row.label for row in said.values()})}"


def _are_shards(listing: Listing, plan: FolderPlan) -> bool:
    """Whether folders are the first letters of the names in them, as stores of very many files are parted."""
    for parts in plan.places:
        short = list(itertools.takewhile(lambda part: len(part) <= LONGEST_SHARD, reversed(parts)))
        start = "".join(reversed(short)).lower()
        if not start or not all(name.lower().startswith(start) for name in listing.folders[parts].names):
            return False
    return True


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
