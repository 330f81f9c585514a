"""Zip and tar archives of class folders, read in place: nothing is extracted, no link is followed, no member can lead out of the archive.

A zip archive gives its images in the order of their names, a tar archive in its own: it is read from front to back, once for what its layout is
and once for its images. What is damaged or cut off is an error, never an early end.
"""

import bz2
import gzip
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
from typing import IO, Literal, NamedTuple, Self, TypeAlias, TypeVar, cast

import numpy as np
import pyarrow as pa

from pipeline.errors import ImageError, SourceError
from pipeline.sources.class_folders import Folders, Place, is_escaping, is_visible, name_clash, normalised, place_files, survey_files
from pipeline.sources.records import LeftOut, Record, Source, readable, source_name

MOST_BYTES = 256 * 2**20
MOST_HEADER_BYTES = 2**20
READ_AT_ONCE_BYTES = 2**20
ZIP_MEMBER = b"PK\3\4"
ZIP_MEMBER_HEADER = struct.Struct("<4s22xHH")  # mark, length of the name, length of what follows it
COMPRESSIONS: dict[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda path: pa.input_stream(str(path), compression="zstd"),
}
# What readers raise for bytes that make no sense, beside errors of their own
ODD_BYTES = (EOFError, OSError, ValueError, OverflowError, RecursionError, NotImplementedError)
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, *ODD_BYTES)

M = TypeVar("M")
Fault: TypeAlias = tuple[str, str]


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive, be it a damaged one."""
    with path.open("rb") as file:
        return file.read(len(ZIP_MEMBER)) == ZIP_MEMBER or zipfile.is_zipfile(path)


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, compressed or not. What is compressed but damaged from its start counts as one."""
    try:
        with _unpacked(path) as content:
            start = content.read(2 * tarfile.BLOCKSIZE)
        tarfile.TarInfo.frombuf(start[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return len(start) == 2 * tarfile.BLOCKSIZE and not any(start)  # an archive of nothing
    except PermissionError:
        raise
    except DAMAGED:
        return _compression(path) is not None
    return True


def open_zip(path: Path) -> Source:
    """The images of a .zip, sorted by path. Raises SourceError where it is damaged, without images, or with one class only."""
    with _naming_damage(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    members.sort(key=lambda member: _cleaned(member.filename).replace("/", "\0"))  # as folders are sorted: by each name in turn

    def record(name: str, place: Place, member: zipfile.ZipInfo) -> Record:
        packed = (member.header_offset, member.compress_type, member.compress_size, member.file_size, member.CRC)
        return Record(name, place.label, place.split, None, member.file_size, ReadZipMember(str(path), *packed))

    return _open(path, lambda: ((member.filename, member) for member in members), _zip_fault, record)


def open_tar(path: Path) -> Source:
    """The images of a .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst, in the order of the archive. Raises SourceError as `open_zip` does.

    Their content is read as they come by; a large one's is not, and its `read` raises ImageError.
    """
    return _open(path, lambda: _tar_members(path), _tar_fault, _tar_record)


@dataclass(frozen=True)
class ReadZipMember:
    """Reads one member where it lies, without the archive's directory; a value, so that it can be sent to another process."""

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
                    raise zipfile.BadZipFile("nothing where it should be")
                file.seek(name_length + extra_length, 1)
                with zipfile.ZipExtFile(file, "r", self._member()) as content:
                    return content.read(self.size_bytes + 1)  # one more, to come to the end and have the checksum compared
        except FileNotFoundError:
            raise ImageError("the archive is gone", "missing") from None
        except PermissionError:
            raise ImageError("the archive may not be read any more", "unreadable") from None
        except NotImplementedError:
            raise ImageError(f"packed by a method that cannot be read here, number {self.method}") from None
        except DAMAGED as error:
            raise ImageError(f"damaged in the archive: {_reason(error)}") from None

    def _member(self) -> zipfile.ZipInfo:
        member = zipfile.ZipInfo()
        member.compress_type, member.compress_size = self.method, self.packed_bytes
        member.file_size, member.CRC = self.size_bytes, self.crc
        return member


@dataclass(frozen=True)
class _Content:
    content: bytes

    def __call__(self) -> bytes:
        return self.content


@dataclass(frozen=True)
class _TooLarge:
    size_bytes: int

    def __call__(self) -> bytes:
        raise ImageError(f"{self.size_bytes / 2**20:,.0f} MB is more than {MOST_BYTES // 2**20} MB", "too_large")


class _TarInfo(tarfile.TarInfo):
    """A member's header. Raises ReadError for one that tarfile would take for the end of the archive, or for one that wants all memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if len(buf) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("it ends too early")
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf):
                raise tarfile.ReadError(f"a header that cannot be read: {error}") from None
            raise  # a block of zeros marks the end
        if member.size < 0 or (member.size > MOST_HEADER_BYTES and member.type in b"LKxgX"):
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member


class _TarFile(tarfile.TarFile):
    tarinfo = _TarInfo
    members: list[tarfile.TarInfo]


class _TarMember(NamedTuple):
    """A member that has come by, to be read before the next one."""

    path: Path
    archive: tarfile.TarFile
    header: tarfile.TarInfo


def _open(
    path: Path,
    members: Callable[[], Iterable[tuple[str, M]]],
    fault: Callable[[M], Fault | None],
    record: Callable[[str, Place, M], Record],
) -> Source:
    """The records of an archive, whose members and their names can be gone through more than once."""
    hashes = array("q")
    skipped: list[LeftOut] = []
    layout, count = survey_files(path, _note_hashes(_files(members(), fault, (), skipped), hashes), skipped)
    repeated = _repeated(hashes)
    if repeated:
        layout, count = survey_files(path, _files(members(), fault, repeated, []), [])
    left_out: list[LeftOut] = []
    records = place_files(layout, _files(members(), fault, repeated, left_out), record, left_out)
    return Source(source_name(path), None, records, count, left_out)


def _files(
    members: Iterable[tuple[str, M]], fault: Callable[[M], Fault | None], repeated: Container[int], left_out: list[LeftOut]
) -> Iterator[tuple[Folders, str, M]]:
    """(folders, name, member) of each member that can be read in place; hidden ones are left alone, others left out.

    Of members with one name the first is taken. They are among those whose names' hashes are `repeated`: no other name is kept.
    """
    taken: dict[str, str] = {}
    for raw, member in members:
        name = _cleaned(raw)
        if not name or raw.endswith(("/", "\\")) or not is_visible(name):
            continue
        found = ("escaping", "its path leads out of the source") if is_escaping(raw) else fault(member)
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
    """A member's name with slashes between its parts and nothing else, in one form of Unicode. Some Windows programs write backslashes."""
    parts = normalised(name.replace("\\", "/")).split("/")  # in this order: a byte that is not UTF-8 gets a backslash of its own
    return "/".join(part for part in parts if part not in ("", "."))


def _note_hashes(files: Iterable[tuple[Folders, str, M]], hashes: "array[int]") -> Iterator[tuple[Folders, str, M]]:
    """The files, while their names' hashes are kept: 8 bytes a name, since an archive can be in any order and can have millions."""
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


def _tar_fault(member: _TarMember) -> Fault | None:
    if member.header.issym() or member.header.islnk():
        return "link", "a link, not followed"
    return None if member.header.isreg() else ("special", "not a regular file")


def _tar_record(name: str, place: Place, member: _TarMember) -> Record:
    size_bytes = member.header.size
    if size_bytes > MOST_BYTES:
        return Record(name, place.label, place.split, None, size_bytes, _TooLarge(size_bytes))
    with _naming_damage(member.path):
        content = cast(IO[bytes], member.archive.extractfile(member.header)).read()
    return Record(name, place.label, place.split, None, size_bytes, _Content(content))


def _tar_members(path: Path) -> Iterator[tuple[str, _TarMember]]:
    """(name, member) of each member but folders, from front to back."""
    mode: Literal["r|", "r:"] = "r|" if _compression(path) else "r:"  # what is not compressed need not be read to be skipped
    with _naming_damage(path), _unpacked(path) as content, _TarFile.open(fileobj=content, mode=mode) as archive:
        offset = -1
        while (member := archive.next()) is not None:
            if archive.offset <= offset:
                raise tarfile.ReadError("a header with a negative size")
            offset = archive.offset
            archive.members.clear()  # it would keep them all
            if not member.isdir():
                yield member.name, _TarMember(path, archive, member)
        while _compression(path) and content.read(READ_AT_ONCE_BYTES):
            pass  # the checksum of what was compressed comes last


def _compression(path: Path) -> Callable[[Path], object] | None:
    """What unpacks a file, by how it starts; None if it is not compressed."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((unpack for mark, unpack in COMPRESSIONS.items() if start.startswith(mark)), None)


def _unpacked(path: Path) -> IO[bytes]:
    """The content of a file that may be compressed. tarfile's own unpacking takes a file that was cut off for one that ends there."""
    unpack = _compression(path)
    return cast(IO[bytes], unpack(path)) if unpack else path.open("rb")


@contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise
    except DAMAGED as error:
        raise SourceError(f"ingest.source: {path} is damaged: {_reason(error)}. Get the file again.") from None


def _reason(error: BaseException) -> str:
    """What an error says, without the name of a member that is named anyway."""
    return str(error).partition(" for file")[0].rstrip(".") or type(error).__name__
