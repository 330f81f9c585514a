"""The formats that are known by a mark at the start of the file. Values only.

Sources: the formats' own specifications and Pillow's plugins; marks that could begin a text are taken with what follows them.
"""

from typing import Literal, NamedTuple

Kind = Literal["image", "picture", "video", "table", "container", "archive", "text", "other"]

SNIFF_BYTES = 512  # how much of the start of a file is looked at

EXPORT = "export it as PNG"
EXPORT_DEEP = "export it as 16-bit PNG or as TIFF"
EXPORT_ALL = "export its images as PNG"
EXPORT_SCAN = "export its frames or slices as PNG (16-bit) or TIFF"
FLATTEN = "export the flattened picture as PNG"
DEVELOP = "develop it to JPEG or 16-bit TIFF"
TAKE_FRAMES = "extract its frames as PNG or JPEG"
UNPACK = "unpack it"
FOLLOW = "copy the file that it points to"


class Format(NamedTuple):
    """What a file is. kind: `image` is read, `picture` is a picture or a scan that is not. advice: what to do about it; empty where it is read."""

    name: str
    kind: Kind
    advice: str = ""


FORMATS: tuple[tuple[str, Kind, str, tuple[bytes, ...]], ...] = (
    ("JPEG", "image", "", (b"\xff\xd8\xff",)),
    ("PNG", "image", "", (b"\x89PNG\r\n\x1a\n",)),
    ("GIF", "image", "", (b"GIF87a", b"GIF89a")),
    ("TIFF", "image", "", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ("JPEG 2000", "image", "", (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")),
    ("JPEG-LS", "picture", EXPORT, (b"\xff\xd8\xff\xf7",)),
    ("JPEG XL", "picture", EXPORT, (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")),
    ("JPEG XR", "picture", EXPORT, (b"II\xbc\x01",)),
    ("PDF", "picture", "export its pages or pictures as PNG", (b"%PDF-",)),
    ("EPS", "picture", EXPORT, (b"%!PS", b"\xc5\xd0\xd3\xc6")),
    ("PSD", "picture", FLATTEN, (b"8BPS\0\1", b"8BPS\0\2")),
    ("XCF", "picture", FLATTEN, (b"gimp xcf ",)),
    ("ICO", "picture", EXPORT, (b"\0\0\1\0",)),
    ("ICNS", "picture", EXPORT, (b"icns\0",)),
    ("OpenEXR", "picture", EXPORT_DEEP, (b"v/1\1",)),
    ("Radiance HDR", "picture", EXPORT_DEEP, (b"#?RADIANCE", b"#?RGBE")),
    ("PFM", "picture", EXPORT_DEEP, (b"PF\n",)),
    ("PAM", "picture", EXPORT, (b"P7\nWIDTH", b"P7\n#")),
    ("XPM", "picture", EXPORT, (b"/* XPM */",)),
    ("DDS", "picture", EXPORT, (b"DDS \x7c\0\0\0",)),
    ("PCX", "picture", EXPORT, tuple(bytes((10, version, 1, bits)) for version in (0, 2, 3, 4, 5) for bits in (1, 2, 4, 8))),
    ("SGI", "picture", EXPORT, tuple(b"\1\xda%c%c" % (packed, depth) for packed in (0, 1) for depth in (1, 2))),
    ("Sun raster", "picture", EXPORT, (b"\x59\xa6\x6a\x95",)),
    ("QOI", "picture", EXPORT, (b"qoif\0",)),
    ("BPG", "picture", EXPORT, (b"BPG\xfb",)),
    ("FLIF", "picture", EXPORT, tuple(b"FLIF%c" % kind for kind in b"134ACDQST\\")),
    ("DjVu", "picture", EXPORT, (b"AT&TFORM",)),
    ("EMF", "picture", EXPORT, (b"\1\0\0\0\x58\0\0\0", b"\1\0\0\0\x6c\0\0\0")),
    ("WMF", "picture", EXPORT, (b"\xd7\xcd\xc6\x9a",)),
    ("FITS", "picture", EXPORT_DEEP, (b"SIMPLE  =",)),
    ("NIfTI", "picture", EXPORT_SCAN, (b"\x1c\2\0\0n+2\0", b"\0\0\2\x1cn+2\0")),
    ("NRRD", "picture", EXPORT_SCAN, (b"NRRD000",)),
    ("MetaImage", "picture", EXPORT_SCAN, (b"ObjectType = Image", b"NDims = ")),
    ("CZI", "picture", EXPORT_SCAN, (b"ZISRAWFILE\0",)),
    ("ND2", "picture", EXPORT_SCAN, (b"\xda\xce\xbe\x0a",)),
    ("CR2", "picture", DEVELOP, (b"II*\0\x10\0\0\0CR",)),
    ("RAF", "picture", DEVELOP, (b"FUJIFILMCCD-RAW",)),
    ("ORF", "picture", DEVELOP, (b"IIRO", b"IIRS", b"MMOR")),
    ("RW2", "picture", DEVELOP, (b"IIU\0",)),
    ("X3F", "picture", DEVELOP, (b"FOVb",)),
    ("MRW", "picture", DEVELOP, (b"\0MRM",)),
    ("Matroska or WebM", "video", TAKE_FRAMES, (b"\x1a\x45\xdf\xa3",)),
    ("MPEG", "video", TAKE_FRAMES, (b"\0\0\1\xba", b"\0\0\1\xb3")),
    ("WMV", "video", TAKE_FRAMES, (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",)),
    ("FLV", "video", TAKE_FRAMES, (b"FLV\1",)),
    ("Parquet", "table", "", (b"PAR1",)),
    ("Feather", "table", "export it as CSV or Parquet", (b"ARROW1\0\0", b"FEA1")),
    ("OLE document", "other", "save what it holds as CSV or PNG", (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)),
    ("npy", "container", "", (b"\x93NUMPY",)),
    ("HDF5", "container", EXPORT_ALL, (b"\x89HDF\r\n\x1a\n",)),
    ("MAT", "container", EXPORT_ALL, (b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file")),
    ("SQLite", "container", EXPORT_ALL, (b"SQLite format 3\0",)),
    ("idx", "container", "", tuple(bytes((0, 0, dtype, sides)) for dtype in (8, 9, 11, 12, 13, 14) for sides in range(1, 6))),
    (
        "pickle",
        "container",
        "",
        (b"\x80\4\x95", b"\x80\5\x95", *(b"\x80%c%c" % (one, op) for one in b"\2\3" for op in b"}])(cXKNUGJM\x8a")),
    ),
    ("zip", "archive", UNPACK, (b"PK\3\4", b"PK\5\6", b"PK\7\x08")),
    ("gzip", "archive", UNPACK, (b"\x1f\x8b\x08",)),
    ("bzip2", "archive", UNPACK, tuple(b"BZh%d1AY&SY" % level for level in range(1, 10))),
    ("xz", "archive", UNPACK, (b"\xfd7zXZ\0",)),
    ("zstd", "archive", UNPACK, (b"\x28\xb5\x2f\xfd",)),
    ("7z", "archive", UNPACK, (b"7z\xbc\xaf\x27\x1c",)),
    ("rar", "archive", UNPACK, (b"Rar!\x1a\7",)),
    ("AppleDouble file", "other", "delete it, macOS wrote it beside the image", (b"\0\5\x16\7\0", b"\0\5\x16\0\0")),
    ("Windows shortcut", "other", FOLLOW, (b"L\0\0\0\1\x14\2\0",)),
    ("macOS alias", "other", FOLLOW, (b"book\0\0\0\0mark",)),
    ("property list", "other", "delete it", (b"bplist00",)),
)

LONGEST_FIRST = sorted(
    ((mark, Format(name, kind, advice)) for name, kind, advice, marks in FORMATS for mark in marks), key=lambda pair: -len(pair[0])
)
MARKS_BY_START = {start: [pair for pair in LONGEST_FIRST if pair[0][:2] == start] for start in {mark[:2] for mark, _ in LONGEST_FIRST}}
