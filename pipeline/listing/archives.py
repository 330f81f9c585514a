"""The members of zip and tar archives, read in place: nothing leads out of an archive, no link in it is followed.

A compressed tar is unpacked once to a plain one, so that all archives can be read at any position. Damaged or truncated archives are errors,
never an early end.
"""

import errno
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import FULL_DISK, SourceError
from pipeline.listing.listing import Collector, Content, as_parts
from pipeline.listing.names import is_escaping, is_visible, name_clash
from pipeline.listing.records import LeftOut, readable

# Raised for malformed bytes, in addition to the readers' own errors
ODD_BYTES = (EOFError, OSError, ValueError, OverflowError, RecursionError, NotImplementedError)
FAILING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, *ODD_BYTES)


class Member(NamedTuple):
    """A member of an archive: its name, whether it is a folder, why it cannot be read in place (finding and reason), or how it is read."""

    name: str
    is_folder: bool
    fault: tuple[str, str] | None
    content: Content | None


def add_members(members: Iterator[Member], below: tuple[str, ...], collector: Collector) -> None:
    """Note the members of an archive in the folder `below` of a listing. Of several members with the same name, the first counts."""
    collector.add_folder(below)
    seen: set[tuple[str, ...]] = set()
    for member in members:
        parts = as_parts(member.name)
        if parts and is_escaping(member.name):
            collector.left_out.append(LeftOut(readable(member.name), "escaping", "its path leads outside the source"))
            continue
        hidden = next((i for i, part in enumerate(parts) if not is_visible(part)), None)
        if not parts or hidden is not None:
            top = parts[: (hidden or 0) + 1]
            if parts and top not in seen:
                seen.add(top)
                collector.is_wanted("/".join((*below, *top)), folder=len(top) < len(parts) or member.is_folder)
            continue
        path = "/".join((*below, *parts))
        if not collector.is_wanted(path):
            continue
        if member.fault:
            collector.left_out.append(LeftOut(readable(member.name), *member.fault))
        elif member.is_folder:
            collector.add_folder((*below, *parts))
        elif member.content and not collector.add((*below, *parts[:-1]), parts[-1], member.content):
            collector.left_out.append(name_clash(member.name, path))


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Turns any error of a damaged archive into a one-line SourceError. A full disk and a disk or network that fails are no damage."""
    try:
        yield
    except PermissionError:
        raise
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            raise
        if isinstance(error, OSError) and error.errno in FAILING:
            raise SourceError(
                f"ingest.source: {path} cannot be read: {error.strerror}. Check the disk, or the network that it is on."
            ) from None
        raise SourceError(f"ingest.source: {path} is damaged: {reason_of(error)}. Get the file again.") from None


def reason_of(error: BaseException) -> str:
    """An error's message, without the name of the member, which is known from the record."""
    return str(error).partition(" for file")[0].rstrip(".") or type(error).__name__
