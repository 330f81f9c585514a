"""Copies of what is in archives, as files on disk: unpacked archives, and members that must be files. They are kept between runs.

A copy is named after its origin and the origin's version, so that a changed archive is read anew; copies of older versions are removed.
"""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from filelock import BaseFileLock, FileLock

LONGEST_NAME_BYTES = 200


def copies_name(origin: Path, archives: Iterable[Path]) -> str:
    """The name for copies from these archives of a source: the same as long as their paths, sizes and times are."""
    states = [(archive, archive.stat()) for archive in archives]
    version = "".join(f"{archive}\0{status.st_size}\0{status.st_mtime_ns}\0" for archive, status in states)
    return f"{_digest(str(origin.absolute()))}-{_digest(version)}"


def copy_of_member(scratch: Path, name: str, path: str) -> Path:
    """Where the copy of a member is, by its path in the source; members of one folder lie beside each other, however deep that is."""
    folder, _, file_name = path.rpartition("/")
    if len(file_name.encode()) > LONGEST_NAME_BYTES:
        file_name = _digest(file_name) + Path(file_name).suffix[: LONGEST_NAME_BYTES // 5]
    return scratch / name / _digest(folder) / file_name


def only_writer(scratch: Path, name: str) -> BaseFileLock:
    """A lock to hold while copies of a name are made. Those of older versions are removed before."""
    scratch.mkdir(parents=True, exist_ok=True)
    for older in [found for found in scratch.glob(f"{name.partition('-')[0]}-*") if found.name.partition(".")[0] != name]:
        if older.is_dir():
            shutil.rmtree(older, ignore_errors=True)
        else:
            older.unlink(missing_ok=True)
    return FileLock(scratch / f"{name}.lock")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
