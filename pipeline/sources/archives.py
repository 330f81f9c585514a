"""Archives of class folders, read in place: nothing is extracted, no link is followed, no member can lead out of the archive.

Holds what zip and tar archives share, and the reader of zip archives, whose images come sorted by name. Damaged or truncated archives are errors,
never an early end.
"""

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from array import array
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from pipeline.errors import ImageError, SourceError
from pipeline.listing.names import is_escaping, is_visible, name_clash, normalised
from pipeline.listing.records import LeftOut, Record, Source, readable, source_name
from pipeline.sources.folder_layout import Folders, Place, place_files, survey_files

ZIP_MEMBER = b"PK\3\4"
ZIP_MEMBER_HEADER = struct.Struct("<4s22xHH")  # mark, length of the name, length of what follows it

# Raised for malformed bytes, in addition to the readers' own errors
ODD_BYTES = (EOFError, OSError, ValueError, OverflowError, RecursionError, NotImplementedError)
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, *ODD_BYTES)
M = TypeVar("M")
Fault: TypeAlias = tuple[str, str]


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive, even a damaged one."""
    with path.open("rb") as file:
        return file.read(len(ZIP_MEMBER)) == ZIP_MEMBER or zipfile.is_zipfile(path)


def open_zip(path: Path) -> Source:
    """The images of a .zip, sorted by path. Raises SourceError if it is damaged, has no images, or has only one class."""
    with naming_damage(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    members.sort(key=lambda member: _cleaned(member.filename).replace("/", "\0"))  # as folders are sorted: by each name in turn

    def record(name: str, place: Place, member: zipfile.ZipInfo) -> Record:
        packed = (member.header_offset, member.compress_type, member.compress_size, member.file_size, member.CRC)
        return Record(name, place.label, place.split, None, member.file_size, ReadZipMember(str(path), *packed))

    return open_archive(path, lambda: ((member.filename, member) for member in members), _zip_fault, record)


def open_archive(
    path: Path,
    members: Callable[[], Iterable[tuple[str, M]]],
    fault: Callable[[M], Fault | None],
    record: Callable[[str, Place, M], Record],
) -> Source:
    """The records of an archive; `members` must be repeatable."""
    hashes = array("q")
    skipped: list[LeftOut] = []
    layout, count = survey_files(path, _note_hashes(_files(members(), fault, (), skipped), hashes), skipped)
    repeated = _repeated(hashes)
    if repeated:
        layout, count = survey_files(path, _files(members(), fault, repeated, []), [])
    left_out: list[LeftOut] = []
    records = place_files(layout, _files(members(), fault, repeated, left_out), record, left_out)
    return Source(source_name(path), None, records, count, left_out)


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Turns any error of a damaged archive into a one-line SourceError."""
    try:
        yield
    except PermissionError:
        raise
    except DAMAGED as error:
        raise SourceError(f"ingest.source: {path} is damaged: {_reason(error)}. Get the file again.") from None


@dataclass(frozen=True)
class ReadZipMember:
    """Reads one member at its offset, without the archive's directory. Picklable."""

    archive: str
    offset: int
    method: int
    packed_bytes: int
    size_bytes: int
    crc: int

    def __call__(self) -> bytes:
        try:
            with Path(self.archive).open("rb") as file:
                file.seek(self.offset)
                mark, name_length, extra_length = ZIP_MEMBER_HEADER.unpack(file.read(ZIP_MEMBER_HEADER.size))
                if mark != ZIP_MEMBER:
                    raise zipfile.BadZipFile("not found where the archive's directory says")
                file.seek(name_length + extra_length, 1)
                with zipfile.ZipExtFile(file, "r", self._member()) as content:
                    return content.read(self.size_bytes + 1)  # one more, so that the checksum is verified at the end
        except FileNotFoundError:
            raise ImageError("the archive has been deleted", "missing") from None
        except PermissionError:
            raise ImageError("the archive can no longer be read: permission denied", "unreadable") from None
        except NotImplementedError:
            raise ImageError(f"compressed by a method that is not supported, number {self.method}") from None
        except DAMAGED as error:
            raise ImageError(f"damaged in the archive: {_reason(error)}") from None

    def _member(self) -> zipfile.ZipInfo:
        member = zipfile.ZipInfo()
        member.compress_type, member.compress_size = self.method, self.packed_bytes
        member.file_size, member.CRC = self.size_bytes, self.crc
        return member


def _files(
    members: Iterable[tuple[str, M]], fault: Callable[[M], Fault | None], repeated: Container[int], left_out: list[LeftOut]
) -> Iterator[tuple[Folders, str, M]]:
    """(folders, name, member) of each member that can be read in place. Hidden members are ignored, others added to `left_out`.

    Of several members with the same name, the first counts. Only names whose hash is in `repeated` are kept in memory.
    """
    taken: dict[str, str] = {}
    for raw, member in members:
        name = _cleaned(raw)
        if not name or raw.endswith(("/", "\\")) or not is_visible(name):
            continue
        found = ("escaping", "its path leads outside the source") if is_escaping(raw) else fault(member)
        if found:
            left_out.append(LeftOut(readable(raw), *found))
        elif name in taken:
            left_out.append(name_clash(raw, taken[name]))
        else:
            if hash(name) in repeated:
                taken[name] = raw
            *folders, last = name.split("/")
            yield tuple(folders), last, member


def _cleaned(name: str) -> str:
    """A member's normalised name, with single slashes between its parts. Some Windows programs write backslashes."""
    parts = normalised(name.replace("\\", "/")).split("/")  # in this order: a byte that is not UTF-8 gets a backslash of its own
    return "/".join(part for part in parts if part not in ("", "."))


def _note_hashes(files: Iterable[tuple[Folders, str, M]], hashes: "array[int]") -> Iterator[tuple[Folders, str, M]]:
    """The files, noting the hashes of their names: 8 bytes per name, since an archive is in any order and can have millions."""
    for folders, name, member in files:
        hashes.append(hash("/".join((*folders, name))))
        yield folders, name, member


def _repeated(hashes: "array[int]") -> frozenset[int]:
    values, counts = np.unique(np.asarray(hashes), return_counts=True)
    return frozenset(values[counts > 1].tolist())


def _zip_fault(member: zipfile.ZipInfo) -> Fault | None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "link", "a link, not followed"
    if kind not in (0, stat.S_IFREG):
        return "special", "not a regular file"
    return ("encrypted", "encrypted") if member.flag_bits & 1 else None


def _reason(error: BaseException) -> str:
    """An error's message, without the name of the member, which is known from the record."""
    return str(error).partition(" for file")[0].rstrip(".") or type(error).__name__
