"""What every reader of a source gives: records of images, and what it leaves out with the reason. Knows no layout."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

LAYOUTS = (
    "class folders (with or without train/, test/, val/ above them), a .zip or .tar.gz of class folders, idx files of the MNIST family"
)


@dataclass(frozen=True)
class Record:
    """One image of a source. `path` is its name there; `read` gives its encoded bytes; `split` is None where the source has none.

    `sha256` is that of what the source holds, where this is not the encoded bytes. `read` may be called in another process; it raises
    SourceError or OSError.
    """

    path: str
    label: str
    split: str | None
    size_bytes: int
    read: Callable[[], bytes]
    sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """What a reader found: the data set's name, its classes in order if they have one, its images, and (path, reason) of what is left out."""

    name: str
    class_names: list[str] | None
    records: Iterable[Record]
    count: int
    rejected: list[tuple[str, str]] = field(default_factory=list)


def source_name(path: Path) -> str:
    """A name for what lies at `path`: the folder's or the archive's, without its ending."""
    name = re.sub(r"\.(zip|tgz|tar(\.\w+)?)$", "", readable(path.name), flags=re.IGNORECASE)
    return re.sub(r"[/:.\s]+", "-", name).strip("-") or "images"


def readable(name: str) -> str:
    """A file's name as text that can be stored: bytes that are not UTF-8 become �."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
