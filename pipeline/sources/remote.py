"""A source at a URL (s3://, gs://, https://, whatever fsspec reads), mirrored into a folder so that the readers find it on the disk.

Only what has changed there is fetched again; a list beside the mirror says what it holds, by size and by ETag, checksum or time stamp. What is
fetched is written beside and renamed, so a fetch that was killed goes on where it was. No message shows a password or a signature of a URL.
"""

import contextlib
import hashlib
import itertools
import json
import os
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

import fsspec

from pipeline.errors import SourceError
from pipeline.files import write_bytes
from pipeline.own_files import remove_matching
from pipeline.progress import Progress
from pipeline.sources.class_folders import is_escaping, is_visible
from pipeline.sources.records import readable

FileSystem: TypeAlias = Any  # fsspec has no types
MARKS = ("ETag", "etag", "Content-MD5", "md5Hash", "content_hash", "Last-Modified", "LastModified", "mtime", "created")
PARTIAL_FILE = re.compile(r"[0-9a-f]{24}")
BLOCK_BYTES = 16 * 2**20
FETCHED_AT_ONCE = 32
OBJECTS_IN_FLIGHT = 256
CONNECT_SECONDS = 30
SILENCE_SECONDS = 60
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
LIBRARIES = {"fsspec", "aiohttp", "s3fs", "botocore", "aiobotocore", "gcsfs", "google", "requests", "urllib3"}
REFUSED = ("NoCredentialsError", "DefaultCredentialsError", "TokenRetrievalError", "RefreshError", "ProfileNotFound")


class Object(NamedTuple):
    """One file at a URL: its path for fsspec, its size in bytes if known, and what changes with its content; nothing where that is not known."""

    path: str
    size_bytes: int | None
    mark: str


def is_url(source: str) -> bool:
    """Whether a source is a URL and not a path on this machine."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) is not None


def local_copy(source: str, folder: Path) -> Path:
    """Where in `folder` the file or the folder at a URL lies, after what has changed there is fetched and what is gone there is removed.

    Raises SourceError for what cannot be reached, may not be read, is not there or has names that would lie elsewhere.
    """
    shown = without_secrets(source)
    with _explaining(shown):
        file_system, root = _connect(source, shown)
        name, objects = _list(file_system, root, shown)
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


def without_secrets(text: str) -> str:
    """A URL, or a text with URLs, as it may be shown: without user, password and query, where signatures stand."""
    return re.sub(r"(\w+://[^\s?#'\"]*)[?#][^\s'\"]*", r"\1", re.sub(r"(\w+://)[^\s/@]*@", r"\1", text))


@dataclass(frozen=True)
class _Mirror:
    """The folder of one URL."""

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
        """(size in bytes, mark) of each file when it was last fetched. The last line is cut off where a fetch was killed."""
        known = {}
        lines = self.list_file.read_text(encoding="utf-8", errors="replace").splitlines() if self.list_file.exists() else []
        for line in lines:
            with contextlib.suppress(ValueError):
                path, size_bytes, mark = json.loads(line)
                known[path] = (size_bytes, mark)
        return known

    def refuse_others(self, own: Collection[str]) -> None:
        """Raise SourceError where a file lies in the mirror that is neither of an earlier fetch nor about to be fetched: it is somebody else's."""
        for folder, _, names in os.walk(self.files):
            for name in names:
                file = Path(folder) / name
                if file.relative_to(self.files).as_posix() not in own and is_visible(name):
                    raise SourceError(
                        f"ingest.source: {readable(str(file))} was not fetched from the URL that this folder mirrors. Move it elsewhere, "
                        f"or delete {self.folder} to have all of it fetched again."
                    )

    def remove(self, gone: Collection[str]) -> None:
        """Remove files that were fetched earlier, and the folders that become empty."""
        for path in gone:
            if not is_escaping(path) and (self.files / path).is_file():
                (self.files / path).unlink()
        for folder, _, _ in os.walk(self.files, topdown=False):
            with contextlib.suppress(OSError):  # it is not empty
                Path(folder).rmdir()

    def start_list(self, known: Mapping[str, tuple[int, str]]) -> None:
        """Make the list anew, with the files that are known, one line each."""
        self.partial.mkdir(parents=True, exist_ok=True)
        write_bytes(self.list_file, "".join(_line(path, *found) for path, found in known.items()).encode())

    def has(self, path: str, found: Object, known: Mapping[str, tuple[int, str]]) -> bool:
        """Whether a file is here as it is there."""
        size_bytes, mark = known.get(path, (None, ""))
        file = self.files / path
        return (
            bool(mark)
            and mark == found.mark
            and found.size_bytes in (None, size_bytes)
            and file.is_file()
            and file.stat().st_size == size_bytes
        )


def _connect(source: str, shown: str) -> tuple[FileSystem, str]:
    """(what reads there, the path for it). Credentials come from where the tools of each store look for them."""
    scheme = _scheme(source)
    options: dict[str, Any] = {}
    if _over_http(source):
        import aiohttp  # 0.15 s, and only here

        options["encoded"] = "%" in source  # a signed URL is sent as it is
        options["headers"] = {"Accept-Encoding": "identity"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True}  # the proxy that curl uses, too
    elif scheme in EXTRAS and "@" in urlsplit(source).netloc:
        raise SourceError(f"ingest.source: {shown} has a password in it. Take it out of the URL, and {_credentials(scheme)}.")
    elif EXTRAS.get(scheme) == "s3":
        options["config_kwargs"] = {"max_pool_connections": FETCHED_AT_ONCE}  # 10 by default
    file_system, root = fsspec.core.url_to_fs(source, skip_instance_cache=True, use_listings_cache=False, **options)
    return file_system, root


def _list(file_system: FileSystem, root: str, shown: str) -> tuple[str, dict[str, Object]]:
    """(the name of what is there, its files by their path in the mirror, which starts with that name)."""
    info = file_system.info(root)
    over_http = _over_http(shown)
    name = _name(unquote(shown) if over_http else root)
    if over_http and (not urlsplit(shown).path.strip("/") or shown.endswith("/") or info.get("mimetype") == "text/html"):
        raise SourceError(
            f"ingest.source: {shown} is a web page, not a file. Over https one file can be fetched: an archive, a table, Parquet or .npz."
        )
    is_file = info["type"] == "file"
    objects = {name: _object(info)} if is_file else dict(_below(name, root, _walk(file_system, root, shown)))
    if not objects:
        raise SourceError(f"ingest.source: there is nothing at {shown}. Check the address: a bucket, and the folder in it.")
    _check_names(objects, shown)
    return name, objects


def _walk(file_system: FileSystem, root: str, shown: str) -> Iterable[dict[str, Any]]:
    """What fsspec says of each file below a folder."""
    if _scheme(shown) in EXTRAS:
        infos: Iterable[dict[str, Any]] = file_system.find(root, detail=True).values()  # walk leaves out names with //
        return infos
    walked = file_system.walk(root, detail=True, on_error="raise")  # by default a folder that may not be read counts as empty
    return (info for _, _, files in walked for info in files.values())


def _below(name: str, root: str, infos: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Object]]:
    """The files of a folder. An object that only marks a folder, as consoles of stores make them, is none."""
    for info in infos:
        relative = info["name"].removeprefix(root).removeprefix("/")
        if relative and not relative.endswith("/"):
            yield f"{name}/{relative}", _object(info)


def _object(info: dict[str, Any]) -> Object:
    return Object(info["name"], info.get("size"), next((f"{key}={info[key]}" for key in MARKS if info.get(key)), ""))


def _check_names(objects: dict[str, Object], shown: str) -> None:
    """Raise SourceError for names of objects that are no paths below a folder, or that need a file and a folder of one name."""
    for path in objects:
        if is_escaping(path) or posixpath.normpath(path) != path or "\0" in path:
            raise SourceError(f"ingest.source: {shown}: the name {path!r} would lie elsewhere on the disk. Rename or remove it there.")
    folders = {posixpath.dirname(path) for path in objects}
    folders |= {str(parent) for folder in folders for parent in PurePosixPath(folder).parents}
    if clashes := sorted(folders & objects.keys()):
        raise SourceError(f"ingest.source: {shown}: {clashes[0]!r} is a file and a folder at once. Rename or remove one of them there.")


def _fetch_all(file_system: FileSystem, objects: dict[str, Object], mirror: _Mirror, shown: str) -> Iterator[tuple[str, int]]:
    """(path in the mirror, size in bytes) of each object once it is there: small ones several at a time, large ones block by block."""
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
    """What comes of each path, some at a time, in their order."""
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
    """One object to be fetched."""

    file_system: FileSystem
    found: Object
    shown: str

    def blocks(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """(where it belongs, content) of the blocks from `offset` on, or from 0 where the server knows no parts."""
        if _over_http(self.shown):
            yield from self._streamed(offset)
            return
        for first in range(offset, self.found.size_bytes or 0, BLOCK_BYTES):
            last = min(first + BLOCK_BYTES, self.found.size_bytes or 0)
            with _explaining(self.shown):
                content = self.file_system.cat_file(self.found.path, start=first, end=last)
            yield first, content

    def _streamed(self, offset: int) -> Iterator[tuple[int, bytes]]:
        options: dict[str, Any] = {"block_size": 0, "size": self.found.size_bytes}
        if offset:
            options["headers"] = {**self.file_system.kwargs["headers"], "Range": f"bytes={offset}-"}
        with _explaining(self.shown), self.file_system.open(self.found.path, "rb", **options) as file:
            file.r.raise_for_status()
            first = offset if file.r.status == 206 else 0
            while content := file.read(BLOCK_BYTES):
                yield first, content
                first += len(content)

    def is_unchanged(self) -> bool:
        """Whether it is there as it was when it was listed."""
        with _explaining(self.shown):
            return _object(self.file_system.info(self.found.path))[1:] == self.found[1:]


def _fetch(download: _Download, mirror: _Mirror, path: str, report: Callable[[int], None]) -> int:
    """Fetch one object into the mirror; returns its size in bytes. Goes on with what an earlier fetch of the same content left behind."""
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
            file.flush()  # a fetch that is killed keeps what it has
            report(len(content))
        size_bytes = file.seek(0, os.SEEK_END)
    in_parts = offset > 0 or size_bytes > BLOCK_BYTES
    if found.size_bytes not in (None, size_bytes) or (in_parts and not download.is_unchanged()):
        partial.unlink()
        raise SourceError(f"ingest.source: {download.shown}: {path} changed while it was fetched. Run the same command again.")
    target = mirror.files / path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    return size_bytes


@contextlib.contextmanager
def _explaining(shown: str) -> Iterator[None]:
    """Turns what goes wrong on the way to a URL into one line that says what to do."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        if (
            not isinstance(error, OSError | ImportError | ValueError | TimeoutError)
            and type(error).__module__.split(".")[0] not in LIBRARIES
        ):
            raise
        hidden = error.__cause__ if _over_http(shown) else None  # there fsspec says of whatever went wrong that the file was not found
        raise SourceError(f"ingest.source: {_explain(hidden or error, shown)}") from None


def _explain(error: BaseException, shown: str) -> str:
    scheme, status = _scheme(shown), getattr(error, "status", None)
    if isinstance(error, ImportError):
        advice = f"pip install 'image-classifier-pipeline[{EXTRAS[scheme]}]'" if scheme in EXTRAS else str(error)
        return f"{scheme}:// needs a package that is not installed. Install it: {advice}."
    if isinstance(error, ValueError) and scheme not in fsspec.available_protocols():
        return f"{scheme}:// is not known. Expected a path, s3://, gs://, https:// or what else fsspec reads."
    if isinstance(error, PermissionError) or type(error).__name__ in REFUSED or status in (401, 403):
        return f"{shown} may not be read. Check the address, and {_credentials(scheme)}."
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return f"there is nothing at {shown}. Check the address."
    reason = f"status {status}" if status else without_secrets((str(error).splitlines() or [""])[0]) or type(error).__name__
    return f"{shown} cannot be fetched: {reason}. Check address and network, and run the same command again: it goes on where it was."


def _credentials(scheme: str) -> str:
    if scheme in ("s3", "s3a"):
        return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to one that may list and read it"
    if scheme in ("gs", "gcs"):
        return "set GOOGLE_APPLICATION_CREDENTIALS to the file of an account that may list and read it"
    return "give yourself the right to read it"


def _scheme(url: str) -> str:
    return url.split("://")[0].lower()


def _over_http(url: str) -> bool:
    return _scheme(url) in ("http", "https")


def _name(path: str) -> str:
    """The last part of a path, which the data set is called after."""
    return posixpath.basename(path.rstrip("/")) or "images"


def _line(path: str, size_bytes: int, mark: str) -> str:
    return json.dumps([path, size_bytes, mark], ensure_ascii=False) + "\n"
