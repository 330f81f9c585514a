"""Zip archives: their members, and the code page that their names are in."""

import stat
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ImageError, SourceError
from pipeline.listing.archives import DAMAGED, FAILING, Member, naming_damage, reason_of
from pipeline.listing.records import LeftOut

ZIP_MEMBER = b"PK\3\4"
ZIP_MEMBER_HEADER = struct.Struct("<4s22xHH")  # mark, length of the name, length of what follows it
UTF8_FLAG = 0x800
UNICODE_PATH = 0x7075  # Info-ZIP's extra field


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive, even a damaged one, or one with something before it. A tar whose last member is a zip is none."""
    with path.open("rb") as file:
        start = file.read(512)
    return start.startswith(ZIP_MEMBER) or (start[257:262] != b"ustar" and zipfile.is_zipfile(path))


def zip_members(path: Path, name_encoding: str, left_out: list[LeftOut]) -> Iterator[Member]:
    """The members of a zip, with a finding in `left_out` if the code page of their names had to be guessed. Raises SourceError if it is damaged."""
    with naming_damage(path), zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    names = _names(path, infos, name_encoding, left_out)
    if not any("/" in name for name in names) and all(name.isascii() for name in names):
        names = [name.replace("\\", "/") for name in names]  # as some Windows programs write them; elsewhere it is a part of a letter
    for name, info in zip((name.partition("\0")[0] for name in names), infos, strict=True):
        packed = (info.header_offset, info.compress_type, info.compress_size, info.file_size, info.CRC)
        yield Member(name, name.endswith("/"), _fault(info), ZipMember(str(path), *packed))


@dataclass(frozen=True)
class ZipMember:
    """Reads one member at its offset, without the archive's directory. Picklable."""

    archive: str
    offset: int
    method: int
    packed_bytes: int
    unpacked_bytes: int
    crc: int

    def __call__(self) -> bytes:
        return self._read(self.unpacked_bytes + 1)  # one more, so that the checksum is verified at the end

    def start(self, count: int) -> bytes:
        try:
            return self._read(count)
        except ImageError:
            return b""

    def size_bytes(self) -> int:
        return self.unpacked_bytes

    def _read(self, count: int) -> bytes:
        try:
            with Path(self.archive).open("rb") as file:
                file.seek(self.offset)
                mark, name_length, extra_length = ZIP_MEMBER_HEADER.unpack(file.read(ZIP_MEMBER_HEADER.size))
                if mark != ZIP_MEMBER:
                    raise zipfile.BadZipFile("not found where the archive's directory says")
                file.seek(name_length + extra_length, 1)
                with zipfile.ZipExtFile(file, "r", self._member()) as content:
                    return content.read(count)
        except FileNotFoundError:
            raise ImageError("the archive has been deleted", "missing") from None
        except PermissionError:
            raise ImageError("the archive can no longer be read: permission denied", "unreadable") from None
        except NotImplementedError:
            raise ImageError(f"compressed by a method that is not supported, number {self.method}") from None
        except DAMAGED as error:
            if isinstance(error, OSError) and error.errno in FAILING:
                raise ImageError(f"the archive cannot be read: {error.strerror}", "unreadable") from None
            raise ImageError(f"damaged in the archive: {reason_of(error)}") from None

    def _member(self) -> zipfile.ZipInfo:
        member = zipfile.ZipInfo()
        member.compress_type, member.compress_size = self.method, self.packed_bytes
        member.file_size, member.CRC = self.unpacked_bytes, self.crc
        return member


def _names(path: Path, infos: list[zipfile.ZipInfo], encoding: str, left_out: list[LeftOut]) -> list[str]:
    """The members' names: as flagged, else in `encoding`; with auto as UTF-8 if all are, else in the format's own code page 437."""
    flagged = [bool(info.flag_bits & UTF8_FLAG) for info in infos]
    raw = [b"" if is_utf8 else info.orig_filename.encode("cp437") for is_utf8, info in zip(flagged, infos, strict=True)]
    names = [_unicode_path(info) or info.orig_filename for info in infos]
    open_names = [i for i, name in enumerate(names) if raw[i] and not raw[i].isascii() and name == infos[i].orig_filename]
    guessed = encoding if encoding != "auto" else ("utf-8" if _all_utf8([raw[i] for i in open_names]) else "")
    if not guessed:
        example = infos[open_names[0]].filename
        left_out.append(
            LeftOut(
                path.name,
                "name_encoding",
                f"the code page of {len(open_names):,} names in it is not recorded; read as cp437, for example {example}. "
                "If that is wrong, set ingest.name_encoding, to cp1252 or cp932 for example",
            )
        )
        return names
    for i in open_names:
        try:
            names[i] = raw[i].decode(guessed)
        except (UnicodeDecodeError, LookupError) as error:
            raise SourceError(f"ingest.name_encoding: {guessed} cannot decode the name {raw[i]!r} in {path}: {error}.") from None
    return names


def _all_utf8(names: list[bytes]) -> bool:
    try:
        return all(name.decode("utf-8") is not None for name in names)
    except UnicodeDecodeError:
        return False


def _unicode_path(info: zipfile.ZipInfo) -> str:
    """The name in Info-ZIP's extra field; empty if there is none."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == UNICODE_PATH and length > 5:
            return extra[9 : 4 + length].decode("utf-8", "replace")
        extra = extra[4 + length :]
    return ""


def _fault(info: zipfile.ZipInfo) -> tuple[str, str] | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "link", "a link, not followed"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "special", "not a regular file"
    return ("encrypted", "encrypted") if info.flag_bits & 1 else None
