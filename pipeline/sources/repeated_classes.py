"""Classes that are copies of other classes: the same files under the same names, as in `all/` beside the classes. Found by a few samples."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ImageError
from pipeline.listing.listing import Folder, Listing
from pipeline.listing.split_words import words_of
from pipeline.sources.assigned import Assigned
from pipeline.two_readings import listed
from pipeline.ways_out import Way, exactly, undecided

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
    for label, names in sorted(
        samples.items(), key=lambda item: (-len(words_of(item[0])), -len(item[0]), item[0])
    ):  # `cat copy` before `cat`
        copies = set.intersection(*(_same(holders[name], name, label) for name in names))
        if copies:
            folders = sorted({folder.path for name in names for folder in holders[name][label]})
            raise undecided(
                f"ingest.source: {source}: the class {label} repeats images of {listed(copies)}: all of {len(names)} files that were compared "
                "are there, too.",
                [Way("leave out the copy", {"ignore": exactly(folders)})],
                "If images belong to several classes, choose one class for each.",
            )


def _samples(listing: Listing, assigned: Assigned) -> dict[str, list[str]]:
    """Up to SAMPLES names of images of each class with at least two."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for folder in listing.folders.values():
        spread = sorted({len(folder.names) * i // SAMPLES for i in range(SAMPLES)})
        for name in (folder.names[i] for i in spread) if folder.names else ():
            if (place := assigned.place(folder, folder.below(name))) and len(names[place.label]) < SAMPLES:
                names[place.label].append(name)
    return {label: found for label, found in names.items() if len(found) > 1}


def _same(holders: Mapping[str, list[Folder]], name: str, label: str) -> set[str]:
    """The other classes that have an image of this name with the same content."""
    others = {other: folders for other, folders in holders.items() if other != label}
    if not others:
        return set()
    own = {_digest(folder, name) for folder in holders[label]}
    return {other for other, folders in others.items() if any(_digest(folder, name) in own for folder in folders)}


def _digest(folder: Folder, name: str) -> bytes:
    try:
        return hashlib.sha256(folder.content(name)()).digest()
    except (ImageError, OSError):
        return folder.below(name).encode()
