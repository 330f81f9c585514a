"""Image files with their classes in folders, tables or names: what each of the three says, and which of them counts.

They are compared, not ranked: where a table and the folders name different classes, it is an error that shows both.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.folders.path_patterns import class_in_name, classes_in_names
from pipeline.folders.places import FolderPlan, NoClassFolders, Place
from pipeline.folders.planning import plan_folders
from pipeline.folders.tree import tree_of
from pipeline.listing.listing import Listing
from pipeline.listing.records import Origin, Reading
from pipeline.listing.split_words import split_in_name, split_of_name
from pipeline.sources.assigned import Assigned, reading_of
from pipeline.sources.by_folders import COVERED, by_folders, has_training
from pipeline.sources.by_names import by_names, class_names_in_flat, origin_of_names
from pipeline.sources.by_tables import by_table
from pipeline.sources.choice import (
    Choice,
    all_ignored,
    among_images,
    class_from_paths,
    example_of,
    files_found,
    image_folders,
    other_task,
    seen_beside,
)
from pipeline.sources.comparison import compare_readings, refuse_other_splits
from pipeline.sources.masks import masks_of
from pipeline.sources.other_tasks import signs_of_other_task
from pipeline.sources.unread_tables import (
    no_table,
    note_tables_not_wanted,
    read_tables,
    refuse_absent_images,
    refuse_other_task,
    refuse_unread_tables,
)
from pipeline.sources.webdataset import read_samples
from pipeline.tables.columns import Understood
from pipeline.tables.image_index import ImageIndex
from pipeline.tables.joined_tables import add_splits_by_number, with_labels_in_names
from pipeline.tables.labels import by_path, read_labels
from pipeline.tables.said import Labels
from pipeline.ways_out import Way, in_a_sentence


def read_images(listing: Listing, choice: Choice, scratch: Path) -> Reading:
    """The reading of image files. Raises SourceError if no class is to be seen, or if they can be read in two ways."""
    class_from, wanted = choice.settings.class_from, choice.settings.format
    if wanted in ("auto", "webdataset") and class_from == "auto" and (samples := read_samples(listing)):
        origin = Origin("the files beside the images", "the names of the shards" if any(place.split for place in samples.values()) else "")
        return reading_of(listing, Assigned(files=samples), "WebDataset samples", "ingest.format: webdataset", origin=origin)
    if wanted == "webdataset":
        raise SourceError(
            f"ingest.source: {choice.path} has no .cls or .json files with labels beside its images, as ingest.format: webdataset expects."
        )
    if class_from != "auto" or wanted == "folders":
        note_tables_not_wanted(listing, choice)
    if class_from not in ("auto", "first_folder", "last_folder"):
        return by_names(listing, choice)
    if class_from != "auto" or wanted == "folders":
        return by_folders(listing, choice, _plan(listing, choice), Labels())
    index = ImageIndex(listing)
    tables = read_tables(listing, index, choice, scratch)
    refuse_other_task(listing, choice, tables)
    with_names = with_labels_in_names(tables, listing.images)
    if with_names != tables and not choice.columns and not ((plan := _try_plan(listing, choice)[0]) and has_training(plan)):
        tables = with_names
    try:
        labels = read_labels(tables, index, choice.settings.multi_label, choice.settings.placeholder)
    except SourceError:
        if masks := masks_of(listing):  # a name may be that of an image and of its mask
            raise among_images(choice, masks) from None
        raise
    add_splits_by_number(tables, index, labels)
    if wanted != "table" and not choice.table and "split" not in choice.columns:
        refuse_other_splits(choice, labels)
    if wanted == "table" or choice.table or choice.columns.keys() & {"path", "label"}:
        if not labels.said:
            raise no_table(choice, tables)
        return by_table(listing, choice, labels, None)
    if labels.said and "label" in choice.columns:
        return by_table(listing, choice, labels, None)
    return _decide(listing, choice, tables, labels)


def _plan(listing: Listing, choice: Choice) -> FolderPlan:
    return plan_folders(tree_of(listing), choice.path, choice.settings.class_from)


def _decide(listing: Listing, choice: Choice, tables: Sequence[Understood], labels: Labels) -> Reading:
    """What folders and tables say, compared."""
    plan, error = _try_plan(listing, choice)
    said = by_path(labels)
    if said:
        refuse_absent_images(tables)
        if plan and len(plan.class_names()) > 1:
            return compare_readings(listing, choice, plan, labels, said)
        return by_table(listing, choice, labels, None)
    refuse_unread_tables(listing, choice, tables, plan)
    if plan and has_training(plan):
        return by_folders(listing, choice, plan, labels, tables)
    if plan and plan.flat and (named := class_names_in_flat(listing, plan)):
        return named
    if error and not isinstance(error, NoClassFolders):
        raise error
    return _without_folders(listing, choice, tables)


def _try_plan(listing: Listing, choice: Choice) -> tuple[FolderPlan | None, SourceError | None]:
    try:
        return _plan(listing, choice), None
    except SourceError as error:
        masks = masks_of(listing)
        return None, among_images(choice, masks) if masks else error


def _without_folders(listing: Listing, choice: Choice, tables: Sequence[Understood]) -> Reading:
    """Images in no class folders, and no table: by the names of the files, or an error that says what was seen and what to write."""
    folders = [folder for folder in listing.folders.values() if folder.names]
    main = max(folders, key=lambda folder: len(folder.names), default=None)
    if main is not None and len(main.names) >= COVERED * listing.images and (found := classes_in_names(main.names)):
        files = {main.below(name): Place(label, None) for name in main.names if (label := class_in_name(name)) in found}
        elsewhere = {folder.parts: ("stray", "not in the folder of the images") for folder in folders if folder is not main}
        return reading_of(
            listing,
            Assigned(files=files, elsewhere=elsewhere),
            "classes in the names of the files",
            "ingest.class_from: file_name",
            origin=origin_of_names(files),
        )
    if sign := signs_of_other_task(listing):
        raise other_task(choice, listing, sign, "no classes found")
    if not listing.images:
        ignored = f" Beside them, {all_ignored(choice, listing)}" if listing.ignored else ""
        raise SourceError(f"ingest.source: {choice.path} has no images that are read here. Found: {files_found(listing)}.{ignored}")
    seen = (
        f"ingest.source: {choice.path}: no classes found: {listing.images:,} images in {image_folders(listing)}, for example "
        f"{example_of(listing)}{seen_beside(listing, tables)}."
    )
    ways = [
        Way("put the images of each class into a folder of its own"),
        Way("add a table of paths and labels"),
        *class_from_paths(listing),
    ]
    splits = {said.split for folder in folders for name in folder.parts if (said := split_in_name(name))}
    if len(folders) > 1 and len(splits) < 2 and not all(folder.parts and split_of_name(folder.parts[-1]) for folder in folders):
        ways.append(Way("take the folders for classes", {"class_from": "first_folder"}))
    raise NoClassFolders(ways, lambda left: f"{seen} {in_a_sentence(left)}")
