"""Images that are there twice: in two classes, as in `all/` beside the classes, or in another version, such as thumbnails. Found by a few samples.

A version is told by names, then by content: it looks like its image when both are small. It is in a folder below that of its class, or beside its
image with a mark in its name. Copies with the same bytes in one class are found later.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.errors import ImageError
from pipeline.folders.doubts import versions_below
from pipeline.folders.places import FolderPlan
from pipeline.listing.listing import Folder, Listing
from pipeline.listing.split_words import words_of
from pipeline.sources.assigned import Assigned
from pipeline.sources.masks import SAMPLED, marked_beside, opened, stem_of
from pipeline.two_readings import classes, listed
from pipeline.ways_out import Way, exactly, undecided

SAMPLES = 8
SIDE = 8
ALIKE = 0.9  # correlation
FEWEST = 4  # grey values of standard deviation: in flat pictures, there is nothing to compare
MOST_FOLDERS = 200
MARK = re.compile(r"[ _-](thumb|thumbnail|small|preview|lowres|low|web|resized|cropped|crop|edited|enhanced|aug|mini)s?$", re.IGNORECASE)


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


def refuse_versions_of_images(listing: Listing, plan: FolderPlan, source: Path) -> None:
    """Raise SourceError if images of classes are there in another version as well."""
    for parts, place in list(plan.places.items())[:MOST_FOLDERS]:
        folder = listing.folders.get(parts)
        if folder is None or not folder.names:
            continue
        above = next(
            (parts[:i] for i in range(len(parts) - 1, 0, -1) if _has_label(plan, parts[:i], place.label) and parts[:i] in listing.folders),
            None,
        )
        if above is not None and _repeats(listing.folders[above], folder):
            raise versions_below(source, plan.class_names(), [parts[len(above)]], folder.path, with_others=True)
        if mark := _mark_in(folder):
            raise undecided(
                f"ingest.source: {source}: {folder.path}/ holds other versions of its images, with {mark} in their names, which would count as images "
                "of their own, and may be in train where the others are in test.",
                [Way(f"leave them out, for {classes(plan.class_names())}", {"ignore": [f"*{mark}.*"]})],
                "To keep them, give the versions of each picture a group.",
            )


def _has_label(plan: FolderPlan, parts: tuple[str, ...], label: str) -> bool:
    place = plan.places.get(parts)
    return place is not None and place.label == label


def _repeats(above: Folder, below: Folder) -> bool:
    """Whether most images of a folder have the names of images in one above, and look like them."""
    stems = {stem_of(name): name for name in above.names}
    pairs = [(stems[stem_of(name)], name) for name in below.names if stem_of(name) in stems]
    return len(pairs) > 1 and len(pairs) * 2 > len(below.names) and _all_alike(above, below, pairs)


def _mark_in(folder: Folder) -> str:
    """The mark of versions in the names of a folder's images: `_thumb` of cat_1_thumb.jpg beside cat_1.jpg; empty if there is none."""
    marked = marked_beside(folder, MARK)
    if len(marked) < 2 or not _all_alike(folder, folder, marked):
        return ""
    found = MARK.search(stem_of(marked[0][1]))
    return found[0] if found else ""


def _all_alike(images: Folder, versions: Folder, pairs: list[tuple[str, str]]) -> bool:
    return all(_are_alike(images, image, versions, version) for image, version in _spread(pairs))


def _spread(pairs: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    yield from pairs[:: max(1, len(pairs) // SAMPLED)][:SAMPLED]


def _are_alike(images: Folder, image: str, versions: Folder, version: str) -> bool:
    first, second = opened(images, image), opened(versions, version)
    if first is None or second is None or (first.size == second.size and first.tobytes() == second.tobytes()):
        return False
    one, other = _small(first), _small(second)
    return min(one.std(), other.std()) > FEWEST and float(np.corrcoef(one.ravel(), other.ravel())[0, 1]) > ALIKE


def _small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
