"""Image files with their classes in folders, tables or names: what each of the three says, and which of them counts.

They are compared, not ranked: where a table and the folders name different classes, it is an error that shows both.
"""

import functools
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import SourceError
from pipeline.images.formats import Format, describe_formats
from pipeline.listing.listing import Folders, Listing, extracted
from pipeline.listing.records import LeftOut, Reading
from pipeline.listing.split_words import split_of_name
from pipeline.params.ingest import Ingest
from pipeline.sources.assigned import Assigned, reading_of
from pipeline.sources.folders import FolderPlan, NoClassFolders, Place, plan_folders, unseen_class
from pipeline.sources.image_index import ImageIndex
from pipeline.sources.joined_tables import add_splits_by_number
from pipeline.sources.other_tasks import masks_of, signs_of_other_task
from pipeline.sources.path_patterns import class_in_name, classes_in_names, path_pattern
from pipeline.sources.table_columns import Understood, refuse_unknown_columns, understand
from pipeline.sources.table_files import is_loose, may_be_table, open_table
from pipeline.sources.table_labels import Labels, Said, by_path, read_labels
from pipeline.sources.tree import UNKNOWN, tree_of
from pipeline.sources.two_readings import Way, classes, listed, two_readings
from pipeline.sources.webdataset import read_samples

LONGEST_SHARD = 3
COVERED = 0.9  # a list of splits, or a table, covers the images if it has this share of them


class Choice(NamedTuple):
    """What the user set: the source, section `ingest`, and the table if the source is one."""

    path: Path
    settings: Ingest
    table: str = ""

    @property
    def columns(self) -> dict[str, str]:
        return {role: name for role, name in self.settings.columns.model_dump().items() if name != "auto"}


def read_images(listing: Listing, choice: Choice, scratch: Path) -> Reading:
    """The reading of image files. Raises SourceError if no class is to be seen, or if they can be read in two ways."""
    class_from, wanted = choice.settings.class_from, choice.settings.format
    if wanted in ("auto", "webdataset") and class_from == "auto" and (samples := read_samples(listing)):
        return reading_of(listing, Assigned(files=samples), "WebDataset samples", "ingest.format: webdataset")
    if class_from not in ("auto", "first_folder", "last_folder"):
        return _by_names(listing, choice)
    if class_from != "auto" or wanted == "folders":
        return _by_folders(listing, choice, _plan(listing, choice), Labels())
    index = ImageIndex(listing)
    tables = _tables(listing, index, choice, scratch)
    _refuse_other_task(listing, choice, tables)
    labels = read_labels(tables, index, choice.settings.multi_label)
    add_splits_by_number(tables, index, labels)
    if wanted == "table" or choice.table:
        if not labels.said:
            raise _no_table(choice, tables)
        return _by_table(listing, choice, labels, None)
    labels.unlabelled = {
        path for understood in tables for profile in understood.profiles.values() for path in profile.images
    } - labels.said.keys()
    if labels.said and "label" in choice.columns:
        return _by_table(listing, choice, labels, None)
    return _decide(listing, choice, tables, labels)


def _refuse_other_task(listing: Listing, choice: Choice, tables: Sequence[Understood]) -> None:
    """Raise SourceError if boxes or masks were drawn on the images, and labels are at best in columns that are not called so."""
    labelled = [understood for understood in tables if understood.kind in ("labels", "doubtful")]
    if labelled and not any(understood.is_strong for understood in labelled) and (sign := signs_of_other_task(listing)):
        raise _other_task(choice, sign, f"{listed([understood.table.path for understood in labelled])} may have a class for each image")


def _plan(listing: Listing, choice: Choice) -> FolderPlan:
    return plan_folders(tree_of(listing), choice.path, choice.settings.class_from)


def _decide(listing: Listing, choice: Choice, tables: Sequence[Understood], labels: Labels) -> Reading:
    """What folders and tables say, compared."""
    plan, error = _try_plan(listing, choice)
    said = by_path(labels)
    if said:
        if plan and len(plan.class_names()) > 1:
            return _compare(listing, choice, plan, labels, said)
        return _by_table(listing, choice, labels, None)
    _refuse_unread_tables(listing, choice, tables, plan)
    if plan and _has_training(plan):
        return _by_folders(listing, choice, plan, labels, tables)
    if plan and plan.flat and (named := _class_names_in_flat(listing, plan)):
        return named
    if error and not isinstance(error, NoClassFolders):
        raise error
    return _without_folders(listing, choice, tables)


def _other_task(choice: Choice, sign: str, seen: str) -> SourceError:
    return SourceError(
        f"ingest.source: {choice.path} is labelled for another task, as for detection or segmentation: {sign}; {seen}. A classifier needs one class for each image: name the columns "
        "of a table in ingest.columns, as in {path: file, label: species}, or say where the class stands in the paths, as in ingest.class_from: "
        '"{class}_*.jpg" (docs/data.md).'
    )


def _try_plan(listing: Listing, choice: Choice) -> tuple[FolderPlan | None, SourceError | None]:
    try:
        return _plan(listing, choice), None
    except SourceError as error:
        return None, error


def _has_training(plan: FolderPlan) -> bool:
    return len({place.label for place in plan.places.values() if place.split in (None, "train")}) > 1


def _tables(listing: Listing, index: ImageIndex, choice: Choice, scratch: Path) -> list[Understood]:
    """All tables of a source, understood. Files that go with an image, such as IMG_1.JPG.json, are no tables."""
    found = []
    for folder in listing.folders.values():
        stems = {name.rpartition(".")[0] for name in folder.names} | set(folder.names)
        for name in folder.others:
            path = folder.below(name)
            if not may_be_table(name, folder.others[name]) or name.rpartition(".")[0] in stems or (choice.table and path != choice.table):
                continue
            try:
                table = open_table(path, extracted(listing, path, scratch), index.names)
            except SourceError:
                if is_loose(name) and not choice.table:
                    continue
                raise
            if table is not None:
                chosen = {**choice.columns, "multi_label": choice.settings.multi_label}
                found.append(understand(table, functools.partial(index.find, table=path), chosen))
    refuse_unknown_columns(found, choice.columns)
    return found


def _refuse_unread_tables(listing: Listing, choice: Choice, tables: Sequence[Understood], plan: FolderPlan | None) -> None:
    """Raise SourceError for tables that are about the images, but whose labels cannot be told; they are never passed over."""
    has_classes = plan is not None and _has_training(plan)
    doubtful = [understood for understood in tables if understood.kind == "doubtful" or (understood.kind == "boxes" and not has_classes)]
    unmatched = [
        understood
        for understood in tables
        if understood.kind == "no images"
        and not is_loose(understood.table.name)
        and understood.rows * 2 >= listing.images > 0
        and not _is_about_others(listing, understood)
    ]
    if not doubtful and not unmatched:
        return
    told = [f"{understood.table.path}, whose labels cannot be told: {understood.why}" for understood in doubtful]
    told += [
        f"{understood.table.path}, with {understood.rows:,} rows that cannot be matched with the images: {understood.why}"
        for understood in unmatched
    ]
    columns = "; ".join(f"{understood.table.path}: {listed(list(understood.profiles), 12)}" for understood in [*doubtful, *unmatched][:3])
    ignored = ", ".join(f'"{understood.table.path}"' for understood in [*doubtful, *unmatched])
    by_folders = ", go by the folders with ingest.format: folders" if has_classes else ""
    more = f" (and {len(told) - 3} more tables)" if len(told) > 3 else ""
    raise SourceError(
        f"ingest.source: {choice.path} has the table {'; and '.join(told[:3])}{more}. Columns of {columns}. Name the columns in ingest.columns, as in "
        f"{{path: file, label: species}}, leave it out with ingest.ignore: [{ignored}]{by_folders}, or take the class from the paths, such as "
        f"{_example(listing)}, with ingest.class_from (docs/data.md). Images are in {_image_folders(listing)}."
    )


def _image_folders(listing: Listing) -> str:
    return listed(["/".join(parts) or "the source itself" for parts, folder in listing.folders.items() if folder.names], 3)


def _is_about_others(listing: Listing, understood: Understood) -> bool:
    """Whether a table lists other files of the source, such as sounds."""
    others = {other.path.rpartition("/")[2] for other in listing.others()}
    return any(
        len({value.rpartition("/")[2] for value in profile.values} & others) * 2 > len(profile.values) > 0
        for profile in understood.profiles.values()
    )


def _example(listing: Listing) -> str:
    return next((folder.below(name) for folder in listing.folders.values() for name in folder.names), "none")


def _no_table(choice: Choice, tables: Sequence[Understood]) -> SourceError:
    reasons = "; ".join(f"{understood.table.path}: {understood.why or 'no column of labels'}" for understood in tables)
    columns = "; ".join(f"{understood.table.path} has {', '.join(understood.profiles)}" for understood in tables)
    return SourceError(
        f"ingest.source: {choice.path}: no table gives labels to images. {reasons or 'There is no table'}. "
        f"{columns + '. Name the columns in ingest.columns: {path: …, label: …}' if columns else 'Set ingest.format to auto'}."
    )


def _by_folders(listing: Listing, choice: Choice, plan: FolderPlan, labels: Labels, tables: Sequence[Understood] = ()) -> Reading:
    """The reading of class folders; lists of files give the splits if the folders have none."""
    _refuse_masks(listing, choice, plan)
    elsewhere = dict(plan.left_out) | {
        parts: ("unlabelled", f"images without a label, in {'/'.join(parts) or 'the source itself'}") for parts in plan.flat
    }
    notes = _notes(listing, plan, tables)
    files: dict[str, Place] = {}
    if labels.splits or labels.groups:
        files = _split_by_lists(listing, choice, plan, labels)
    return reading_of(listing, Assigned(plan.places, files, elsewhere), "class folders", plan.settings, notes)


def _refuse_masks(listing: Listing, choice: Choice, plan: FolderPlan) -> None:
    """Raise SourceError if masks would be counted as images of a class."""
    masks = masks_of(listing) if choice.settings.class_from == "auto" else None
    if masks and masks.folder in plan.places:
        raise SourceError(
            f"ingest.source: {choice.path} has {masks.seen}, as for segmentation; the folders would give {classes(plan.class_names())}. A mask is no image "
            f'of a class: leave them out with ingest.ignore: ["{masks.glob}"]. If they are images, set ingest.class_from: first_folder.'
        )


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
        raise SourceError(
            f"ingest.source: {choice.path} has lists of splits that name {listed_ones:,} of {count:,} images. Complete them, "
            "go by the folders alone with ingest.format: folders, or leave the lists out with ingest.ignore to have the images split by ingest.test_fraction."
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
        if understood.kind in ("no images", "boxes")
    ]
    if sign := signs_of_other_task(listing):
        notes.append(LeftOut(".", "other_task", f"{sign}, which are not read: only the class of each image is learned"))
    return notes


def _class_names_in_flat(listing: Listing, plan: FolderPlan) -> Reading | None:
    """The reading of train/cat.0.jpg: classes by the names of the files, where the folder of training images has no class folders."""
    training = [parts for parts, split in plan.flat.items() if split in (None, "train")]
    names = [name for parts in training for name in listing.folders[parts].names]
    found = classes_in_names(names) if names else None
    if not found:
        return None
    files: dict[str, Place] = {}
    for parts, split in plan.flat.items():
        folder = listing.folders[parts]
        labels = {name: class_in_name(name) for name in folder.names}
        if all(label in found for label in labels.values()) or split in (None, "train"):
            files |= {folder.below(name): Place(label, split) for name, label in labels.items() if label in found}
    return reading_of(
        listing, Assigned(files=files, elsewhere=plan.left_out), "classes in the names of the files", "ingest.class_from: file_name"
    )


def _by_names(listing: Listing, choice: Choice) -> Reading:
    """The reading of `ingest.class_from`: file_name, or a pattern of paths."""
    text = choice.settings.class_from
    pattern = path_pattern(text) if text != "file_name" else None
    files: dict[str, Place] = {}
    for folder in listing.folders.values():
        split = next((found for part in folder.parts if (found := split_of_name(part))), None)
        for name in folder.names:
            path = folder.below(name)
            place = pattern.place(path) if pattern else (Place(label, split) if (label := class_in_name(name)) else None)
            if place:
                files[path] = place
    if not files:
        raise SourceError(f"ingest.class_from: {text} matches no image of {choice.path}, for example not {_example(listing)}.")
    reason = ("stray", f"its path does not match ingest.class_from: {text}")
    elsewhere = dict.fromkeys(listing.folders, reason)
    return reading_of(listing, Assigned(files=files, elsewhere=elsewhere), f"classes by {text}", f"ingest.class_from: {text}")


def _by_table(listing: Listing, choice: Choice, labels: Labels, plan: FolderPlan | None, names: Mapping[str, str] | None = None) -> Reading:
    """The reading of tables. A split that no table tells is that of the image's folder."""
    said = by_path(labels)
    files = {
        path: Place((names or {}).get(row.label, row.label), row.split or split_by_folder(path), row.group) for path, row in said.items()
    }
    if plan:
        for folder in listing.folders.values():
            place = plan.places.get(folder.parts)
            for name in folder.names if place else []:
                if place and (path := folder.below(name)) not in files:
                    files[path] = place
    training = {place.label for place in files.values() if place.split in (None, "train")}
    for place in files.values():
        if place.label not in training:
            raise unseen_class(place.label, place.split, training)
    gone = {fault.path for fault in labels.left_out}
    missing = [fault for fault in labels.left_out if fault.finding == "missing"]
    if len(missing) == labels.rows:
        raise SourceError(f"ingest.source: none of the files that {listed(labels.tables)} lists is there, for example {missing[0].path}.")
    unlisted = ("stray", f"not listed in {listed(labels.tables)}")
    without = dict.fromkeys(labels.unlabelled - files.keys(), ("unlabelled", "listed in a table without a label"))
    elsewhere: dict[Folders, tuple[str, str]] = {}
    if choice.table:
        listing = _only(listing, {*files, *gone})
    return reading_of(
        listing,
        Assigned(files=files, elsewhere=elsewhere, unlisted=unlisted, without=without, used=frozenset(labels.tables)),
        f"a table, {listed(labels.tables)}",
        "ingest.format: table",
        [fault for fault in labels.left_out if fault.path not in files or fault.finding != "unlabelled"],
    )


def _only(listing: Listing, paths: set[str]) -> Listing:
    """The list without images that a table does not name: beside a table that was named itself, they are nobody's concern."""
    for folder in listing.folders.values():
        folder.names = [name for name in folder.names if folder.below(name) in paths]
        folder.others = {}
    listing.left_out = [fault for fault in listing.left_out if fault.path in paths]
    return listing


def split_by_folder(path: str) -> str | None:
    """The split of the first folder that is called as splits are."""
    return next((split for part in path.split("/")[:-1] if (split := split_of_name(part))), None)


def _compare(listing: Listing, choice: Choice, plan: FolderPlan, labels: Labels, said: Mapping[str, Said]) -> Reading:
    """Folders and tables both name classes: they are one reading if they name the same, else the tables count only if the folders cannot."""
    pairs: Counter[tuple[str, str]] = Counter()
    for path, row in said.items():
        if place := plan.places.get(tuple(path.split("/")[:-1])):
            pairs[place.label, row.label] += 1
    table_classes, folder_classes = {row.label for row in said.values()}, plan.class_names()
    if not pairs:
        if _has_training(plan) and not table_classes <= folder_classes:
            raise _differ(
                choice,
                plan,
                labels,
                said,
                f"the tables label other images than those in class folders, by other names: {listed(table_classes - folder_classes)}",
            )
        return _by_table(listing, choice, labels, plan)
    if _are_shards(listing, plan):
        return _by_table(listing, choice, labels, None)
    to_table, to_folder = _ways_between(pairs)
    if _is_one_to_one(pairs):
        return _agreeing(listing, choice, plan, labels, {label: folder for folder, label in pairs})
    covered = sum(pairs.values())
    in_folders = sum(len(folder.names) for folder in listing.folders.values() if folder.parts in plan.places)
    is_mixed = any(len(labels_of) > 1 for labels_of in to_table.values()) and any(len(folders_of) > 1 for folders_of in to_folder.values())
    if is_mixed and covered >= COVERED * in_folders and not (table_classes & folder_classes):
        return _by_table(listing, choice, labels, None)
    raise _differ(
        choice, plan, labels, said, f"the folders are {listed(folder_classes)}, and {listed(labels.tables)} says {listed(table_classes)}"
    )


def _are_shards(listing: Listing, plan: FolderPlan) -> bool:
    """Whether folders are the first letters of the names in them, as stores of very many files are parted."""
    for parts in plan.places:
        short = list(itertools.takewhile(lambda part: len(part) <= LONGEST_SHARD, reversed(parts)))
        start = "".join(reversed(short)).lower()
        if not start or not all(name.lower().startswith(start) for name in listing.folders[parts].names):
            return False
    return True


def _ways_between(pairs: Mapping[tuple[str, str], int]) -> tuple[Mapping[str, set[str]], Mapping[str, set[str]]]:
    """(labels of the table by folder, folders by label of the table)."""
    to_table: defaultdict[str, set[str]] = defaultdict(set)
    to_folder: defaultdict[str, set[str]] = defaultdict(set)
    for folder, label in pairs:
        to_table[folder].add(label)
        to_folder[label].add(folder)
    return to_table, to_folder


def _is_one_to_one(pairs: Mapping[tuple[str, str], int]) -> bool:
    return len(pairs) == len({folder for folder, _ in pairs}) == len({label for _, label in pairs})


def _agreeing(listing: Listing, choice: Choice, plan: FolderPlan, labels: Labels, names: Mapping[str, str]) -> Reading:
    """Folders and table say the same: the folders' names, with the splits and groups of the table, and the images of both."""
    said = by_path(labels)
    for path, row in said.items():
        place = plan.places.get(tuple(path.split("/")[:-1]))
        if place and place.split and row.split and "test" in (place.split, row.split) and place.split != row.split:
            raise _differ(choice, plan, labels, said, f"{path} is in {place.split} by its folder, and in {row.split} by the table")
    return _by_table(listing, choice, labels, plan, names)


def _differ(choice: Choice, plan: FolderPlan, labels: Labels, said: Mapping[str, Said], seen: str) -> SourceError:
    return two_readings(
        choice.path,
        seen,
        [
            Way(f"by the table {listed(labels.tables)}, {classes({row.label for row in said.values()})}", "ingest.format: table"),
            Way(f"by the folders, {classes(plan.class_names())}", "ingest.format: folders"),
        ],
    )


def _without_folders(listing: Listing, choice: Choice, tables: Sequence[Understood]) -> Reading:
    """Images in no class folders, and no table: by the names of the files, or an error that says what was seen and what to write."""
    folders = [folder for folder in listing.folders.values() if folder.names]
    main = max(folders, key=lambda folder: len(folder.names), default=None)
    if main is not None and len(main.names) >= COVERED * listing.images and (found := classes_in_names(main.names)):
        files = {main.below(name): Place(label, None) for name in main.names if (label := class_in_name(name)) in found}
        elsewhere = {folder.parts: ("stray", "not in the folder of the images") for folder in folders if folder is not main}
        return reading_of(
            listing, Assigned(files=files, elsewhere=elsewhere), "classes in the names of the files", "ingest.class_from: file_name"
        )
    if sign := signs_of_other_task(listing):
        raise _other_task(choice, sign, "no classes are to be seen")
    if not listing.images:
        raise SourceError(f"ingest.source: {choice.path} has no images that are read here. Found: {_found(listing)}.")
    raise NoClassFolders(
        f"ingest.source: {choice.path}: no classes are to be seen: {listing.images:,} images in {_image_folders(listing)}, for example "
        f"{_example(listing)}{_seen_beside(listing, tables)}. Put the images of each class into a folder of its own, add a table of paths and labels, "
        'or say where the class stands in the paths, as in ingest.class_from: "{class}_*.jpg" (docs/data.md).'
    )


def _found(listing: Listing) -> str:
    """The files of a source without images: how many of each format, what they are called, and what to do."""
    names: defaultdict[Format, list[str]] = defaultdict(list)
    for other in listing.others():
        names[other.format or UNKNOWN].append(other.path)
    told = [
        f"{describe_formats({found.name: len(paths)})} ({listed(paths, 2)}){': ' + found.advice if found.advice else ''}"
        for found, paths in sorted(names.items(), key=lambda item: -len(item[1]))[:5]
    ]
    return "; ".join(told) or "nothing"


def _seen_beside(listing: Listing, tables: Sequence[Understood]) -> str:
    """Tables that do not help, and the kinds of other files."""
    told = [
        f"{understood.table.path} ({listed(list(understood.profiles), 6)}): {understood.why or 'no column of labels'}"
        for understood in tables[:3]
    ]
    read = {understood.table.path for understood in tables}
    suffixes = Counter(other.path.rpartition("/")[2].rpartition(".")[2] for other in listing.others() if other.path not in read)
    told += [f"{count:,} .{suffix} files" for suffix, count in suffixes.most_common(3)] if suffixes else []
    files = [other.path for other in listing.others() if other.path not in read and other.format and other.format.kind == "container"]
    told += [f"{listed(files, 3)}, which are not read beside images"] if files else []
    return f"; beside them {'; '.join(told)}" if told else ""
