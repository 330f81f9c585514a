"""Formats that are known by several values of a header, or by a mark that is not at the start. Bytes in, values out."""

import functools
import importlib.util
import re
import struct

from pipeline.images.format_marks import DEVELOP, EXPORT_ALL, EXPORT_SCAN, TAKE_FRAMES, UNPACK, Format

HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
AVIF_BRANDS = {b"avif", b"avis"}
CONTAINER_BRANDS = {b"mif1", b"msf1"}  # of HEIC and AVIF: the compatible brands say which
OTHER_HEIF_BRANDS = {b"avci", b"avcs", b"j2ki", b"j2is", b"jpeg", b"jpgs", b"miaf", b"mif2", b"heif"}
BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)
PPM_HEADER = re.compile(rb"P[1-6]\s+(#[^\n]*\n\s*)*\d+\s|Pf\s+\d+\s+\d+\s")

AVIF, BMP, PPM, WEBP = (Format(name, "image") for name in ("AVIF", "BMP", "PPM", "WebP"))
HEIC = Format("HEIC", "image")
HEIC_WITHOUT_READER = Format("HEIC", "picture", "install its reader with `pip install pillow-heif`, or export it as JPEG")
HEIF = Format("HEIF", "picture", "export it as JPEG or PNG")
CR3, CRW = Format("CR3", "picture", DEVELOP), Format("CRW", "picture", DEVELOP)
DICOM, NIFTI = Format("DICOM", "picture", EXPORT_SCAN), Format("NIfTI", "picture", EXPORT_SCAN)
AVI, MP4, MOV, MPEG = (Format(name, "video", TAKE_FRAMES) for name in ("AVI", "MP4", "MOV", "MPEG"))
RIFF = {b"WEBP": WEBP, b"AVI ": AVI, b"WAVE": Format("WAV", "other")}
EMPTY = Format("empty file", "other", "download or copy it again")
ZEROS = Format("file of zero bytes", "other", "download it from the cloud storage or copy it again")
TFRECORD, LMDB = Format("TFRecord", "container"), Format("LMDB", "container", EXPORT_ALL)
TAR = Format("tar", "archive", UNPACK)


def header_format(start: bytes) -> Format | None:
    """The format of a file that starts with these bytes, or None."""
    if not start:
        return EMPTY
    if start[4:8] == b"ftyp":
        return _of_brands(start)
    if start[:4] == b"RIFF":
        return RIFF.get(start[8:12])
    if start[:2] == b"BM" and struct.unpack("<I", start[14:18].ljust(4, b"\0"))[0] in BMP_HEADER_SIZES:
        return BMP
    if start[:1] == b"P" and PPM_HEADER.match(start):
        return PPM
    if start[0] < 32 and start[4:8] in (b"moov", b"mdat", b"wide", b"pnot", b"skip"):  # no text: a size comes first
        return MOV
    if start[128:132] == b"DICM":
        return DICOM
    if start[344:348] in (b"n+1\0", b"ni1\0"):
        return NIFTI
    if start[6:14] == b"HEAPCCDR":
        return CRW
    if start[16:20] in (b"\xde\xc0\xef\xbe", b"\xbe\xef\xc0\xde"):
        return LMDB
    if start[:1] == start[188:189] == start[376:377] == b"\x47" and b"\0" in start:
        return MPEG
    if _is_tar(start):
        return TAR
    return TFRECORD if _is_tfrecord(start) else ZEROS if not start.strip(b"\0") else None


@functools.cache
def is_heic_read() -> bool:
    """Whether the package that reads HEIC is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def _of_brands(start: bytes) -> Format:
    """A file of boxes: HEIC, AVIF, a raw photograph, or a video."""
    major, compatible = start[8:12], {start[i : i + 4] for i in range(16, min(int.from_bytes(start[:4], "big"), len(start)), 4)}
    if major in AVIF_BRANDS or (major in CONTAINER_BRANDS and compatible & AVIF_BRANDS):
        return AVIF
    if major in HEIC_BRANDS | CONTAINER_BRANDS:
        return HEIC if is_heic_read() else HEIC_WITHOUT_READER
    if major == b"crx ":
        return CR3
    return HEIF if major in OTHER_HEIF_BRANDS else MOV if major == b"qt  " else MP4


def _is_tar(start: bytes) -> bool:
    """By the mark of POSIX, or else by the checksum of the header: the sum of its bytes, in which the checksum counts as eight spaces."""
    if start[257:262] == b"ustar":
        return True
    said = start[148:156].strip(b" \0")
    return len(start) == 512 and said.isdigit() and set(said) <= set(b"01234567") and int(said, 8) == sum(start) - sum(start[148:156]) + 256


def _is_tfrecord(start: bytes) -> bool:
    """Whether a record starts with the length of a tf.train.Example: its one field, number 1, fills it."""
    if len(start) < 20 or start[12] != 0x0A:
        return False
    inside = used = 0
    for byte in start[13:18]:  # a varint: seven bits in each byte, the lowest first
        inside |= (byte & 0x7F) << 7 * used
        used += 1
        if byte < 0x80:
            break
    return int.from_bytes(start[:8], "little") == 1 + used + inside
