"""What is left over in `.checkpoints`: unfinished fits, copies and answers that nobody has written to for two weeks."""

import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.paths import Paths

KEPT_DAYS = 14.0
PLACES = ("fits", "predictions", "reproduce", "reproduce-kept", "urls", "archives", "predict", "clean")
"""Copies of the source and rows kept by content are not among them: each run uses them, and drops what it does not need."""


def leftovers(paths: Paths, now: float | None = None) -> list[Path]:
    """The files and folders that may go. now: seconds since the epoch."""
    before = (time.time() if now is None else now) - KEPT_DAYS * 86400
    return [entry for entry in _entries(paths.scratch) if _last_written(entry) < before]


def remove(entries: Iterable[Path]) -> None:
    """Remove files, links and folders; a link inside is removed, not followed."""
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; what vanishes meanwhile counts nothing."""
    try:
        if path.is_dir() and not path.is_symlink():
            return sum(size_of(entry) for entry in path.iterdir())
        return path.lstat().st_size
    except OSError:
        return 0


def _entries(scratch: Path) -> Iterator[Path]:
    for place in PLACES:
        folder = scratch / place
        if folder.is_symlink() or not folder.is_dir():
            continue
        if place in ("fits", "predictions"):
            yield from folder.iterdir()
        else:
            yield folder


def _last_written(path: Path) -> float:
    times = [path.lstat().st_mtime]
    if path.is_dir() and not path.is_symlink():
        times += [_last_written(entry) for entry in path.iterdir()]
    return max(times)
