"""The names of files: one form in which they are stored and compared, and which of them are hidden, or lead elsewhere."""

import re
import unicodedata
from pathlib import PurePosixPath

from pipeline.listing.records import LeftOut, readable

NAMED_IN_ERROR = 5
SYSTEM_NAMES = {
    "thumbs.db",
    "desktop.ini",
    "__macosx",
    "icon\r",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "@eadir",
    "#recycle",
    "@recycle",
    "recycler",
    "found.000",
    "lost.dir",
    "__pycache__",
    "node_modules",
}


def is_system(name: str) -> bool:
    """Whether a folder or file is made by an operating system, a file server or a tool: thumbnails, deleted files, snapshots, lock files."""
    return (
        name.lower() in SYSTEM_NAMES
        or re.match(r"[#@~$.]{1,2}(snapshot|recycle|recently|tmp|thumb|sharesnap)", name, re.IGNORECASE) is not None
    )


def is_visible(path: PurePosixPath | str) -> bool:
    """Whether a path is neither hidden nor made by an operating system, a file server or a tool."""
    return not any(is_system(part) or (part.startswith(".") and part not in (".", "..")) for part in str(path).split("/"))


def is_escaping(path: PurePosixPath | str) -> bool:
    """Whether a path leads outside the folder that it is relative to, on any operating system: absolute, `..`, `C:`, with `/` or `\\`."""
    parts = str(path).replace("\\", "/").split("/")
    return not parts[0] or ".." in parts or re.match("[A-Za-z]:", parts[0]) is not None


def normalised(name: str) -> str:
    r"""A name in the form in which names are stored and compared: composed (NFC), with \xe4 for a byte that is not UTF-8."""
    return name if name.isascii() else unicodedata.normalize("NFC", readable(name))


def name_clash(path: str, taken: str) -> LeftOut:
    """A file that is left out because another file has the same normalised name; both names as found."""
    return LeftOut(readable(path), "name_clash", f"has the same name as {taken!a} after Unicode normalisation")
