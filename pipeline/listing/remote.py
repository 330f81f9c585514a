"""A source at a URL, mirrored into a folder so that the readers find it on disk.

Only what has changed is fetched again: a list beside the mirror records its files with size and ETag, checksum or time stamp. Files are
downloaded beside and renamed, so that an interrupted fetch resumes where it stopped.
"""

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import SourceError
from pipeline.files import write_bytes
from pipeline.listing.names import is_escaping, is_visible
from pipeline.listing.records import readable
from pipeline.listing.stores import (
    FETCHED_AT_ONCE,
    FileSystem,
    Object,
    connect,
    describe,
    explaining,
    list_objects,
    over_http,
    without_secrets,
)
from pipeline.own_files import remove_matching
from pipeline.progress import Progress

PARTIAL_FILE = re.compile(r"[0-9a-f]{24}")
BLOCK_BYTES = 16 * 2**20
OBJECTS_IN_FLIGHT = 256
SECONDS_TO_ASK = 10


def is_url(source: str) -> bool:
    """Whether a source is a URL and not a local path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) is not None


def local_copy(source: str, folder: Path) -> Path:
    """The local path in `folder` of the file or folder at a URL, after fetching what has changed and removing what was deleted there.

    Raises SourceError if it cannot be reached or read, does not exist, or has names that would be stored outside its folder.
    """
    shown = without_secrets(source)
    with explaining(shown):
        file_system, root = connect(source, shown)
        name, objects = list_objects(file_system, root, shown)
    mirror = _Mirror(folder / hashlib.sha256(shown.rstrip("/").encode()).hexdigest()[:12])
    fetched = mirror.read_known()
    mirror.refuse_others(fetched.keys() | objects.keys())
    known = {path: found for path, found in fetched.items() if path in objects}
    mirror.remove(fetched.keys() - known.keys())
    mirror.start_list(known)
    changed = {path: found for path, found in objects.items() if not mirror.has(path, found, known)}
    with mirror.list_file.open("a", encoding="utf-8") as list_file:
        for path, size_bytes in _fetch_all(file_system, changed, mirror, shown):
            list_file.write(_line(path, size_bytes, objects[path].mark))
            list_file.flush()
    remove_matching(mirror.partial, PARTIAL_FILE)
    return mirror.files / name


def ask(source: str, folder: Path) -> str:
    """What a server says of the file at an http address, compared with what was fetched into `folder`; nothing of it is fetched.

    Raises SourceError if there is no server, or no such file. A server that does not answer in time may only be slow.
    """
    shown = without_secrets(source)
    try:
        with explaining(shown):
            name, objects = list_objects(*connect(source, shown, SECONDS_TO_ASK), shown)
    except SourceError as error:
        reason = error.__context__
        if isinstance(reason and (reason.__cause__ or reason), TimeoutError | asyncio.TimeoutError):
            return f"no answer within {SECONDS_TO_ASK} s"
        raise
    size_bytes, mirror = objects[name].size_bytes, _Mirror(folder / hashlib.sha256(shown.rstrip("/").encode()).hexdigest()[:12])
    size = "" if size_bytes is None else f", {size_bytes / 2**20:,.1f} MiB"
    known = mirror.read_known()
    if name not in known:
        return f"the server has it{size}"
    return f"{'as it was fetched before' if mirror.has(name, objects[name], known) else 'changed since it was fetched'}{size}"


@dataclass(frozen=True)
class _Mirror:
    """The local folder of one URL."""

    folder: Path

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def partial(self) -> Path:
        return self.folder / "partial"

    @property
    def list_file(self) -> Path:
        return self.folder / "list.jsonl"

    def read_known(self) -> dict[str, tuple[int, str]]:
        """(size in bytes, mark) of each file when it was last fetched. A killed fetch can leave the last line incomplete."""
        known = {}
        lines = self.list_file.read_text(encoding="utf-8", errors="replace").splitlines() if self.list_file.exists() else []
        for line in lines:
            with contextlib.suppress(ValueError):
                path, size_bytes, mark = json.loads(line)
                known[path] = (size_bytes, mark)
        return known

    def refuse_others(self, own: Collection[str]) -> None:
        """Raise SourceError if the mirror contains a file that was not fetched and will not be: it is the user's."""
        for folder, _, names in os.walk(self.files):
            for name in names:
                file = Path(folder) / name
                if file.relative_to(self.files).as_posix() not in own and is_visible(name):
                    raise SourceError(
                        f"ingest.source: {readable(str(file))} was not fetched from the URL that this folder mirrors. Move it elsewhere, "
                        f"or delete {self.folder} to have all of it fetched again."
                    )

    def remove(self, gone: Collection[str]) -> None:
        """Remove files that were fetched earlier, and folders that become empty."""
        for path in gone:
            if not is_escaping(path) and (self.files / path).is_file():
                (self.files / path).unlink()
        for folder, _, _ in os.walk(self.files, topdown=False):
            with contextlib.suppress(OSError):  # it is not empty
                Path(folder).rmdir()

    def start_list(self, known: Mapping[str, tuple[int, str]]) -> None:
        """Rewrite the list with the known files, one per line."""
        self.partial.mkdir(parents=True, exist_ok=True)
        write_bytes(self.list_file, "".join(_line(path, *found) for path, found in known.items()).encode())

    def has(self, path: str, found: Object, known: Mapping[str, tuple[int, str]]) -> bool:
        """Whether the local copy of a file is up to date."""
        size_bytes, mark = known.get(path, (None, ""))
        file = self.files / path
        return (
            bool(mark)
            and mark == found.mark
            and found.size_bytes in (None, size_bytes)
            and file.is_file()
            and file.stat().st_size == size_bytes
        )


def _fetch_all(file_system: FileSystem, objects: dict[str, Object], mirror: _Mirror, shown: str) -> Iterator[tuple[str, int]]:
    """(path in the mirror, size in bytes) of each object once it is fetched: small ones several at a time, large ones block by block."""
    small = {path: found for path, found in objects.items() if found.size_bytes is not None and found.size_bytes <= BLOCK_BYTES}
    total = sum(found.size_bytes or 0 for found in objects.values())
    done = 0
    with Progress("fetch", total // 2**20, "MB") as progress:

        def count(size_bytes: int) -> None:
            nonlocal done
            progress.advance((done + size_bytes) // 2**20 - done // 2**20)
            done += size_bytes

        def fetch(path: str, report: Callable[[int], None]) -> tuple[str, int]:
            return path, _fetch(_Download(file_system, objects[path], shown), mirror, path, report)

        for path, size_bytes in _at_once(lambda path: fetch(path, lambda _: None), small):
            count(size_bytes)
            yield path, size_bytes
        yield from (fetch(path, count) for path in objects if path not in small)


def _at_once(fetch: Callable[[str], tuple[str, int]], paths: Iterable[str]) -> Iterator[tuple[str, int]]:
    """The result for each path, some at a time, in order."""
    waiting = iter(paths)
    with ThreadPoolExecutor(FETCHED_AT_ONCE) as pool:
        while wave := list(itertools.islice(waiting, OBJECTS_IN_FLIGHT)):
            futures = [pool.submit(fetch, path) for path in wave]
            try:
                yield from (future.result() for future in futures)
            finally:
                for future in futures:
                    future.cancel()


@dataclass(frozen=True)
class _Download:
    """The download of one object."""

    file_system: FileSystem
    found: Object
    shown: str

    def blocks(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """(position, content) of the blocks from `offset` on, or from 0 if the server does not support ranges."""
        if over_http(self.shown):
            yield from self._streamed(offset)
            return
        for first in range(offset, self.found.size_bytes or 0, BLOCK_BYTES):
            last = min(first + BLOCK_BYTES, self.found.size_bytes or 0)
            with explaining(self.shown):
                content = self.file_system.cat_file(self.found.path, start=first, end=last)
            yield first, content

    def _streamed(self, offset: int) -> Iterator[tuple[int, bytes]]:
        options: dict[str, Any] = {"block_size": 0, "size": self.found.size_bytes}
        if offset:
            options["headers"] = {**self.file_system.kwargs["headers"], "Range": f"bytes={offset}-"}
        with explaining(self.shown), self.file_system.open(self.found.path, "rb", **options) as file:
            file.r.raise_for_status()
            first = offset if file.r.status == 206 else 0
            while content := file.read(BLOCK_BYTES):
                yield first, content
                first += len(content)

    def is_unchanged(self) -> bool:
        """Whether the object is still as it was when it was listed."""
        with explaining(self.shown):
            return describe(self.file_system.info(self.found.path))[1:] == self.found[1:]


def _fetch(download: _Download, mirror: _Mirror, path: str, report: Callable[[int], None]) -> int:
    """Fetch one object into the mirror and return its size in bytes. Resumes an earlier fetch of the same content."""
    found = download.found
    partial = mirror.partial / hashlib.sha256(f"{path}\n{found.mark}".encode()).hexdigest()[:24]
    if not found.mark or not partial.exists() or partial.stat().st_size > (found.size_bytes or 0):
        partial.write_bytes(b"")
    with partial.open("r+b") as file:
        offset = partial.stat().st_size
        report(offset)
        for first, content in download.blocks(offset) if offset < (found.size_bytes or 1) else ():
            if first == 0:
                file.truncate(0)
            file.seek(first)
            file.write(content)
            file.flush()  # so that a killed fetch can be resumed
            report(len(content))
        size_bytes = file.seek(0, os.SEEK_END)
    in_parts = offset > 0 or size_bytes > BLOCK_BYTES
    if found.size_bytes not in (None, size_bytes) or (in_parts and not download.is_unchanged()):
        partial.unlink()
        raise SourceError(f"ingest.source: {download.shown}: {path} changed during the download. Run the same command again.")
    target = mirror.files / path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    return size_bytes


def _line(path: str, size_bytes: int, mark: str) -> str:
    return json.dumps([path, size_bytes, mark], ensure_ascii=False) + "\n"
