"""Which files a source had when `ingest` last read it, by names, sizes and times; and which of them differ now.

Kept beside the caches, so it says nothing on another machine. No file of the source is opened.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import StorageError
from pipeline.files import write_bytes
from pipeline.paths import Paths
from pipeline.tracking.provenance import stages_of

RECORD = "source_files.json.gz"
Files = Mapping[str, tuple[int, int]]
"""Size and time of last change, in nanoseconds, by path below the source."""


@dataclass(frozen=True)
class SourceRecord:
    """What a source was when it was last read: where it is, its digest in dvc.lock, when that was, and its files."""

    source: str
    digest: str
    read_at: datetime
    files: Files


@dataclass(frozen=True)
class Changed:
    """Files that are new, gone, or of another size or time."""

    new: list[str]
    gone: list[str]
    replaced: list[str]

    def __len__(self) -> int:
        return len(self.new) + len(self.gone) + len(self.replaced)


def list_files(source: Path) -> Files | None:
    """The files of a folder, also those behind links, or the one file that it is; None if it is not there, or a part of it cannot be listed."""
    found: dict[str, tuple[int, int]] = {}
    waiting, seen = [(str(source), "")], set()
    try:
        if source.is_file():
            return {source.name: _as_it_is(source.stat())}
        while waiting:
            folder, prefix = waiting.pop()
            status = os.stat(folder)  # noqa: PTH116 - once per folder
            if (status.st_dev, status.st_ino) in seen:  # a circle of links
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir():
                        waiting.append((entry.path, f"{prefix}{entry.name}/"))
                    else:
                        found[prefix + entry.name] = _as_it_is(entry.stat())
    except OSError:
        return None
    return found


def _as_it_is(file: os.stat_result) -> tuple[int, int]:
    return file.st_size, file.st_mtime_ns


def state_in(files: Files) -> str:
    """A digest of names, sizes and times."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{files[path]}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def read_record(scratch: Path) -> SourceRecord | None:
    """What was recorded; None if nothing was, or it cannot be read."""
    try:
        values = json.loads(gzip.decompress((scratch / RECORD).read_bytes()))
        files = {path: (size, time) for path, (size, time) in values["files"].items()}
        return SourceRecord(values["source"], values["digest"], datetime.fromisoformat(values["read_at"]), files)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_record(paths: Paths, source: Path, files: Files | None, *, was_read: bool, now: datetime | None = None) -> None:
    """Record the files that `ingest` has read, as they were before it started. was_read: False if DVC found them unchanged: the date stays."""
    before, digest = read_record(paths.scratch), digest_in_lock(paths, source)
    if files is None or not digest:
        (paths.scratch / RECORD).unlink(missing_ok=True)
        return
    read_at = now or datetime.now(UTC)
    if before and not was_read and (before.source, before.digest) == (str(source), digest):
        if before.files == files:
            return
        read_at = before.read_at
    values = {"source": str(source), "digest": digest, "read_at": read_at.isoformat(timespec="seconds"), "files": files}
    write_bytes(paths.scratch / RECORD, gzip.compress(json.dumps(values).encode(), compresslevel=3, mtime=0))


def digest_in_lock(paths: Paths, source: Path) -> str:
    """What dvc.lock has as the digest of the source at the last `ingest`; empty if it has none."""
    try:
        deps = stages_of(paths.dvc_lock).get("ingest", {}).get("deps", [])
        return next((str(dep.get("md5", "")) for dep in deps if (paths.root / str(dep["path"])).absolute() == source), "")
    except (StorageError, KeyError, TypeError, AttributeError):
        return ""


def compare(before: Files, now: Files) -> Changed:
    """The files that differ, each list sorted."""
    return Changed(
        sorted(now.keys() - before.keys()),
        sorted(before.keys() - now.keys()),
        sorted(path for path in before.keys() & now.keys() if before[path] != now[path]),
    )
