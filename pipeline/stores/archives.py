"""Zip and tar archives of class folders, read in place: nothing is extracted, no link is followed, no member can lead out of the archive."""

import bz2
import functools
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.errors import SourceError
from pipeline.stores.class_folders import Entry, arrange
from pipeline.stores.records import Record, Source, readable

COMPRESSIONS = {b"\x1f\x8b": gzip.GzipFile, b"BZh": bz2.BZ2File, b"\xfd7zXZ\0": lzma.LZMAFile}
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError)


def open_zip(path: Path) -> Source:
    """The images of a .zip. Raises SourceError where it is damaged or has no class folders."""
    with _naming_damage(path), zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist() if not member.is_dir()}
    refused = {name: reason for name, member in members.items() if (reason := _reason_to_refuse(member))}
    version = path.stat().st_mtime_ns
    entries = [
        Entry(PurePosixPath(name.replace("\\", "/")), member.file_size, _ZipMember(path, version, name))
        for name, member in members.items()
        if name not in refused
    ]
    return arrange(path, entries, [(readable(name), reason) for name, reason in refused.items()])


def open_tar(path: Path) -> Source:
    """The images of a .tar, .tar.gz, …, in the order of the archive: it can only be read from front to back.

    Reads it once for the names, and again for the images as they are asked for. Raises SourceError as `open_zip` does.
    """
    entries, rejected = {}, []
    with _opened_tar(path) as archive:
        for member in archive:
            if member.isreg():
                entries[member.name] = Entry(PurePosixPath(member.name), member.size, _TarMember(member.name))
            elif not member.isdir():
                rejected.append(
                    (readable(member.name), "a link, not followed" if member.issym() or member.islnk() else "not a regular file")
                )
    source = arrange(path, entries.values(), rejected)
    wanted = {record.read.name: record for record in source.records if isinstance(record.read, _TarMember)}
    return Source(source.name, source.class_names, _TarRecords(path, wanted), source.count, source.rejected)


@dataclass(frozen=True)
class _ZipMember:
    """Reads one member; a value, so that it can be sent to another process."""

    archive: Path
    version: int
    name: str

    def __call__(self) -> bytes:
        try:
            return _opened_zip(self.archive, self.version).read(self.name)
        except (*DAMAGED, NotImplementedError) as error:
            raise SourceError(f"damaged in the archive: {error}") from None


@dataclass(frozen=True)
class _TarMember:
    """Stands for a member until the archive is read from front to back."""

    name: str

    def __call__(self) -> bytes:
        raise AssertionError("a tar archive is read in its own order")


@dataclass(frozen=True)
class _Content:
    content: bytes

    def __call__(self) -> bytes:
        return self.content


@dataclass(frozen=True)
class _TarRecords:
    """Reads an archive from front to back, giving the wanted records, by their members' names, with their content."""

    archive: Path
    wanted: dict[str, Record]

    def __iter__(self) -> Iterator[Record]:
        waiting = dict(self.wanted)
        with _opened_tar(self.archive) as archive:
            for member in archive:
                record = waiting.pop(member.name, None) if member.isreg() else None
                file = archive.extractfile(member) if record else None
                if record and file:
                    yield Record(record.path, record.label, record.split, record.size_bytes, _Content(file.read()))


@functools.lru_cache(maxsize=1)
def _opened_zip(path: Path, version: int) -> zipfile.ZipFile:
    """An open archive, kept open: reading the directory of a large one takes longer than reading an image. `version` is its time stamp."""
    return zipfile.ZipFile(path)


@contextmanager
def _opened_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar archive to be read from front to back. tarfile's own decompression takes a file that was cut off for one that ends there."""
    with path.open("rb") as file:
        start = file.read(6)
    unpack = next((kind for magic, kind in COMPRESSIONS.items() if start.startswith(magic)), io.FileIO)
    with _naming_damage(path), unpack(path, "rb") as content, tarfile.open(fileobj=content, mode="r|") as archive:
        yield archive


def _reason_to_refuse(member: zipfile.ZipInfo) -> str | None:
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a link, not followed"
    return "encrypted" if member.flag_bits & 1 else None


@contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise SourceError(f"ingest.source: {path} is damaged: {error}. Get the file again.") from None
