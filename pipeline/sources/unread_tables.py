"""All tables of a source, understood; those that cannot be are errors, and never passed over."""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.folders.places import FolderPlan
from pipeline.listing.listing import Listing, extracted
from pipeline.listing.records import LeftOut
from pipeline.sources.by_folders import has_training
from pipeline.sources.choice import Choice, columns_of, example_of, image_folders, other_task
from pipeline.sources.other_tasks import signs_of_other_task
from pipeline.tables.cells import LABEL, PATH, find_column
from pipeline.tables.columns import Understood, refuse_unknown_columns, understand
from pipeline.tables.image_index import ImageIndex
from pipeline.tables.joined_tables import with_numbers_told
from pipeline.tables.label_columns import SEVERAL_ONES, UNSURE
from pipeline.tables.labels import is_submission, labelled_tables, says_more, why_unused, with_columns_of_submissions, with_labels_in_parts
from pipeline.tables.opening import is_loose, may_be_table, open_table
from pipeline.tables.rows import COMBINED, split_of_table
from pipeline.two_readings import listed
from pipeline.ways_out import Undecided, Way, exactly, undecided

LOCK_FILE = "~$"  # Excel's, beside a workbook that is open


def refuse_other_task(listing: Listing, choice: Choice, tables: Sequence[Understood]) -> None:
    """Raise SourceError if boxes or masks were drawn on the images, and labels are at best in columns that are not called so."""
    labelled = [understood for understood in tables if understood.kind in ("labels", "doubtful")]
    if labelled and not any(understood.is_strong for understood in labelled) and (sign := signs_of_other_task(listing)):
        raise other_task(
            choice, listing, sign, f"{listed([understood.table.path for understood in labelled])} may have a class for each image", labelled
        )


def read_tables(listing: Listing, index: ImageIndex, choice: Choice, scratch: Path) -> list[Understood]:
    """All tables of a source, understood. Files that go with an image, such as IMG_1.JPG.json, are no tables."""
    found = []
    folders = {part for parts in listing.folders for part in parts}
    for folder in listing.folders.values():
        stems = {name.rpartition(".")[0] for name in folder.names} | set(folder.names)
        for name in list(folder.others):
            path = folder.below(name)
            if name.startswith(LOCK_FILE):
                listing.forget(path)
                continue
            if not may_be_table(name, folder.others[name]) or name.rpartition(".")[0] in stems or (choice.table and path != choice.table):
                continue
            try:
                table = open_table(path, extracted(listing, path, scratch), index.names)
            except SourceError as error:
                if is_loose(name) and not choice.table:
                    if name.lower().endswith(".json"):
                        listing.left_out.append(LeftOut(path, "unused_table", f"not read: {str(error).removeprefix('ingest.source: ')}"))
                    continue
                raise
            if table is not None:
                chosen = {**choice.columns, "multi_label": choice.settings.multi_label}
                understood = understand(table, functools.partial(index.find, table=path), chosen, folders)
                found.append(
                    understood if choice.table or _is_about_images(listing, understood) else _about_something_else(listing, understood)
                )
                listing.left_out += [LeftOut(path, "unused_table", reason) for reason in table.unread]
    refuse_unknown_columns(found, choice.columns)
    found = with_labels_in_parts(with_columns_of_submissions(found))
    if "label" not in choice.columns:
        _refuse_labels_beside_doubts(listing, choice, found)
    return with_numbers_told(found)


def note_tables_not_wanted(listing: Listing, choice: Choice) -> None:
    """Note the tables that are not read as the user set that folders or paths say the classes, so that none is passed over without a word."""
    way = f"ingest.class_from is {choice.settings.class_from}" if choice.settings.class_from != "auto" else "ingest.format is folders"
    for folder in listing.folders.values():
        stems = {name.rpartition(".")[0] for name in folder.names} | set(folder.names)
        for name in list(folder.others):
            is_table = may_be_table(name, folder.others[name]) and not is_loose(name) and not name.startswith(LOCK_FILE)
            if is_table and name.rpartition(".")[0] not in stems:
                listing.left_out.append(LeftOut(folder.below(name), "unused_table", f"a table that was not read, since {way}"))
                listing.forget(folder.below(name))


def _is_about_images(listing: Listing, understood: Understood) -> bool:
    """Whether a table names images on purpose: of text or JSON with bare numbers, only if it names half of the images, or of those of a folder."""
    columns = understood.columns
    if not columns or not is_loose(understood.table.name) or understood.is_strong or says_more(understood):
        return True
    path = understood.profiles[columns.path]
    if split_of_table(understood.table.path) or 2 * sum("." in value or "/" in value for value in path.values) > len(path.values):
        return True
    by_folder = Counter(tuple(image.split("/")[:-1]) for image in path.images)
    return 2 * len(path.images) >= listing.images or any(
        2 * count >= len(listing.folders[parts].names) > 0 for parts, count in by_folder.items() if parts in listing.folders
    )


def _about_something_else(listing: Listing, understood: Understood) -> Understood:
    assert understood.columns is not None
    count = len(understood.profiles[understood.columns.path].images)
    return replace(understood, kind="no images", columns=None, why=f"it names {count:,} of {listing.images:,} images")


def _refuse_labels_beside_doubts(listing: Listing, choice: Choice, tables: Sequence[Understood]) -> None:
    """Raise SourceError where a table of the same images may have the labels as well, or splits that cannot be told."""
    labelled = labelled_tables(tables)
    images = {path for understood in labelled if understood.columns for path in understood.profiles[understood.columns.path].images}
    is_strong = any(understood.is_strong for understood in labelled)
    doubtful = [
        understood
        for understood in tables
        if understood.kind == "doubtful"
        and understood.columns
        and not is_submission(understood)
        and (understood.is_unknown_split or not is_strong)
        and understood.profiles[understood.columns.path].images & images
    ]
    if doubtful:
        columns = [
            f"{name} of {understood.table.path}" for understood in labelled if understood.columns and (name := understood.columns.label)
        ]
        has = f"may have its labels in {listed(columns)}, but also has" if columns and not is_strong else "has"
        raise _cannot_be_told(listing, choice, doubtful, [], has, labelled)


def refuse_unread_tables(listing: Listing, choice: Choice, tables: Sequence[Understood], plan: FolderPlan | None) -> None:
    """Raise SourceError for tables that are about the images, but whose labels cannot be told; they are never passed over."""
    has_classes = plan is not None and has_training(plan)
    doubtful = [understood for understood in tables if understood.kind == "doubtful" or (understood.kind == "boxes" and not has_classes)]
    unmatched = [
        understood
        for understood in tables
        if understood.kind == "no images"
        and not is_loose(understood.table.name)
        and understood.rows * 2 >= listing.images > 0
        and not _is_about_others(listing, understood)
    ]
    if doubtful or unmatched:
        raise _cannot_be_told(listing, choice, doubtful, unmatched, "has")
    for understood in tables:
        path = understood.table.path
        if says_more(understood):
            listing.forget(path)  # used, and no other file beside the images
        elif understood.kind == "splits" and understood.columns and (reason := why_unused(understood)):
            listing.left_out.append(LeftOut(path, "unused_table", reason))
            listing.forget(path)


def _cannot_be_told(
    listing: Listing,
    choice: Choice,
    doubtful: Sequence[Understood],
    unmatched: Sequence[Understood],
    has: str,
    labelled: Sequence[Understood] = (),
) -> Undecided:
    """The error for tables that may be about the images."""
    told = [f"{understood.table.path}, whose {_in_doubt(understood)} column is unclear: {understood.why}" for understood in doubtful]
    told += [
        f"{understood.table.path}, with {understood.rows:,} rows that cannot be matched with the images: {understood.why}"
        for understood in unmatched
    ]
    columns = "; ".join(
        f"{understood.table.path}: {listed([profile.called for profile in understood.profiles.values()], 12)}"
        for understood in [*doubtful[:3], *unmatched[:3], *labelled[:3]]
    )
    more = f" (and {len(told) - 3} more tables)" if len(told) > 3 else ""
    s, it = ("", "it") if len(told) == 1 else ("s", "them")
    named = columns_of([*doubtful, *unmatched])
    other = "or another column as the label" if any(len(understood.candidates) > 1 for understood in doubtful) else ""
    return undecided(
        f"ingest.source: {choice.path} {has} the table{s} {'; and '.join(told[:3])}{more}. Columns of {columns}.",
        [
            *([Way("name the columns", {"columns": named}, other)] if named else []),
            Way(f"leave {it} out", {"ignore": exactly([understood.table.path for understood in [*doubtful, *unmatched]])}),
            *([COMBINED] if any(SEVERAL_ONES in understood.why or UNSURE in understood.why for understood in doubtful) else []),
            Way("go by the folders", {"format": "folders"}),
            Way(f"take the class from the paths, such as {example_of(listing)}, with ingest.class_from (docs/data.md)"),
        ],
        f"Images are in {image_folders(listing)}.",
    )


def _in_doubt(understood: Understood) -> str:
    columns = understood.columns
    return "split" if understood.is_unknown_split and columns and (columns.label or columns.one_hot) else "label"


def _is_about_others(listing: Listing, understood: Understood) -> bool:
    """Whether a table lists other files of the source, such as sounds."""
    others = {other.path.rpartition("/")[2] for other in listing.others()}
    return any(
        len({value.rpartition("/")[2] for value in profile.values} & others) * 2 > len(profile.values) > 0
        for profile in understood.profiles.values()
    )


def no_table(choice: Choice, tables: Sequence[Understood]) -> Undecided:
    """The error where tables were asked for, and none gives labels."""
    reasons = "; ".join(f"{understood.table.path}: {understood.why or 'no column of labels'}" for understood in tables)
    columns = "; ".join(f"{understood.table.path} has {', '.join(understood.profiles)}" for understood in tables)
    named = columns_of(tables)
    way = (
        Way("name the columns", {"columns": named})
        if named
        else Way("write the paths of the images into a column" if tables else "set ingest.format to auto")
    )
    return undecided(
        f"ingest.source: {choice.path}: no table gives labels to images. {reasons or 'There is no table'}.{' ' + columns + '.' if columns else ''}",
        [way],
    )


def refuse_absent_images(tables: Sequence[Understood]) -> None:
    """Raise SourceError for a table of labels, beside one that is read, none of whose files is there: a split may be missing."""
    for understood in tables:
        path, label = find_column(understood.profiles, PATH), find_column(understood.profiles, LABEL)
        if understood.kind == "no images" and not is_loose(understood.table.name) and understood.rows and path and label and path != label:
            raise undecided(
                f"ingest.source: none of the files that {understood.table.path} lists is there, for example {min(understood.profiles[path].values)}.",
                [Way("add them"), Way("leave the table out", {"ignore": exactly([understood.table.path])})],
            )
