"""The reading of tables; images of class folders that agree with them are added."""

from collections.abc import Mapping

from pipeline.errors import SourceError
from pipeline.folders.path_patterns import split_of_path
from pipeline.folders.places import FolderPlan, Place, unseen_class
from pipeline.folders.series import persons_in_paths
from pipeline.listing.listing import Listing
from pipeline.listing.records import LeftOut, Origin, Reading
from pipeline.sources.assigned import Assigned, reading_of
from pipeline.sources.choice import Choice
from pipeline.tables.labels import by_path
from pipeline.tables.said import Labels, Said
from pipeline.two_readings import listed
from pipeline.ways_out import Way

OF_IMAGES = ("unlabelled", "conflict", "name_clash")  # said of images that are there, which are left out

SPLIT_ANEW = (
    Way("leave its rows out of the table"),
    Way("have all images split anew, without the column of splits, or with the rows of all tables in one whose name says no split"),
)


def by_table(listing: Listing, choice: Choice, labels: Labels, plan: FolderPlan | None, names: Mapping[str, str] | None = None) -> Reading:
    """The reading of tables. A split that no table tells is that of the image's folder. `names`: of classes, where tables call them otherwise."""
    said = by_path(labels)
    files = {
        path: Place((names or {}).get(row.label, row.label), row.split or split_of_path(path) or _split_in(plan, path), row.group)
        for path, row in said.items()
    }
    from_folders = _not_listed(listing, plan, files) if plan else {}
    files |= from_folders
    _refuse_unseen_classes(files)
    missing = [fault for fault in labels.left_out if fault.finding == "missing"]
    if len(missing) == labels.rows:
        raise SourceError(f"ingest.source: none of the files that {listed(labels.tables)} lists is there, for example {missing[0].path}.")
    without = _without_label(labels, files)
    unused = [
        LeftOut(table.table, "unused_table", table.unused)
        for table in labels.named
        if table.unused and table.table not in labels.used and table.images & files.keys()
    ]
    notes = [*(fault for fault in labels.left_out if fault.path not in without), *unused]
    if not plan and not any(place.group for place in files.values()) and (persons := persons_in_paths(files, labels.tables)):
        notes.append(persons)
    if choice.table:
        listing = _only(listing, {*files, *(fault.path for fault in labels.left_out)})
    return reading_of(
        listing,
        Assigned(
            files=files,
            unlisted=("stray", f"not listed in {listed(labels.tables)}"),
            without=without,
            used=frozenset([*labels.used, *(fault.path for fault in unused)]),
            as_text=True,
        ),
        f"a table, {listed(labels.tables)}{_columns(labels)}",
        "" if from_folders else "ingest.format: table",
        notes,
        origin=_origin(labels, said, files, has_folders=bool(from_folders or names)),
    )


def _not_listed(listing: Listing, plan: FolderPlan, files: Mapping[str, Place]) -> dict[str, Place]:
    """The images of class folders that no table lists."""
    return {
        path: place
        for folder in listing.folders.values()
        if (place := plan.places.get(folder.parts))
        for name in folder.names
        if (path := folder.below(name)) not in files
    }


def _refuse_unseen_classes(files: Mapping[str, Place]) -> None:
    training = {place.label for place in files.values() if place.split in (None, "train")}
    for place in files.values():
        if place.label not in training:
            raise unseen_class(place.label, place.split, training, SPLIT_ANEW)


def _without_label(labels: Labels, files: Mapping[str, Place]) -> dict[str, tuple[str, str]]:
    """Finding and reason of images that tables name, but that are left out."""
    without: dict[str, tuple[str, str]] = {}
    for table in labels.named:
        for path in table.images - files.keys() - without.keys():
            without[path] = ("unlabelled", f"listed in {table.table} without a label")
    return without | {
        fault.path: (fault.finding, fault.reason) for fault in labels.left_out if fault.path not in files and fault.finding in OF_IMAGES
    }


def _origin(labels: Labels, said: Mapping[str, Said], files: Mapping[str, Place], *, has_folders: bool) -> Origin:
    """Which columns and folders say classes, splits and groups."""
    by_folder = any(place.split and not (path in said and said[path].split) for path, place in files.items())
    by_table = any(row.split for row in said.values())
    splits = [*([labels.splits_from] if by_table and labels.splits_from else []), *(["the folders"] if by_folder else [])]
    return Origin(
        f"{'the class folders and ' if has_folders else ''}{labels.labels_from}",
        " and ".join(splits),
        labels.groups_from if any(place.group for place in files.values()) else "",
    )


def _split_in(plan: FolderPlan | None, path: str) -> str | None:
    """The split of an image by its folder, such as Final_Training/."""
    if plan is None:
        return None
    folder = tuple(path.split("/")[:-1])
    place = plan.places.get(folder)
    return place.split if place else plan.flat.get(folder)


def _only(listing: Listing, paths: set[str]) -> Listing:
    """The list without images that a table does not name: beside a table that was named itself, they are nobody's concern."""
    for folder in listing.folders.values():
        folder.names = [name for name in folder.names if folder.below(name) in paths]
        folder.others = {}
    listing.left_out = [fault for fault in listing.left_out if fault.path in paths]
    return listing


def _columns(labels: Labels) -> str:
    """The columns that were read, if there is one table."""
    return f" ({', '.join(labels.columns)})" if labels.columns else ""
