"""Files of each format, as small as they can be: written by a library where one is installed, else by hand from the format's documentation."""

import bz2
import contextlib
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import scipy.io
from PIL import Image

NOISE = np.kron(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
PICTURE = Image.fromarray(NOISE)


def encoded(kind: str, image: Image.Image = PICTURE, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def heic(image: Image.Image = PICTURE, **options: object) -> bytes:
    """Without loss. Pillow's own `save` would not write the rotation into the file."""
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=-1, chroma=444, **options)
    return buffer.getvalue()


def tiff(pixels: np.ndarray, **tags: tuple[int, ...]) -> bytes:
    """An uncompressed TIFF of an array (H, W, bands). tags: `t` and the number of a tag, with values of 16 bits, that replace its own."""
    height, width, bands = pixels.shape
    entries = {
        256: (width,),
        257: (height,),
        258: (8 * pixels.itemsize,) * bands,
        259: (1,),
        262: (2 if bands == 3 else 1,),
        277: (bands,),
        278: (height,),
        **({338: (0,) * (bands - 1)} if bands in (2, 4) or bands > 4 else {}),
        339: ({"u": 1, "i": 2, "f": 3, "c": 6}[pixels.dtype.kind],) * bands,
        **{int(name[1:]): values for name, values in tags.items()},
    }
    directory = 2 + 12 * (len(entries) + 2) + 4
    table, beside, place = b"", b"", 8 + directory
    entries[273], entries[279] = (0,), (0,)
    lengths = sum(2 * len(values) for values in entries.values() if len(values) > 2)
    for number, values in sorted(entries.items()):
        if number in (273, 279):  # offset and number of bytes of the pixels
            table += struct.pack("<HHII", number, 4, 1, place + lengths if number == 273 else pixels.nbytes)
            continue
        packed = struct.pack(f"<{len(values)}H", *values)
        if len(packed) > 4:
            table += struct.pack("<HHII", number, 3, len(values), place + len(beside))
            beside += packed
        else:
            table += struct.pack("<HHI", number, 3, len(values)) + packed.ljust(4, b"\0")
    return (
        struct.pack("<2sHIH", b"II", 42, 8, len(entries))
        + table
        + b"\0\0\0\0"
        + beside
        + pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    )


def psd() -> bytes:
    """Adobe Photoshop File Formats Specification: header, three empty sections, planes without compression."""
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, *NOISE.shape[:2], 8, 3)
    return header + bytes(12) + b"\0\0" + NOISE.transpose(2, 0, 1).tobytes()


def table() -> pa.Table:
    return pa.table({"path": ["a.jpg", "b.jpg"], "label": ["cat", "dog"]})


def mat(folder: Path) -> bytes:
    path = folder / "images.mat"
    scipy.io.savemat(path, {"images": NOISE[None]})
    return path.read_bytes()


def sqlite(folder: Path) -> bytes:
    path = folder / "images.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE images (content BLOB)")
    return path.read_bytes()


def buffered(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def tar(form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        member = tarfile.TarInfo("cat/1.jpg")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    return buffer.getvalue()


def old_tar() -> bytes:
    """As before POSIX: without the mark `ustar`; the checksum is of the header without it."""
    header = bytearray(tar(tarfile.USTAR_FORMAT)[:512])
    header[257:512] = bytes(255)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + b"abc".ljust(512, b"\0") + bytes(1024)


def tfrecord() -> bytes:
    """The TFRecord format: length, checksum, tf.train.Example, checksum; here of one feature, with checksums left at zero."""
    feature = b"\x0a\x07" + b"\x0a\x05label" + b"\x12\x05" + b"\x1a\x03\x0a\x01\x02"
    features = b"\x0a" + bytes([len(feature)]) + feature
    example = b"\x0a" + bytes([len(features)]) + features
    return struct.pack("<Q4x", len(example)) + example + bytes(4)


def dng() -> bytes:
    """A preview as first page, as cameras write it, with the tag DNGVersion."""
    return encoded("TIFF", tiffinfo={50706: b"\1\4\0\0"})


# (content, name of the file, name of the format, kind): what a library here has written
def written(folder: Path) -> list[tuple[bytes, str, str, str]]:
    images, labels = NOISE[None], np.array([1])
    return [
        (encoded("JPEG"), "", "JPEG", "image"),
        (encoded("JPEG", progressive=True), "a.heic", "JPEG", "image"),
        (encoded("MPO", save_all=True, append_images=[PICTURE]), "", "JPEG", "image"),
        (encoded("PNG"), "a.jpg", "PNG", "image"),
        (encoded("GIF"), "", "GIF", "image"),
        (encoded("BMP"), "", "BMP", "image"),
        (encoded("WEBP"), "", "WebP", "image"),
        (encoded("TIFF"), "a.tif", "TIFF", "image"),
        (encoded("TIFF", big_tiff=True), "", "TIFF", "image"),
        (encoded("PPM"), "", "PPM", "image"),
        (encoded("PPM", PICTURE.convert("L")), "a.pgm", "PPM", "image"),
        (encoded("PPM", PICTURE.convert("1")), "a.pbm", "PPM", "image"),
        (encoded("PPM", PICTURE.convert("F")), "a.pfm", "PPM", "image"),
        (encoded("AVIF"), "", "AVIF", "image"),
        (encoded("JPEG2000"), "", "JPEG 2000", "image"),
        (encoded("JPEG2000", no_jp2=True), "", "JPEG 2000", "image"),
        (heic(), "IMG_1.JPG", "HEIC", "image"),
        (encoded("TIFF"), "DSC_1.NEF", "NEF", "picture"),
        (encoded("ICO"), "", "ICO", "picture"),
        (encoded("ICNS", PICTURE.resize((128, 128))), "", "ICNS", "picture"),
        (encoded("TGA"), "folder.d/a.TGA", "TGA", "picture"),
        (encoded("PCX"), "", "PCX", "picture"),
        (encoded("SGI"), "", "SGI", "picture"),
        (encoded("DDS"), "", "DDS", "picture"),
        (encoded("QOI"), "", "QOI", "picture"),
        (encoded("XBM", PICTURE.convert("1")), "", "XBM", "picture"),
        (encoded("EPS"), "", "EPS", "picture"),
        (encoded("PDF"), "", "PDF", "picture"),
        (buffered(lambda file: pa.parquet.write_table(table(), file)), "", "Parquet", "table"),
        (buffered(lambda file: pa.feather.write_feather(table(), file)), "", "Feather", "table"),
        (json.dumps({"a.jpg": "cat"}).encode(), "", "JSON", "table"),
        (json.dumps([{"path": "a.jpg"}], indent=2).encode(), "", "JSON", "table"),
        (json.dumps([1, 2.5]).encode(), "", "JSON", "table"),
        (b'{"path": "a.jpg"}\n{"path": "b.jpg"}\n', "labels.txt", "JSON lines", "table"),
        (b'{"path": "a.jpg"}\n', "labels.jsonl", "JSON lines", "table"),
        (buffered(lambda file: np.savez(file, images=images, labels=labels)), "", "npz", "container"),
        (buffered(lambda file: np.savez_compressed(file, images=images)), "a.zip", "npz", "container"),
        (buffered(lambda file: np.save(file, NOISE)), "", "npy", "container"),
        (mat(folder), "", "MAT", "container"),
        (sqlite(folder), "", "SQLite", "container"),
        *((pickle.dumps({"images": images}, protocol), "", "pickle", "container") for protocol in range(2, 6)),
        (pickle.dumps({b"data": [1]}, 0), "", "pickle", "container"),
        (zipped(("cat/1.jpg", b"abc")), "", "zip", "archive"),
        (zipped(), "", "zip", "archive"),
        (zipped(("[Content_Types].xml", b"<Types/>")), "labels.xlsx", "XLSX", "table"),
        (zipped(("docProps/app.xml", b"<Properties/>"), ("xl/workbook.xml", b"")), "", "XLSX", "table"),
        (zipped(("[Content_Types].xml", b"<Types/>")), "readme.docx", "Office document", "other"),
        (zipped(("mimetype", b"application/vnd.oasis.opendocument.spreadsheet")), "", "ODS", "table"),
        (tar(), "", "tar", "archive"),
        (tar(tarfile.GNU_FORMAT), "", "tar", "archive"),
        (tar(tarfile.USTAR_FORMAT), "", "tar", "archive"),
        (gzip.compress(tar()), "a.tar.gz", "gzip", "archive"),
        (gzip.compress(b"..."), "scan.NII.GZ", "NIfTI", "picture"),
        (gzip.compress(b"<svg/>"), "a.svgz", "SVG", "picture"),
        (bz2.compress(b"abc"), "", "bzip2", "archive"),
        (lzma.compress(b"abc"), "", "xz", "archive"),
    ]


def boxes(brand: bytes, *compatible: bytes) -> bytes:
    """The first box of ISO/IEC 14496-12, and the start of the next one."""
    return struct.pack(">I4s4sI", 16 + 4 * len(compatible), b"ftyp", brand, 0) + b"".join(compatible) + b"\0\0\1\xbemeta" + bytes(40)


# (content, name of the file, name of the format, kind, where the header is documented)
DOCUMENTED = [
    (boxes(b"heix", b"mif1", b"heix"), "", "HEIC", "image", "ISO/IEC 23008-12, brands"),
    (boxes(b"mif1", b"mif1", b"heic"), "", "HEIC", "image", "ISO/IEC 23008-12, brands"),
    (boxes(b"msf1", b"msf1", b"hevc"), "", "HEIC", "image", "ISO/IEC 23008-12, brands"),
    (boxes(b"mif1", b"avif", b"mif1"), "", "AVIF", "image", "AV1 Image File Format, brands"),
    (boxes(b"avci", b"mif1"), "", "HEIF", "picture", "ISO/IEC 23008-12, annex E"),
    (boxes(b"crx ", b"isom"), "", "CR3", "picture", "Canon: brand crx"),
    (boxes(b"isom", b"mp41"), "", "MP4", "video", "ISO/IEC 14496-12"),
    (boxes(b"qt  "), "", "MOV", "video", "QuickTime File Format"),
    (struct.pack(">I4s", 8, b"wide") + struct.pack(">I4s", 99, b"mdat") + bytes(50), "", "MOV", "video", "QuickTime File Format: no ftyp"),
    (b"RIFF\x24\0\0\0AVI LIST" + bytes(40), "", "AVI", "video", "Microsoft: AVI RIFF File Reference"),
    (b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), "", "WAV", "other", "Microsoft: Multimedia Programming Interface"),
    (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\x82\x84webm", "", "Matroska or WebM", "video", "RFC 8794, EBML header"),
    (b"\0\0\1\xba\x44\0\4\0\4\1", "", "MPEG", "video", "ISO/IEC 13818-1, pack header"),
    ((b"\x47\x40\0\x10\0" + b"\xff" * 183) * 3, "", "MPEG", "video", "ISO/IEC 13818-1, transport packets of 188 bytes"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c", "", "WMV", "video", "Advanced Systems Format, header object"),
    (b"\xff\x0a\xfa\x1f\x41\x93", "", "JPEG XL", "picture", "ISO/IEC 18181-1, codestream"),
    (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "", "JPEG XL", "picture", "ISO/IEC 18181-2, container"),
    (b"II\xbc\1\x20\0\0\0", "", "JPEG XR", "picture", "ITU-T T.832, annex A"),
    (b"\xff\xd8\xff\xf7\0\x0b\x08", "", "JPEG-LS", "picture", "ITU-T T.87, SOF55"),
    (bytes(128) + b"DICM\2\0\0\0UL\4\0" + bytes(100), "", "DICOM", "picture", "DICOM PS3.10, 7.1"),
    (b"\x08\0\5\0CS\x0a\0ISO_IR 100", "scan.dcm", "DICOM", "picture", "ACR-NEMA files, without preamble"),
    (b"\x5c\1\0\0" + bytes(340) + b"n+1\0", "", "NIfTI", "picture", "NIfTI-1, nifti1.h"),
    (b"\x1c\2\0\0n+2\0\r\n\x1a\n" + bytes(528), "", "NIfTI", "picture", "NIfTI-2, nifti2.h"),
    (b"\x5c\1\0\0" + bytes(344), "scan.hdr", "NIfTI", "picture", "Analyze 7.5, header of 348 bytes"),
    (b"NRRD0004\ntype: uint8\n", "", "NRRD", "picture", "Definition of NRRD File Format"),
    (b"ObjectType = Image\nNDims = 3\n", "", "MetaImage", "picture", "MetaIO documentation"),
    (psd(), "", "PSD", "picture", "Adobe Photoshop File Formats Specification"),
    (b"gimp xcf v011\0", "", "XCF", "picture", "GIMP: XCF documentation"),
    (b"v/1\1\2\0\0\0channels\0", "", "OpenEXR", "picture", "OpenEXR File Layout"),
    (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n", "", "Radiance HDR", "picture", "Radiance picture format"),
    (b"PF\n8 6\n-1.0\n" + bytes(60), "", "PFM", "picture", "Debevec: PFM, colour"),
    (b"P7\nWIDTH 8\nHEIGHT 6\nDEPTH 4\nMAXVAL 255\n", "", "PAM", "picture", "Netpbm: pam"),
    (b"/* XPM */\nstatic char *a[] = {", "", "XPM", "picture", "XPM manual"),
    (b"SIMPLE  =                    T".ljust(80) + b"BITPIX  =                   16", "", "FITS", "picture", "FITS standard 4.0"),
    (b"AT&TFORM\0\0\0\x20DJVUINFO", "", "DjVu", "picture", "DjVu 3 specification"),
    (b"II*\0\x10\0\0\0CR\2\0", "", "CR2", "picture", "Canon CR2: mark after the TIFF header"),
    (b"FUJIFILMCCD-RAW 0201", "", "RAF", "picture", "Fujifilm RAF"),
    (b"IIRO\x08\0\0\0", "", "ORF", "picture", "Olympus ORF"),
    (b"IIU\0\x18\0\0\0", "", "RW2", "picture", "Panasonic RW2"),
    (b"II\x1a\0\0\0HEAPCCDR", "", "CRW", "picture", "Canon CIFF 1.0"),
    (
        bytes(8) + b"\x08\0\0\0\0\0\0\0" + b"\xde\xc0\xef\xbe\1\0\0\0" + bytes(100),
        "data.mdb",
        "LMDB",
        "container",
        "lmdb: mdb.c, MDB_MAGIC",
    ),
    (tfrecord(), "", "TFRecord", "container", "TensorFlow: TFRecord and tf.train.Example"),
    (b"\xff\0\0\0\0\0\0\0" + bytes(range(200, 240)), "a.tfrecords", "TFRecord", "container", "TensorFlow: TFRecord"),
    (b"\0\0\x08\3\0\0\0\2\0\0\0\x1c\0\0\0\x1c" + bytes(1568), "", "idx", "container", "LeCun: the IDX file format"),
    (b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0", "", "HDF5", "container", "HDF5 File Format Specification, superblock"),
    (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512), "", "MAT", "container", "MATLAB: HDF5 behind a block of text"),
    (old_tar(), "", "tar", "archive", "UNIX v7 tar"),
    (b"\x28\xb5\x2f\xfd\x20\3", "", "zstd", "archive", "RFC 8878"),
    (b"7z\xbc\xaf\x27\x1c\0\4", "", "7z", "archive", "7-Zip: 7zFormat.txt"),
    (b"Rar!\x1a\7\1\0", "", "rar", "archive", "RAR 5.0 archive format"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(24), "labels.xls", "XLS", "table", "MS-CFB, MS-XLS"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(24), "Thumbs.db", "OLE document", "other", "MS-CFB"),
    (b"\0\5\x16\7\0\2\0\0Mac OS X        \0\2", "._1.jpg", "AppleDouble file", "other", "RFC 1740, appendix B"),
    (b"L\0\0\0\1\x14\2\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", "1.jpg.lnk", "Windows shortcut", "other", "MS-SHLLINK, 2.1"),
    (b"book\0\0\0\0mark\0\0\0\0", "", "macOS alias", "other", "macOS: bookmark data"),
    (b"bplist00\xd4\1\2\3", ".IMG_1.HEIC.icloud", "iCloud placeholder", "other", "macOS: binary property list"),
    (b"bplist00\xd4\1\2\3", "Info.plist", "property list", "other", "macOS: binary property list"),
    (b"", "1.jpg", "empty file", "other", "no byte"),
    (bytes(700), "1.jpg", "file of zero bytes", "other", "what some cloud storage leaves in place of a file"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "1.jpg", "Git LFS pointer", "other", "git-lfs: spec.md"),
    (b"/annex/objects/SHA256E-s10--4d7a.jpg\n", "1.jpg", "git-annex pointer", "other", "git-annex: pointer file"),
    (b"../.git/annex/objects/a/b/SHA256E-s10--4d7a.jpg", "1.jpg", "git-annex pointer", "other", "git-annex: a link as a file"),
    (b"outs:\n- md5: 1f3e\n  size: 10\n  hash: md5\n  path: 1.jpg\n", "1.jpg.dvc", "DVC pointer", "other", "DVC: .dvc files"),
    (b"md5: 1f3e\nfrozen: true\ndeps:\n- path: a\nouts:\n- md5: 2\n", "1.jpg.dvc", "DVC pointer", "other", "DVC: import"),
    (b"[InternetShortcut]\r\nURL=file:///1.jpg\r\n", "1.url", "web shortcut", "other", "Windows: Internet shortcut"),
    (b"data:image/jpeg;base64,/9j/4AAQ", "1.jpg", "data URI", "text", "RFC 2397"),
    (b'<svg xmlns="http://www.w3.org/2000/svg" width="9">', "1.jpg", "SVG", "picture", "SVG 2"),
    (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a drawing -->\n<svg:svg>', "", "SVG", "picture", "SVG 2, with a prefix"),
    (b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN">\n<svg>', "", "SVG", "picture", "SVG 1.1"),
    (b"\r\n<!DOCTYPE html>\n<html><body><svg>", "1.jpg", "HTML", "text", "HTML: a drawing within a page"),
    ("<html lang='de'>…".encode("utf-16"), "1.jpg", "HTML", "text", "HTML in UTF-16"),
    (b"<HEAD><TITLE>404 Not Found</TITLE></HEAD>", "1.jpg", "HTML", "text", "HTML 2, of an old server"),
    (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "1.jpg", "XML", "text", "an object store's answer"),
    (b"<annotation>\n<folder>a</folder>", "1.xml", "XML", "text", "PASCAL VOC"),
    (b'{\n "cells": [\n  {\n   "cell_type": "code",', "a.ipynb", "notebook", "text", "nbformat 4"),
    (b"path,label\na.jpg,cat\nb.jpg,dog\n", "labels.txt", "CSV", "table", "RFC 4180"),
    (b"path\tlabel\na, b.jpg\tcat\nb.jpg\tdog\n", "", "TSV", "table", "IANA text/tab-separated-values"),
    (b"path;label\na.jpg;cat\n", "", "CSV", "table", "CSV as spreadsheets write it in Europe"),
    ('path,label\n"a,b.jpg",Löwe\n'.encode("latin-1"), "labels.csv", "CSV", "table", "CSV in an 8-bit code page"),
    ("path,label\na.jpg,猫\n".encode("utf-16"), "", "CSV", "table", "CSV in UTF-16"),
    (b"# Title\n\nThe images, and labels, of it.\n", "README.md", "plain text", "text", "Markdown"),
    (b"P1 and P2 are\ncameras\n", "", "plain text", "text", "not PBM"),
    (b"[1] LeCun et al.\n", "", "plain text", "text", "not JSON"),
    (b"BMP files are\nlarge\n", "", "plain text", "text", "not BMP"),
    (b"The wide world\n", "", "plain text", "text", "not a box `wide`"),
    (b"import os\n", "a.py", "code", "text", "Python"),
    (b"stages:\n  ingest:\n    outs:\n    - a\n", "dvc.yaml", "settings", "text", "YAML"),
]
