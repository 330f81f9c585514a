"""Tar archives of class folders, compressed or not, read in place. Images come in the archive's own order.

An archive is read from front to back, once to detect its layout and once for its images.
"""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, NamedTuple, Self, cast

import pyarrow as pa

from pipeline.errors import ImageError
from pipeline.listing.records import Record, Source
from pipeline.sources.archives import DAMAGED, Fault, naming_damage, open_archive
from pipeline.sources.folder_layout import Place

MOST_BYTES = 256 * 2**20
MOST_HEADER_BYTES = 2**20
READ_AT_ONCE_BYTES = 2**20
COMPRESSIONS: dict[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda path: pa.input_stream(str(path), compression="zstd"),
}


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, compressed or not. A compressed file that is damaged from its start counts as one."""
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


def open_tar(path: Path) -> Source:
    """The images of a .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst, in the order of the archive. Raises SourceError as `open_zip` does.

    Contents are read in passing; those of very large members are not, and their `read` raises ImageError.
    """
    return open_archive(path, lambda: _tar_members(path), _tar_fault, _tar_record)


@dataclass(frozen=True)
class _Content:
    content: bytes

    def __call__(self) -> bytes:
        return self.content


@dataclass(frozen=True)
class _TooLarge:
    size_bytes: int

    def __call__(self) -> bytes:
        raise ImageError(f"{self.size_bytes / 2**20:,.0f} MB, more than the limit of {MOST_BYTES // 2**20} MB", "too_large")


class _TarInfo(tarfile.TarInfo):
    """A member's header. Raises ReadError if tarfile would mistake it for the end of the archive, or if it claims too much memory."""

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
    """The current member, to be read before moving to the next."""

    path: Path
    archive: tarfile.TarFile
    header: tarfile.TarInfo


def _tar_fault(member: _TarMember) -> Fault | None:
    if member.header.issym() or member.header.islnk():
        return "link", "a link, not followed"
    return None if member.header.isreg() else ("special", "not a regular file")


def _tar_record(name: str, place: Place, member: _TarMember) -> Record:
    size_bytes = member.header.size
    if size_bytes > MOST_BYTES:
        return Record(name, place.label, place.split, None, size_bytes, _TooLarge(size_bytes))
    with naming_damage(member.path):
        content = cast(IO[bytes], member.archive.extractfile(member.header)).read()
    return Record(name, place.label, place.split, None, size_bytes, _Content(content))


def _tar_members(path: Path) -> Iterator[tuple[str, _TarMember]]:
    """(name, member) of each member except folders, from front to back."""
    mode: Literal["r|", "r:"] = "r|" if _compression(path) else "r:"  # uncompressed members are skipped without being read
    with naming_damage(path), _unpacked(path) as content, _TarFile.open(fileobj=content, mode=mode) as archive:
        offset = -1
        while (member := archive.next()) is not None:
            if archive.offset <= offset:
                raise tarfile.ReadError("a header with a negative size")
            offset = archive.offset
            archive.members.clear()  # tarfile would keep them all
            if not member.isdir():
                yield member.name, _TarMember(path, archive, member)
        while _compression(path) and content.read(READ_AT_ONCE_BYTES):
            pass  # the checksum of the compressed data comes last


def _compression(path: Path) -> Callable[[Path], object] | None:
    """The decompressor of a file, by its first bytes; None if it is not compressed."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((unpack for mark, unpack in COMPRESSIONS.items() if start.startswith(mark)), None)


def _unpacked(path: Path) -> IO[bytes]:
    """The content of a file that may be compressed. tarfile's own decompression does not notice a truncated file."""
    unpack = _compression(path)
    return cast(IO[bytes], unpack(path)) if unpack else path.open("rb")
