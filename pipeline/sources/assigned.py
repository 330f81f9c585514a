"""From decisions to records: which folder or file has which label, split and group, and what becomes of all others."""

import bisect
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.folders.places import Place, lost_classes
from pipeline.folders.tree import UNKNOWN, unread_names
from pipeline.images.format_marks import SNIFF_BYTES, Format
from pipeline.images.formats import identify
from pipeline.listing.listing import Folder, Folders, Listing
from pipeline.listing.records import NO_ORIGIN, LeftOut, Origin, Reading, Record

ROBOFLOW = re.compile(r"(.+)\.rf\.[0-9a-zA-Z]{8,}\.[^.]+$")
NOT_HERE = ("unlabelled", "images without a label")


@dataclass(frozen=True)
class Assigned:
    """The place of images by folder, and by path where that says more. `elsewhere`: finding and reason of the other images of a folder.

    `unlisted`: the same for images beside others that have a place, `without` for single ones. `used`: tables that were read. `as_text`: the order
    of the paths, see `in_order_of_paths`.
    """

    folders: Mapping[Folders, Place] = field(default_factory=dict)
    files: Mapping[str, Place] = field(default_factory=dict)
    elsewhere: Mapping[Folders, tuple[str, str]] = field(default_factory=dict)
    unlisted: tuple[str, str] | None = None
    without: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    used: frozenset[str] = frozenset()
    as_text: bool = False

    def place(self, folder: Folder, path: str) -> Place | None:
        """The place of one image; None if it has none."""
        return self.files.get(path) or self.folders.get(folder.parts)


def reading_of(
    listing: Listing,
    assigned: Assigned,
    how: str,
    settings: str,
    notes: list[LeftOut] | None = None,
    source: Path = Path(),
    origin: Origin = NO_ORIGIN,
) -> Reading:
    """The reading for decisions about all images. Raises SourceError if a class has no file that is read here."""
    counts: Counter[tuple[str | None, str]] = Counter()
    formats: defaultdict[str, Counter[Format]] = defaultdict(Counter)
    readable: set[str] = set()
    for folder in listing.folders.values():
        for name in folder.names:
            if place := assigned.place(folder, folder.below(name)):
                counts[place.split, place.label] += 1
                if not (origin.groups or place.group) and original_of(name):
                    origin = origin._replace(groups="the names of the files, where Roboflow's copies of one picture are alike")
                if place.label not in readable:
                    found = identify(folder.content(name).start(SNIFF_BYTES), name) or UNKNOWN
                    if found.kind == "image":
                        readable.add(place.label)
                    else:
                        formats[place.label][found] += 1
        for name in unread_names(folder.others, folder.names):
            if place := assigned.place(folder, folder.below(name)):
                formats[place.label][folder.others[name] or UNKNOWN] += 1
    if lost := {label: found for label, found in formats.items() if label not in readable}:
        raise lost_classes(lost, None if readable else source)
    left_out = [*listing.left_out, *(notes or [])]
    return Reading(how, settings, None, counts, lambda left_out: _records(listing, assigned, left_out), left_out, origin=origin)


def _records(listing: Listing, assigned: Assigned, left_out: list[LeftOut]) -> Iterator[Record]:
    waiting: defaultdict[Folders, list[LeftOut]] = defaultdict(list)
    with_labels: set[Folders] = set()
    for folder, names, is_last in in_order_of_paths(listing.folders, as_text=assigned.as_text):
        reason = assigned.elsewhere.get(folder.parts)
        for name in names:
            path = folder.below(name)
            place = assigned.place(folder, path)
            if place is None:
                waiting[folder.parts].append(LeftOut(path, *(reason or NOT_HERE)))
                continue
            with_labels.add(folder.parts)
            content = folder.content(name)
            try:
                size_bytes = content.size_bytes()
                if size_bytes:
                    yield Record(path, place.label, place.split, place.group or original_of(name), size_bytes, content)
                else:
                    left_out.append(LeftOut(path, "empty", "empty file"))
            except OSError as error:
                left_out.append(
                    LeftOut(path, "missing" if isinstance(error, FileNotFoundError) else "unreadable", f"cannot be read: {error.strerror}")
                )
        if not is_last:
            continue
        labelled = folder.parts in with_labels
        unlisted = assigned.unlisted if labelled and not reason else None  # in a folder where other images have a label
        left_out += [
            LeftOut(fault.path, *(assigned.without.get(fault.path) or unlisted or fault[1:])) for fault in waiting.pop(folder.parts, ())
        ]
        if folder.parts in assigned.folders or labelled:
            left_out += _others(folder, assigned)


def in_order_of_paths(folders: Mapping[Folders, Folder], *, as_text: bool) -> Iterator[tuple[Folder, Sequence[str], bool]]:
    """Folders with runs of their images, and whether that is the last run of the folder: all paths in order, compared name by name, or as text.

    A sub-folder stands between the images around it, as in earlier versions: the order decides what a model learns from the same images.
    """
    opened: list[tuple[Folder, int]] = []  # folders one within another, and how many of the images of each have been told
    for parts in sorted(folders, key=(lambda parts: "/".join((*parts, ""))) if as_text else None):
        while opened and parts[: len(opened[-1][0].parts)] != opened[-1][0].parts:
            above, told = opened.pop()
            yield above, above.names[told:] if told else above.names, True
        if opened:
            above, told = opened[-1]
            before = bisect.bisect_right(above.names, parts[len(above.parts)] + ("/" if as_text else ""), told)
            if before > told:
                yield above, above.names[told:before], False
            opened[-1] = above, before
        opened.append((folders[parts], 0))
    for above, told in reversed(opened):
        yield above, above.names[told:] if told else above.names, True


def _others(folder: Folder, assigned: Assigned) -> Iterator[LeftOut]:
    """The files in a class folder that are no images: lost pictures, or companions of images."""
    unread = set(unread_names(folder.others, folder.names))
    for name, found in folder.others.items():
        path = folder.below(name)
        if path in assigned.used:
            continue
        if name in unread and assigned.place(folder, path):
            yield LeftOut(path, "not_read", not_read(found))
        else:
            yield LeftOut(path, "side_file", f"not an image: {found.name if found else 'unknown format'}")


def not_read(found: Format | None) -> str:
    """Why a picture is not read, and the way out."""
    if found is None:
        return "of an unknown format"
    return f"{found.name} is not read here" + (f": {found.advice}" if found.advice else "")


def has_roboflow_copies(listing: Listing) -> bool:
    """Whether a set was exported by Roboflow, so that the names of its images say their groups."""
    return any(original_of(name) for folder in listing.folders.values() for name in folder.names[:1])


def original_of(name: str) -> str | None:
    """The picture that Roboflow made a copy of: `IMG_1_jpg.rf.0a1b….jpg`; copies of one picture stay together."""
    found = ROBOFLOW.match(name)
    return found[1] if found else None
