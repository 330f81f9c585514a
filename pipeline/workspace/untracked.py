"""What makes DVC fail or hang while it checks whether the source has changed."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import SourceError
from pipeline.listing.records import readable
from pipeline.listing.walk import not_followed

NAMED_FAULTS = 3


class Fault(NamedTuple):
    """A file that DVC cannot read, why, and whether it is a link whose target is not there."""

    path: str
    reason: str
    is_link_to_nothing: bool = False


def refuse_untracked(source: Path) -> None:
    """Raise SourceError for files that make DVC fail or hang; `ingest` comes later."""
    faults = list(itertools.islice(_unreadable(str(source)), NAMED_FAULTS + 1)) if source.is_dir() else []
    if not faults:
        return
    named = ", ".join(f"{fault.path} ({fault.reason})" for fault in faults[:NAMED_FAULTS]) + (", …" if len(faults) > NAMED_FAULTS else "")
    if all(fault.is_link_to_nothing for fault in faults):
        raise SourceError(
            f"ingest.source: {source} has links to what is not there: {named}. Mount the drive or connect to the network that they lead to; remove "
            "links that are not needed any more."
        )
    raise SourceError(
        f"ingest.source: {source} contains what DVC cannot track: {named}. Move it elsewhere, or pack the source into a .tar or .zip."
    )


def is_tracked(source: Path) -> bool:
    """Whether DVC can read a source."""
    try:
        refuse_untracked(source)
    except (SourceError, OSError):
        return False
    return True


def _unreadable(folder: str) -> Iterator[Fault]:
    """Pipes, devices, broken links and names that are not UTF-8, in a folder and below."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = readable(entry.path)
            if name != entry.path:
                yield Fault(name, "its name is not UTF-8")
            elif entry.is_symlink() and (error := _cannot_follow(entry.path)):
                yield Fault(name, not_followed(entry.path, error), isinstance(error, FileNotFoundError))
            elif entry.is_dir(follow_symlinks=False):
                yield from _unreadable(entry.path)
            elif not entry.is_file() and not entry.is_dir():
                yield Fault(name, "a pipe or device")


def _cannot_follow(link: str) -> OSError | None:
    try:
        os.stat(link)  # noqa: PTH116
    except OSError as error:
        return error
    return None
