"""What the user set about a source, and what errors show of it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.folders.path_patterns import class_in_name, numbered_classes, pattern_of_names, pattern_with_numbers
from pipeline.folders.tree import UNKNOWN
from pipeline.images.format_marks import Format
from pipeline.images.formats import describe_formats
from pipeline.listing.listing import Folder, Listing
from pipeline.listing.split_words import split_of_name
from pipeline.params.ingest import Ingest
from pipeline.quality.kinds import counted
from pipeline.sources.masks import Masks, masks_of
from pipeline.tables.cells import LABEL
from pipeline.tables.columns import Understood
from pipeline.tables.profiles import Profile, describes, may_say_class, says_class
from pipeline.two_readings import listed
from pipeline.ways_out import Undecided, Way, undecided


class Choice(NamedTuple):
    """What the user set: the source, section `ingest`, and the table if the source is one.

    `is_trial`: settings that are tried before they are advised, which must not lead to an error later on.
    """

    path: Path
    settings: Ingest
    table: str = ""
    is_trial: bool = False

    @property
    def columns(self) -> dict[str, str]:
        return {role: name for role, name in self.settings.columns.model_dump().items() if name != "auto"}


def other_task(choice: Choice, listing: Listing, sign: str, seen: str, tables: Sequence[Understood] = ()) -> Undecided:
    """The error for a source that is labelled for detection or segmentation. `tables` may have classes."""
    columns = columns_of(tables) if len(tables) == 1 else {}
    return undecided(
        f"ingest.source: {choice.path} is labelled for another task, as for detection or segmentation: {sign}; {seen}. "
        "A classifier needs one class for each image.",
        [
            Way("name the columns of a table", {"columns": columns}) if columns else Way("add a table of paths and labels"),
            *class_from_paths(listing),
        ],
    )


def columns_of(tables: Sequence[Understood]) -> dict[str, str]:
    """The columns of path and label in the first table that can have labels, as for `ingest.columns`: {path: file, label: species}."""
    for understood in tables:
        profiles, columns = understood.profiles.values(), understood.columns
        path = columns.path if columns else max(profiles, key=lambda profile: len(profile.images), default=Profile("")).name
        if not profiles or understood.kind == "boxes" or (not columns and not understood.profiles[path].images):
            continue
        if understood.profiles[path].filled > 1.5 * len(understood.profiles[path].values):
            continue  # several rows for one image
        others = [profile for profile in profiles if profile.name != path and _can_be_label(profile, understood.profiles[path])]
        named = [*([columns.label] if columns and columns.label else []), *understood.candidates]
        others.sort(key=lambda profile: (profile.word not in LABEL, *_unlikeliness(profile), profile.name not in named))
        if others:
            return {"path": path, "label": others[0].name}
    return {}


def _unlikeliness(profile: Profile) -> tuple[bool, bool, bool]:
    """How little the name of a column speaks for classes: those of `quality` are likelier than those of `camera`."""
    return (not says_class(profile.name), not may_say_class(profile.name), describes(profile.name))


def _can_be_label(profile: Profile, path: Profile) -> bool:
    """Whether a column can be named as that of the labels: a few different texts or whole numbers, one in each row."""
    is_of_classes = 2 <= len(profile.values) <= max(4, len(path.images) / 2)
    return is_of_classes and not (profile.fractions or profile.lists or profile.is_of_objects)


def among_images(choice: Choice, masks: Masks) -> Undecided:
    """The error for masks that would count as images."""
    return undecided(
        f"ingest.source: {choice.path} has {masks.seen}, as for segmentation. A mask is no image of a class.",
        [Way("leave the masks out", {"ignore": masks.globs})],
        "If they are images, set ingest.class_from.",
    )


def pattern_like(listing: Listing) -> tuple[str, list[str]] | None:
    """(pattern for the names in the folder with most images, but for masks, the classes that it gives): `images/{class}_*.jpg`; None if none fits."""
    masks = masks_of(listing)
    folders = [folder for folder in listing.folders.values() if folder.names and not (masks and folder.parts in masks.folders)]
    folder = max(folders, key=_images_in, default=None)
    told = (pattern_with_numbers(folder.names) if numbered_classes(folder.names) else pattern_of_names(folder.names)) if folder else None
    if folder is None or told is None:
        return None
    start = f"{folder.parts[-1]}/" if len(folders) > 1 and folder.parts and not split_of_name(folder.parts[-1]) else ""
    return start + told[0], told[1]


def class_from_paths(listing: Listing) -> list[Way]:
    """How to say where the class stands in the paths, with a pattern if one fits."""
    where = Way("say where the class stands in the paths with ingest.class_from (docs/data.md)")
    main = max(listing.folders.values(), key=_images_in, default=None)
    if main and (numbered := numbered_classes(main.names)):
        words, numbers = min(numbered.items())
        said = listed([f"{words} {number}".strip() for number in numbers])
        alone = {class_in_name(name) for name in main.names} - {""}
        told = pattern_like(listing)
        return [
            *([Way(f"take {listed(told[1])}, with the first number, for the classes", {"class_from": told[0]})] if told else []),
            Way(f"take {listed(alone)}, the words alone, for the classes, {said} being one", {"class_from": "file_name"}),
            where,
        ]
    if told := pattern_like(listing):
        return [Way(f"take {listed(told[1])}, in the names of the files, for the classes", {"class_from": told[0]}), where]
    return [where]


def _images_in(folder: Folder) -> int:
    return len(folder.names)


def image_folders(listing: Listing) -> str:
    """The first folders with images, for a message."""
    return listed(["/".join(parts) or "the source itself" for parts, folder in listing.folders.items() if folder.names], 3)


def example_of(listing: Listing) -> str:
    """The path of an image, for a message."""
    return next((folder.below(name) for folder in listing.folders.values() for name in folder.names), "none")


def files_found(listing: Listing) -> str:
    """The files of a source without images: how many of each format, what they are called, and what to do."""
    names: defaultdict[Format, list[str]] = defaultdict(list)
    for other in listing.others():
        names[other.format or UNKNOWN].append(other.path)
    told = [
        f"{describe_formats({found.name: len(paths)})} ({listed(paths, 2)}){': ' + found.advice if found.advice else ''}"
        for found, paths in sorted(names.items(), key=lambda item: -len(item[1]))[:5]
    ]
    if listing.left_out:
        fault = listing.left_out[0]
        told.append(f"{len(listing.left_out):,} left out, for example {fault.path}: {fault.reason}")
    return "; ".join(told) or "nothing"


def all_ignored(choice: Choice, listing: Listing) -> str:
    """That `ingest.ignore` leaves out what there is, and what to do."""
    count = counted(listing.ignored, "file or folder", "files and folders")
    return f"no image is left, since ingest.ignore, {listed(choice.settings.ignore)}, leaves out {count}. Write globs that match less."


def seen_beside(listing: Listing, tables: Sequence[Understood]) -> str:
    """Tables that do not help, and the kinds of other files."""
    told = [
        f"{understood.table.path} ({listed(list(understood.profiles), 6)}): {understood.why or 'no column of labels'}"
        for understood in tables[:3]
    ]
    read = {understood.table.path for understood in tables}
    files = [other.path for other in listing.others() if other.path not in read and other.format and other.format.kind == "container"]
    told_below = {*read, *files}
    suffixes = Counter(other.path.rpartition("/")[2].rpartition(".")[2] for other in listing.others() if other.path not in told_below)
    told += [counted(count, f".{suffix} file", f".{suffix} files") for suffix, count in suffixes.most_common(3)]
    told += [f"{listed(files, 3)}, which are not read beside images"] if files else []
    return f"; beside them {'; '.join(told)}" if told else ""
