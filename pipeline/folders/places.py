"""What the folders of a source are: the place of each, and the errors for classes that would be lost or never seen in training."""

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import SourceError
from pipeline.images.format_marks import Format
from pipeline.images.formats import describe_formats
from pipeline.listing.listing import Folders
from pipeline.quality.class_names import similar_names
from pipeline.two_readings import listed
from pipeline.ways_out import Undecided, Way, exactly, undecided


class NoClassFolders(Undecided):
    """A source has no images in class folders."""


class Place(NamedTuple):
    """What the images of a folder are."""

    label: str
    split: str | None
    group: str | None = None


@dataclass(frozen=True)
class FolderPlan:
    """The place of each folder with images that has one; for other folders the finding and the reason. `flat`: folders of a split without classes."""

    places: Mapping[Folders, Place]
    left_out: Mapping[Folders, tuple[str, str]]
    settings: str = "ingest.format: folders"
    flat: Mapping[Folders, str | None] = field(default_factory=dict)

    def class_names(self) -> set[str]:
        return {place.label for place in self.places.values()}


def lost_classes(formats: Mapping[str, Mapping[Format, int]], source: Path | None) -> SourceError:
    """The error for classes that have files, but none that is read here, with their formats and what to do. `source`: nothing in it is read."""
    total: Counter[Format] = sum((Counter(found) for found in formats.values()), Counter())
    told = describe_formats({found.name: count for found, count in total.items()})
    advice = "; ".join(f"{found.name}: {found.advice}" for found in total if found.advice)
    whose = (
        f"{'its classes have' if source == Path() else f'{source} has'} no images that are read here"
        if source
        else f"the {'classes' if len(formats) > 1 else 'class'} {listed(formats)} would be lost"
    )
    seen = f"ingest.source: {whose}: its files are {told}, for example those of the class {min(formats)}.{' ' + advice + '.' if advice else ''}"
    return (
        SourceError(seen)
        if source
        else undecided(seen, [Way("leave out what is no class", {"ignore": [f"*/{name}" for name in exactly(sorted(formats))]})])
    )


def unseen_class(name: str, split: str | None, training: Iterable[str], ways: Sequence[Way] = ()) -> SourceError:
    """The error for a class that has no training images, with the class that may be meant. `ways`: to drop the class, or its split."""
    names = sorted(training)
    if not names:
        return undecided(
            f"ingest.source: no class has training images: those of {name}, for example, are all in {split}.",
            [Way("add training images with their labels"), Way("mark them as train in the table or by their folder"), *ways],
        )
    close = [one if other == name else other for one, other in similar_names([*names, name]) if name in (one, other)]
    close = close or difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return undecided(
        f"ingest.source: the class {name} has {split} images but no training images; there are some of {listed(names)}.{hint}",
        [Way("rename its folder or label"), Way("add training images"), *ways],
    )


def folders_of(places: Mapping[Folders, Place]) -> dict[str, list[str]]:
    """The folders of each class, by its name."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for parts, place in places.items():
        if place.label in parts:
            found[place.label].add("/".join(parts[: parts.index(place.label) + 1]))
    return {name: sorted(paths) for name, paths in found.items()}
