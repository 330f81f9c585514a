"""Zip and tar archives written for tests, also such as no program would write."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa

Members = Iterable[tuple[str, bytes] | tarfile.TarInfo]
PETS = [(f"set/{'cat' if i % 3 else 'dog'}/{i:02d}.jpg", bytes([i]) * (i * 37 % 1500)) for i in range(40)]
TWO = [("cat/a.jpg", b"first image"), ("dog/b.jpg", b"second image")]


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue().to_pybytes())


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": zstd,
}
ENDINGS = [".zip", *COMPRESS]


def tar(members: Members) -> bytes:
    """A tar archive of members with content, and of bare headers."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            header, content = (member, b"") if isinstance(member, tarfile.TarInfo) else (tarfile.TarInfo(member[0]), member[1])
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def of_kind(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    """The header of a member of a tar that is a link, a pipe or a device."""
    header = tarfile.TarInfo(name)
    header.type, header.linkname, header.size = kind, target, size
    return header


def write_zip(path: Path, members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return path


def write_tar(path: Path, members: Members) -> Path:
    """A tar archive, compressed as its name ends."""
    path.write_bytes(COMPRESS["".join(path.suffixes)](tar(members)))
    return path


def write_archive(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    return write_zip(path, members) if path.suffix == ".zip" else write_tar(path, members)


def overwrite(path: Path, at: int, content: bytes, first_directory_entry: bool = False) -> None:
    """Replace bytes of a file, counted from its start or from a zip's directory."""
    changed = bytearray(path.read_bytes())
    at += changed.index(b"PK\1\2") if first_directory_entry else 0
    changed[at : at + len(content) or None] = content
    path.write_bytes(changed)
