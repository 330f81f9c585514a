"""What a file is, by its first bytes, whatever it is called: an image, a picture in a format that is not read, a video, a table, a saved web page, …

Bytes in, values out. The name of a file decides only where the content does not: many raw photographs are TIFF files, and TGA has no mark.
"""

import struct
from collections.abc import Callable, Mapping

from pipeline.images.format_marks import DEVELOP, EXPORT, EXPORT_ALL, MARKS_BY_START, SNIFF_BYTES, Format, Kind
from pipeline.images.header_formats import DICOM, NIFTI, TFRECORD, header_format
from pipeline.images.text_formats import SVG, text_format

__all__ = ["SNIFF_BYTES", "Format", "Kind", "describe_formats", "identify", "why_not_read"]

RAW_SUFFIXES = (
    *(".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".pef", ".srw", ".cr2"),
    *(".3fr", ".fff", ".iiq", ".erf", ".mef", ".mos", ".kdc", ".dcr"),
)
TGA_TYPES = (b"\1", b"\2", b"\3", b"\x09", b"\x0a", b"\x0b")
TGA_END = b"TRUEVISION-XFILE.\0"

TGA = Format("TGA", "picture", EXPORT)
ICLOUD = Format("iCloud placeholder", "other", "download the file in Finder, then copy it again")
NPZ = Format("npz", "container")
TORCH = Format("PyTorch file", "container", EXPORT_ALL)
XLSX = Format("XLSX", "table")
XLS, ODS = (Format(name, "table", "save it as CSV or .xlsx") for name in ("XLS", "ODS"))
OFFICE = Format("Office document", "other", "save the table in it as CSV, and its pictures as PNG")


def identify(start: bytes, name: str = "") -> Format | None:
    """The format of a file, or None if it is unknown. start: its first SNIFF_BYTES; name: its name or path, if it has one."""
    for mark, found in MARKS_BY_START.get(start[:2], ()):
        if start.startswith(mark):
            decide = DECIDED_BY.get(found.name)
            return decide(start, name.lower(), found) if decide else found
    suffix = _suffix(name)
    return header_format(start) or text_format(start, suffix) or _by_name(start, name.lower(), suffix)


def describe_formats(formats: Mapping[str, int]) -> str:
    """Such as `20 HEIC, 3 Git LFS pointers`: the most common first. formats: how many files there are of each name of a Format."""
    by_count = sorted(formats.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {name}{'s' if count != 1 and name[-1:].islower() else ''}" for name, count in by_count)


def why_not_read(encoded: bytes) -> str:
    """Why a file cannot be decoded as an image, and what to do about it, by its content."""
    found = TGA if encoded.endswith(TGA_END) else identify(encoded[:SNIFF_BYTES])
    if found is None:
        return "not an image, or in an unknown format"
    if found.kind == "image":
        return f"cannot be decoded: a damaged {found.name}, or of a kind that is not read"
    said = f"{found.name} is not read" if found.kind in ("picture", "video") else f"not an image ({found.name})"
    return f"{said}: {found.advice}" if found.advice else said


def _suffix(name: str) -> str:
    last = name[name.rfind("/") + 1 :]
    return last[last.rfind(".") :].lower() if "." in last else ""


def _of_tiff(start: bytes, name: str, found: Format) -> Format:
    return Format(_suffix(name)[1:].upper(), "picture", DEVELOP) if name.endswith(RAW_SUFFIXES) else found


def _of_gzip(start: bytes, name: str, found: Format) -> Format:
    return NIFTI if name.endswith(".nii.gz") else SVG if name.endswith(".svgz") else found


def _of_ole(start: bytes, name: str, found: Format) -> Format:
    return XLS if name.endswith((".xls", ".xlt")) else found


def _of_property_list(start: bytes, name: str, found: Format) -> Format:
    return ICLOUD if name.endswith(".icloud") else found


def _of_zip(start: bytes, name: str, found: Format) -> Format:
    """A zip archive, or a document that is one inside, by the name and content of its first member."""
    if len(start) < 30 or not start.startswith(b"PK\3\4"):
        return found
    first = start[30 : 30 + struct.unpack_from("<H", start, 26)[0]]
    if first.endswith(b".npy"):
        return NPZ
    if first == b"mimetype":
        return ODS if b"opendocument.spreadsheet" in start else OFFICE if b"opendocument" in start else found
    if first.endswith((b"/data.pkl", b"/byteorder", b"/.format_version")):
        return TORCH
    if first == b"[Content_Types].xml" or first.startswith((b"_rels/", b"docProps/", b"xl/", b"word/", b"ppt/")):
        return OFFICE if name.endswith((".docx", ".pptx", ".vsdx")) or first.startswith((b"word/", b"ppt/")) else XLSX
    return found


DECIDED_BY: dict[str, Callable[[bytes, str, Format], Format]] = {
    "TIFF": _of_tiff,
    "gzip": _of_gzip,
    "OLE document": _of_ole,
    "property list": _of_property_list,
    "zip": _of_zip,
}


def _by_name(start: bytes, name: str, suffix: str) -> Format | None:
    """What has no mark, by its name and what the first bytes of such a file can be."""
    if suffix in (".tga", ".vda", ".icb", ".vst") and start[1:2] in (b"\0", b"\1") and start[2:3] in TGA_TYPES:
        return TGA
    if suffix in (".dcm", ".dicom") and start[1:2] == b"\0":
        return DICOM
    if ".tfrec" in name and start[4:8] == b"\0\0\0\0":
        return TFRECORD
    return NIFTI if suffix in (".nii", ".hdr") and start[:4] in (b"\x5c\1\0\0", b"\0\0\1\x5c") else None
