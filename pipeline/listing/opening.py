"""Lists a source: a folder, an archive, or a folder of archives that are the parts of one download."""

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import SourceError
from pipeline.listing.archives import Member, add_members
from pipeline.listing.copies import copies_name
from pipeline.listing.listing import IMAGE_SUFFIXES, Collector, Listing, as_parts
from pipeline.listing.records import LeftOut
from pipeline.listing.tar_archives import is_tar, tar_members
from pipeline.listing.walk import DiskFile, walk
from pipeline.listing.zip_archives import is_zip, zip_members
from pipeline.ways_out import Way, exactly, undecided

ARCHIVE = re.compile(r"\.(zip|tgz|tbz2?|txz|tzst|tar(\.\w+)?)$", re.IGNORECASE)
PARTIAL = re.compile(r"\.(part|partial|crdownload|download|filepart|opdownload|!ut|aria2)$", re.IGNORECASE)
LOOSE_IMAGES = 5  # beside archives, this many pictures are a logo or examples


class Options(NamedTuple):
    """What of `ingest` matters for the list: see params.yaml."""

    follow_links: bool = True
    ignore: tuple[str, ...] = ()
    name_encoding: str = "auto"


def list_source(path: Path, options: Options, scratch: Path) -> Listing:
    """Every file of a folder or an archive. Raises SourceError if it cannot be read or is damaged."""
    collector = Collector(options.ignore)
    return collector.with_ignored(_list(path, options, scratch, collector))


def _list(path: Path, options: Options, scratch: Path, collector: Collector) -> Listing:
    if path.is_dir():
        walk(path, collector, follow_links=options.follow_links)
        listing = collector.listing()
        _refuse_unfinished(path, listing)
        archives = [
            other.path for other in listing.others() if ARCHIVE.search(other.path) and other.format and other.format.kind == "archive"
        ]
        if archives and listing.images <= LOOSE_IMAGES and not any(parts for parts, folder in listing.folders.items() if folder.names):
            for below, members in _mounted(listing, archives, options, scratch):
                add_members(iter(members), below, collector)
            for archive in archives:
                collector.forget(archive)
            return replace(collector.listing(), copies=copies_name(path, [_on_disk(listing, archive) for archive in archives]))
        for archive in archives:
            _refuse_unless_unpacked(path, listing, archive, options, scratch)
            listing.left_out.append(LeftOut(archive, "unused_archive", "an archive that was not opened: its images are unpacked beside it"))
            listing.forget(archive)
        return listing
    add_members(iter(members_of(path, options, scratch, collector.left_out)), (), collector)
    return replace(collector.listing(), copies=copies_name(path, [path]))


def _refuse_unless_unpacked(source: Path, listing: Listing, archive: str, options: Options, scratch: Path) -> None:
    """Raise SourceError for an archive beside images whose own images are not among them: it may be a class, or a split."""
    there = {name for folder in listing.folders.values() for name in folder.names}
    members = members_of(_on_disk(listing, archive), options, scratch, [])
    inside = {parts[-1] for member in members if not member.is_folder and (parts := as_parts(member.name))}
    images = {name for name in inside if name[name.rfind(".") :].lower() in IMAGE_SUFFIXES}
    if images - there:
        raise undecided(
            f"ingest.source: {source}: {archive} is an archive beside folders of images, and {len(images - there):,} of its {len(images):,} images "
            "are not among them.",
            [Way("unpack it"), Way("leave it out", {"ignore": exactly([archive])})],
        )


def _refuse_unfinished(source: Path, listing: Listing) -> None:
    """Raise SourceError for archives that are not there as a whole: empty ones, and those that a download has not finished."""
    for other in listing.others():
        is_partial = PARTIAL.search(other.path) is not None
        is_no_archive = ARCHIVE.search(other.path) is not None and not (other.format and other.format.kind == "archive")
        if is_partial or is_no_archive:
            found = (
                "a download that is not finished"
                if is_partial
                else f"no archive: {other.format.name if other.format else 'unknown format'}"
            )
            advice = other.format.advice if is_no_archive and other.format and other.format.advice else "Get the file again"
            raise undecided(
                f"ingest.source: {source}: {other.path} is {found}.", [Way(advice), Way("leave it out", {"ignore": exactly([other.path])})]
            )


def is_archive(path: Path) -> bool:
    """Whether a file is an archive that is read here, by its content."""
    return is_zip(path) or is_tar(path)


def members_of(path: Path, options: Options, scratch: Path, left_out: list[LeftOut]) -> list[Member]:
    """The members of an archive."""
    if is_zip(path):
        return list(zip_members(path, options.name_encoding, left_out))
    return list(tar_members(path, options.name_encoding, scratch))


def _mounted(listing: Listing, archives: list[str], options: Options, scratch: Path) -> list[tuple[tuple[str, ...], list[Member]]]:
    """(folder that it stands for, members) of each archive in a folder.

    An archive stands for a folder of its own name; but one that holds only such a folder already does not get another, and the numbered parts of
    one download (photos-001.zip, photos-002.zip) are one folder, photos, unless the same path is in two of them.
    """
    found = {archive: members_of(_on_disk(listing, archive), options, scratch, listing.left_out) for archive in archives}
    stems = {archive: ARCHIVE.sub("", archive.rpartition("/")[2]) for archive in archives}
    above = {archive: as_parts(archive)[:-1] for archive in archives}
    places = {
        archive: above[archive] if _is_its_own_folder(found[archive], stems[archive]) else (*above[archive], stems[archive])
        for archive in archives
    }
    parts_of: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for archive in archives:
        base = _without_number(stems[archive])
        if base:
            parts_of.setdefault((above[archive], base), []).append(archive)
    for (folder, base), same in parts_of.items():
        if len(same) > 1 and _are_disjoint([found[archive] for archive in same]):
            places |= {archive: (*folder, base) for archive in same if places[archive] != folder}
    return [(places[archive], found[archive]) for archive in archives]


def _on_disk(listing: Listing, path: str) -> Path:
    content = listing.content(path)
    if not isinstance(content, DiskFile):
        raise SourceError(f"ingest.source: {path} is an archive in an archive, which is not opened. Unpack the outer one first.")
    return Path(content.path)


def _is_its_own_folder(members: list[Member], stem: str) -> bool:
    """Whether all members lie in one folder that is called as the archive is, or as the start of its name (photos in photos-2024-001.zip)."""
    tops = {as_parts(member.name)[0] for member in members if as_parts(member.name)}
    if len(tops) != 1 or not all(member.is_folder or len(as_parts(member.name)) > 1 for member in members):
        return False
    return re.match(rf"{re.escape(min(tops))}($|[\W_])", stem, re.IGNORECASE) is not None


def _without_number(stem: str) -> str:
    """The name of the download that an archive is a part of; empty if it has no number at its end, or nothing else."""
    base = re.sub(r"(?:[-_. (]+(?:part|pt|vol)?[-_. ]*|part[-_. ]*|pt[-_. ]*|vol[-_. ]*)\d+\)?$", "", stem, flags=re.IGNORECASE)
    return base if base != stem else ""


def _are_disjoint(archives: list[list[Member]]) -> bool:
    paths = [as_parts(member.name) for members in archives for member in members if not member.is_folder]
    return len(set(paths)) == len(paths)
