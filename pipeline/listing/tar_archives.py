"""Tar archives: their members at their positions in the archive. A compressed one is first unpacked to a plain one."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Self, cast

import pyarrow as pa

from pipeline.errors import ImageError
from pipeline.files import written_beside
from pipeline.listing.archives import DAMAGED, Member, naming_damage
from pipeline.listing.copies import copies_name, only_writer
from pipeline.progress import Progress

MOST_HEADER_BYTES = 2**20
READ_AT_ONCE_BYTES = 2**20
MIB = 2**20
COMPRESSIONS: dict[bytes, Callable[[BinaryIO], object]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda file: pa.input_stream(file, compression="zstd"),
}


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, compressed or not. A compressed file that is damaged from its start counts as one."""
    try:
        with path.open("rb") as file, _unpacked(path, file) as content:
            start = content.read(2 * tarfile.BLOCKSIZE)
        tarfile.TarInfo.frombuf(start[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return len(start) == 2 * tarfile.BLOCKSIZE and not any(start)  # an archive of nothing
    except PermissionError:
        raise
    except DAMAGED:
        return _compression(path) is not None
    return True


def tar_members(path: Path, name_encoding: str, scratch: Path) -> Iterator[Member]:
    """The members of a tar; if it is compressed, of its unpacked copy in the folder `scratch`. Raises SourceError if it is damaged."""
    encoding = "utf-8" if name_encoding == "auto" else name_encoding
    plain = _plain(path, scratch)
    with naming_damage(path), plain.open("rb") as file, _TarFile.open(fileobj=file, mode="r:", encoding=encoding) as archive:
        size_bytes, offset = plain.stat().st_size, -1
        while (member := archive.next()) is not None:
            if member.size < 0 or archive.offset <= offset:
                raise tarfile.ReadError("a header with a negative size")
            offset = archive.offset
            archive.members.clear()  # tarfile would keep them all
            if member.isreg() and member.offset_data + member.size > size_bytes:
                raise tarfile.ReadError("it ends too early")
            name = member.name.partition("\0")[0]
            yield Member(name, member.isdir() or name.endswith("/"), _fault(member), TarMember(str(plain), member.offset_data, member.size))


@dataclass(frozen=True)
class TarMember:
    """Reads one member at its position. Picklable."""

    archive: str
    offset: int
    length: int

    def __call__(self) -> bytes:
        return self._read(self.length)

    def start(self, count: int) -> bytes:
        try:
            return self._read(min(count, self.length))
        except ImageError:
            return b""

    def size_bytes(self) -> int:
        return self.length

    def _read(self, count: int) -> bytes:
        try:
            with Path(self.archive).open("rb") as file:
                file.seek(self.offset)
                content = file.read(count)
        except FileNotFoundError:
            raise ImageError("the archive has been deleted", "missing") from None
        except OSError as error:
            raise ImageError(f"the archive cannot be read: {error.strerror}", "unreadable") from None
        if len(content) < count:
            raise ImageError("damaged in the archive: it ends too early")
        return content


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


def _fault(member: tarfile.TarInfo) -> tuple[str, str] | None:
    if member.issym() or member.islnk():
        return "link", "a link, not followed"
    if member.isdir():
        return None
    return None if member.isreg() and not member.issparse() else ("special", "not a regular file")


def _plain(path: Path, scratch: Path) -> Path:
    """The archive itself, or its unpacked copy, made if it is not there yet for this version of the file."""
    if not _compression(path):
        return path
    name = copies_name(path, [path])
    copy = scratch / f"{name}.tar"
    with only_writer(scratch, name):
        if not copy.exists():
            with written_beside(copy) as beside, beside.open("wb") as file:
                _unpack(path, file)
    return copy


def _unpack(path: Path, plain: BinaryIO) -> None:
    """Write the unpacked content of a file to another one, with the progress by what is read of the packed one."""
    told = 0
    with Progress("ingest", -(-path.stat().st_size // MIB), "MiB unpacked") as progress:
        for block, packed_bytes in _blocks(path):
            plain.write(block)
            if packed_bytes // MIB > told:
                progress.advance(packed_bytes // MIB - told)
                told = packed_bytes // MIB


def _blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """The unpacked content of a file, to its end, where the checksum is, each block with how much was read so far. Raises SourceError if it is damaged."""
    with naming_damage(path), path.open("rb") as file, _unpacked(path, file) as content:
        while block := content.read(READ_AT_ONCE_BYTES):
            yield block, file.tell()


def _compression(path: Path) -> Callable[[BinaryIO], object] | None:
    """The decompressor of a file, by its first bytes; None if it is not compressed."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((unpack for mark, unpack in COMPRESSIONS.items() if start.startswith(mark)), None)


def _unpacked(path: Path, file: BinaryIO) -> IO[bytes]:
    """The content of a file that may be compressed, and has been opened."""
    unpack = _compression(path)
    return cast(IO[bytes], unpack(file)) if unpack else file
