"""Whether a source changes: while it is read, or behind links to folders, where DVC does not look.

What they were at the last `ingest` is kept beside the caches: names, sizes and times, as one digest.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.files import write_bytes

RECORD = "linked_folders"


def record_linked_folders(source: Path, scratch: Path) -> None:
    """Keep the state of the files behind links to folders in a source; nothing if there are none."""
    state = _state(source)
    if state:
        write_bytes(scratch / RECORD, f"{source}\n{state}\n".encode("utf-8", "surrogateescape"))
    else:
        (scratch / RECORD).unlink(missing_ok=True)


def have_linked_folders_changed(source: Path, scratch: Path) -> bool:
    """Whether a source has links to folders whose files are not as they were recorded."""
    state = _state(source)
    if not state:
        return False
    record = scratch / RECORD
    return not record.is_file() or record.read_bytes() != f"{source}\n{state}\n".encode("utf-8", "surrogateescape")


def _state(source: Path) -> str:
    """A digest of the files behind links; empty if no link leads to a folder."""
    if not source.is_dir():
        return ""
    digest, found = hashlib.sha256(), False
    for line in _files_behind_links(str(source), is_behind=False, above=frozenset()):
        digest.update(line.encode("utf-8", "surrogateescape") + b"\0")
        found = True
    return digest.hexdigest() if found else ""


def state_of(source: Path) -> str:
    """A digest of names, sizes and times of all files of a source: whether it changes while it is read."""
    digest = hashlib.sha256()
    if not source.is_dir():
        status = source.stat()
        return f"{status.st_size} {status.st_mtime_ns}"
    waiting, seen = [str(source)], set()
    while waiting:
        folder = waiting.pop()
        files = []
        try:
            status = os.stat(folder)  # noqa: PTH116
            if (status.st_dev, status.st_ino) in seen:  # a circle of links
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir():
                        waiting.append(entry.path)
                    else:
                        found = entry.stat(follow_symlinks=False)
                        files.append((entry.name, found.st_size, found.st_mtime_ns))
        except OSError:
            files.append((folder, 0, 0))  # gone: `ingest` names it
        files.sort()
        waiting.sort()
        digest.update(repr((folder, files)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files_behind_links(folder: str, *, is_behind: bool, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """Name, size and time of each file behind a link to a folder, and the name of each such link."""
    try:
        status = os.stat(folder)  # noqa: PTH116
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    around = above | {(status.st_dev, status.st_ino)}
    for entry in entries:
        try:
            if entry.is_dir():
                target = entry.stat()
                if (target.st_dev, target.st_ino) in around:
                    continue
                is_link = entry.is_symlink()
                if is_link:
                    yield entry.path
                yield from _files_behind_links(entry.path, is_behind=is_behind or is_link, above=around)
            elif is_behind:
                file = entry.stat()
                yield f"{entry.path}\0{file.st_size}\0{file.st_mtime_ns}"
        except OSError:
            continue  # gone, or a link that leads nowhere: `ingest` names it
