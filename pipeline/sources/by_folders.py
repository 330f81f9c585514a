"""The reading of class folders, with the splits of lists and the groups of tables, and notes on what lies beside them."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pipeline.folders.places import FolderPlan, Place
from pipeline.folders.series import series_in
from pipeline.listing.listing import Listing
from pipeline.listing.records import LeftOut, Origin, Reading
from pipeline.listing.split_words import split_in_name, split_of_name
from pipeline.listing.walk import CIRCLE
from pipeline.sources.assigned import Assigned, has_roboflow_copies, reading_of
from pipeline.sources.choice import Choice, among_images
from pipeline.sources.masks import masks_of
from pipeline.sources.other_tasks import signs_of_other_task
from pipeline.sources.repeated_images import refuse_repeated_classes, refuse_versions_of_images
from pipeline.tables.columns import Understood
from pipeline.tables.opening import is_loose
from pipeline.tables.said import Labels
from pipeline.two_readings import listed
from pipeline.ways_out import Way, exactly, undecided

ADVICE = {
    "link": (
        Way("mount the drive, if one is not"),
        Way("replace links by what they lead to (`cp -rL`)"),
        Way("follow the links", {"follow_links": True}),
    ),
    "encrypted": (Way("make the archive again without a password"),),
    "unreadable": (Way("give yourself read access"),),
}
COVERED = 0.9  # a list of splits, or a table, covers the images if it has this share of them


def has_training(plan: FolderPlan) -> bool:
    """Whether folders of training images are of several classes."""
    return len({place.label for place in plan.places.values() if place.split in (None, "train")}) > 1


def by_folders(listing: Listing, choice: Choice, plan: FolderPlan, labels: Labels, tables: Sequence[Understood] = ()) -> Reading:
    """The reading of class folders; lists of files give the splits if the folders have none."""
    masks = masks_of(listing) if choice.settings.class_from == "auto" else None
    if masks and masks.folders & plan.places.keys():
        raise among_images(choice, masks)
    if choice.settings.class_from == "auto":
        refuse_versions_of_images(listing, plan, choice.path)
    elsewhere = dict(plan.left_out) | {
        parts: ("unlabelled", f"images without a label, in {'/'.join(parts) or 'the source itself'}") for parts in plan.flat
    }
    notes = _notes(listing, plan, tables)
    if not labels.groups and not has_roboflow_copies(listing) and (series := series_in(listing, plan)):
        notes.append(series)
    files: dict[str, Place] = {}
    if labels.splits or labels.groups:
        files = _split_by_lists(listing, choice, plan, labels)
    assigned = Assigned(plan.places, files, elsewhere)
    refuse_lost_links(listing, plan, choice.path)
    if choice.settings.class_from == "auto" or choice.is_trial:
        refuse_repeated_classes(listing, assigned, choice.path)
    origin = _origin(plan, choice.settings.class_from, labels)
    return reading_of(listing, assigned, "class folders", "" if files else plan.settings, notes, choice.path, origin)


def _origin(plan: FolderPlan, class_from: str, labels: Labels) -> Origin:
    """Which folders say the classes, and where splits and groups come from."""
    where, above = "the folders", set()
    for parts, place in plan.places.items():
        if place.split and place.label in parts:
            i = parts.index(place.label)
            above |= {part for part in parts[:i] if split_in_name(part)}
            if any(split_of_name(part) for part in parts[i + 1 :]):
                where = "the folders above those of the splits"
    if above:
        where += f" below {listed([f'{name}/' for name in above])}"
    if class_from != "auto":
        where += f" ({class_from.replace('_', ' ')})"
    splits = labels.splits_from or ("the folders" if any(place.split for place in plan.places.values()) else "")
    return Origin(where, splits, labels.groups_from)


def _split_by_lists(listing: Listing, choice: Choice, plan: FolderPlan, labels: Labels) -> dict[str, Place]:
    """The images of class folders with the splits of lists such as train.txt and test.txt, and the groups of tables."""
    files: dict[str, Place] = {}
    for folder in listing.folders.values():
        place = plan.places.get(folder.parts)
        for name in folder.names if place else []:
            path = folder.below(name)
            if place and (path in labels.splits or path in labels.groups):
                files[path] = Place(place.label, labels.splits.get(path, place.split), labels.groups.get(path, place.group))
    count = sum(len(folder.names) for folder in listing.folders.values() if folder.parts in plan.places)
    listed_ones = sum(path in labels.splits for path in files)
    if listed_ones and listed_ones < COVERED * count and not any(place.split for place in plan.places.values()):
        raise undecided(
            f"ingest.source: {choice.path} has lists of splits that name {listed_ones:,} of {count:,} images.",
            [
                Way("complete them"),
                Way("go by the folders alone", {"format": "folders"}),
                Way("leave the lists out with ingest.ignore to have the images split by ingest.test_fraction"),
            ],
        )
    return files


def _notes(listing: Listing, plan: FolderPlan, tables: Sequence[Understood]) -> list[LeftOut]:
    """What the user should know of class folders: folders without any file beside them, tables that are not read, signs of another task."""
    level = {parts[:i] for parts, place in plan.places.items() for i, part in enumerate(parts) if part == place.label}
    notes = [
        LeftOut("/".join(parts), "empty_folder", "a folder without any file, beside the classes")
        for parts in listing.empty
        if parts[:-1] in level
    ]
    notes += [
        LeftOut(understood.table.path, "unused_table", f"a table that was not used: {understood.why or 'it gives no labels'}")
        for understood in tables
        if understood.kind == "boxes" or (understood.kind == "no images" and not is_loose(understood.table.name))
    ]
    if sign := signs_of_other_task(listing):
        notes.append(LeftOut(".", "other_task", f"{sign}, which are not read: only the class of each image is learned"))
    return notes


def refuse_lost_links(listing: Listing, plan: FolderPlan, source: Path) -> None:
    """Raise SourceError for a class whose files are all links that are not followed, or cannot be read."""
    named = plan.class_names()
    lost: defaultdict[str, list[LeftOut]] = defaultdict(list)
    levels = {parts[:i] for parts, place in plan.places.items() for i, part in enumerate(parts) if part == place.label}
    for fault in listing.left_out:
        parts = tuple(fault.path.split("/"))
        if fault.finding not in ("link", "unreadable", "encrypted", "special"):
            continue
        for level in levels:
            is_inside = parts[: len(level)] == level and len(parts) > len(level)
            is_folder = CIRCLE not in fault.reason and (len(parts) > len(level) + 1 or "." not in parts[-1])
            if is_inside and is_folder and parts[len(level)] not in named:
                lost[parts[len(level)]].append(fault)
    for label, faults in sorted(lost.items()):
        files = f"{len(faults):,} files, such as {faults[0].path}" if len(faults) > 1 else faults[0].path
        raise undecided(
            f"ingest.source: {source}: the class {label} would be lost: {files}: {faults[0].reason}.",
            [
                *ADVICE.get(faults[0].finding, (Way("replace them by files"),)),
                Way("leave the class out", {"ignore": [f"*/{name}" for name in exactly([label])]}),
            ],
        )
