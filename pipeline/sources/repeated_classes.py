"""Classes that are copies of other classes: the same files under the same names, as in `all/` beside the classes. Found by a few samples."""

import hashlib
import json
from collections import defaultdict
from pathlib import Path

from pipeline.errors import ImageError, SourceError
from pipeline.listing.listing import Folder, Listing
from pipeline.sources.assigned import Assigned
from pipeline.two_readings import listed

SAMPLES = 8


def refuse_repeated_classes(listing: Listing, assigned: Assigned, source: Path) -> None:
    """Raise SourceError if all sampled images of a class are, with name and content, in other classes as well."""
    samples = _samples(listing, assigned)
    wanted = {name for names in samples.values() for name in names}
    holders: defaultdict[str, dict[str, list[Folder]]] = defaultdict(dict)  # by name and class
    for folder in listing.folders.values():
        for name in wanted.intersection(folder.names):
            if place := assigned.place(folder, folder.below(name)):
                holders[name].setdefault(place.label, []).append(folder)
    for label, names in samples.items():
        others = {other for name in names for other in holders[name] if other != label}
        if others and all(_is_elsewhere(holders[name], name, label) for name in names):
            copies = {other for name in names for other in holders[name] if other != label}
            folders = sorted({folder.path for name in names for folder in holders[name][label]})
            raise SourceError(
                f"ingest.source: {source}: the class {label} repeats images of {listed(copies)}: all of {len(names)} files that were compared "
                f"are there, too. If it is a copy, leave it out with ingest.ignore: {json.dumps(folders[:3], ensure_ascii=False)}. If images belong "
                "to several classes, choose one class for each."
            )


def _samples(listing: Listing, assigned: Assigned) -> dict[str, list[str]]:
    """Up to SAMPLES names of images of each class with at least two."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for folder in listing.folders.values():
        step = max(1, len(folder.names) // SAMPLES)
        for name in folder.names[::step][:SAMPLES]:
            if (place := assigned.place(folder, folder.below(name))) and len(names[place.label]) < SAMPLES:
                names[place.label].append(name)
    return {label: found for label, found in names.items() if len(found) > 1}


def _is_elsewhere(holders: dict[str, list[Folder]], name: str, label: str) -> bool:
    """Whether an image of a class is in another class with the same content."""
    others = [folder for other, folders in holders.items() if other != label for folder in folders]
    if not others:
        return False
    own = {_digest(folder, name) for folder in holders[label]}
    return any(_digest(folder, name) in own for folder in others)


def _digest(folder: Folder, name: str) -> bytes:
    try:
        return hashlib.sha256(folder.content(name)()).digest()
    except (ImageError, OSError):
        return folder.below(name).encode()
