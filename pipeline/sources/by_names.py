"""The reading of classes in paths and file names."""

import json
from collections.abc import Mapping

from pipeline.errors import SourceError
from pipeline.folders.path_patterns import class_in_name, classes_in_names, path_pattern
from pipeline.folders.places import FolderPlan, Place
from pipeline.listing.listing import Listing
from pipeline.listing.records import Origin, Reading
from pipeline.listing.split_words import split_of_name
from pipeline.sources.assigned import Assigned, reading_of
from pipeline.sources.choice import Choice, example_of


def class_names_in_flat(listing: Listing, plan: FolderPlan) -> Reading | None:
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
        listing,
        Assigned(files=files, elsewhere=plan.left_out),
        "classes in the names of the files",
        "ingest.class_from: file_name",
        origin=origin_of_names(files),
    )


def origin_of_names(files: Mapping[str, Place], pattern: str = "") -> Origin:
    """Where classes, splits and groups come from if the class is in the path, with an example or the pattern."""
    path, place = min(files.items())
    classes = f"the paths by {pattern}" if pattern else f"the names of the files, such as {place.label} from {path.rpartition('/')[2]}"
    splits = pattern and "{split}" in pattern and "the same"
    return Origin(
        classes,
        splits or ("the folders" if any(place.split for place in files.values()) else ""),
        "the same" if any(place.group for place in files.values()) else "",
    )


def by_names(listing: Listing, choice: Choice) -> Reading:
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
        raise SourceError(f"ingest.class_from: {text} matches no image of {choice.path}, for example not {example_of(listing)}.")
    reason = ("stray", f"its path does not match ingest.class_from: {text}")
    elsewhere = dict.fromkeys(listing.folders, reason)
    return reading_of(
        listing,
        Assigned(files=files, elsewhere=elsewhere),
        f"classes by {text}",
        f"ingest.class_from: {json.dumps(text) if pattern else text}",
        origin=origin_of_names(files, text if pattern else ""),
    )
