"""The files at a URL (s3://, gs://, https://, any other protocol of fsspec): their sizes and versions, and why they cannot be read.

No message shows a password or a signature of a URL.
"""

import contextlib
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

import fsspec

from pipeline.errors import SourceError, UnreachableSourceError
from pipeline.listing.names import is_escaping

FileSystem: TypeAlias = Any  # fsspec has no types
MARKS = ("ETag", "etag", "Content-MD5", "md5Hash", "content_hash", "Last-Modified", "LastModified", "mtime", "created")
CONNECT_SECONDS = 30
CANNOT_BE_FETCHED = "cannot be fetched"
SILENCE_SECONDS = 60
FETCHED_AT_ONCE = 32
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
LIBRARIES = {"fsspec", "aiohttp", "s3fs", "botocore", "aiobotocore", "gcsfs", "google", "requests", "urllib3"}
REFUSED = ("NoCredentialsError", "DefaultCredentialsError", "TokenRetrievalError", "RefreshError", "ProfileNotFound")


class Object(NamedTuple):
    """One file at a URL: its path for fsspec, its size in bytes if known, and a mark that changes with its content, empty if unknown."""

    path: str
    size_bytes: int | None
    mark: str


def without_secrets(text: str) -> str:
    """A text with its URLs as they may be shown: without user, password and query, which can contain signatures."""
    return re.sub(r"(\w+://[^\s?#'\"]*)[?#][^\s'\"]*", r"\1", re.sub(r"(\w+://)[^\s/@]*@", r"\1", text))


def connect(source: str, shown: str, seconds: float | None = None) -> tuple[FileSystem, str]:
    """(file system, path in it). Credentials come from the usual places of each store. seconds: the most that an answer over http may take."""
    scheme = _scheme(source)
    options: dict[str, Any] = {}
    if over_http(source):
        import aiohttp  # 0.15 s, and only here

        options["encoded"] = "%" in source  # a signed URL is sent as it is
        options["headers"] = {"Accept-Encoding": "identity"}
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True}  # use the same proxy as curl
    elif scheme in EXTRAS and "@" in urlsplit(source).netloc:
        raise SourceError(f"ingest.source: {shown} has a password in it. Remove it from the URL, and {_credentials(scheme)}.")
    elif EXTRAS.get(scheme) == "s3":
        options["config_kwargs"] = {"max_pool_connections": FETCHED_AT_ONCE}  # 10 by default
    file_system, root = fsspec.core.url_to_fs(source, skip_instance_cache=True, use_listings_cache=False, **options)
    return file_system, root


def list_objects(file_system: FileSystem, root: str, shown: str) -> tuple[str, dict[str, Object]]:
    """(name of the file or folder, its files by their path in the mirror, which starts with that name)."""
    info = file_system.info(root)
    is_http = over_http(shown)
    name = _name(unquote(shown) if is_http else root)
    if is_http and (not urlsplit(shown).path.strip("/") or shown.endswith("/") or info.get("mimetype") == "text/html"):
        raise SourceError(
            f"ingest.source: {shown} is a web page, not a file. Over https one file can be fetched: an archive, a table, Parquet or .npz."
        )
    is_file = info["type"] == "file"
    objects = {name: describe(info)} if is_file else dict(_below(name, root, _walk(file_system, root, shown)))
    if not objects:
        raise SourceError(f"ingest.source: nothing found at {shown}. Check the address: a bucket, and the folder in it.")
    _check_names(objects, shown)
    return name, objects


def describe(info: dict[str, Any]) -> Object:
    """One file, from fsspec's description."""
    return Object(info["name"], info.get("size"), next((f"{key}={info[key]}" for key in MARKS if info.get(key)), ""))


def over_http(url: str) -> bool:
    """Whether a URL is http:// or https://."""
    return _scheme(url) in ("http", "https")


@contextlib.contextmanager
def explaining(shown: str) -> Iterator[None]:
    """Turns any error in reading a URL into a one-line SourceError that says what to do."""
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
        hidden = error.__cause__ if over_http(shown) else None  # over HTTP, fsspec reports any error as a missing file
        told = f"ingest.source: {_explain(hidden or error, shown)}"
        refused = 400 <= (getattr(hidden or error, "status", None) or 500) < 500
        raise (UnreachableSourceError if CANNOT_BE_FETCHED in told and not refused else SourceError)(told) from None


def _explain(error: BaseException, shown: str) -> str:
    scheme, status = _scheme(shown), getattr(error, "status", None)
    if isinstance(error, ImportError):
        advice = f"pip install 'image-classifier-pipeline[{EXTRAS[scheme]}]'" if scheme in EXTRAS else str(error)
        return f"{scheme}:// needs a package that is not installed. Install it: {advice}."
    if isinstance(error, ValueError) and scheme not in fsspec.available_protocols():
        return f"{scheme}:// is not supported. Expected a path, s3://, gs://, https:// or another protocol that fsspec reads."
    if isinstance(error, PermissionError) or type(error).__name__ in REFUSED or status in (401, 403):
        return f"{shown} cannot be read: access denied. Check the address, and {_credentials(scheme)}."
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return f"nothing found at {shown}. Check the address."
    reason = f"status {status}" if status else without_secrets((str(error).splitlines() or [""])[0]) or type(error).__name__
    return f"{shown} {CANNOT_BE_FETCHED}: {reason}. Check address and network, and run the same command again: it resumes where it stopped."


def _credentials(scheme: str) -> str:
    if scheme in ("s3", "s3a"):
        return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to credentials that can list and read it"
    if scheme in ("gs", "gcs"):
        return "set GOOGLE_APPLICATION_CREDENTIALS to the key file of an account that can list and read it"
    return "give yourself read access"


def _walk(file_system: FileSystem, root: str, shown: str) -> Iterable[dict[str, Any]]:
    """fsspec's description of each file below a folder."""
    if _scheme(shown) in EXTRAS:
        infos: Iterable[dict[str, Any]] = file_system.find(root, detail=True).values()  # walk leaves out names with //
        return infos
    walked = file_system.walk(root, detail=True, on_error="raise")  # by default, unreadable folders count as empty
    return (info for _, _, files in walked for info in files.values())


def _below(name: str, root: str, infos: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Object]]:
    """The files of a folder, without the empty objects that consoles of stores create to mark folders."""
    for info in infos:
        relative = info["name"].removeprefix(root).removeprefix("/")
        if relative and not relative.endswith("/"):
            yield f"{name}/{relative}", describe(info)


def _check_names(objects: dict[str, Object], shown: str) -> None:
    """Raise SourceError for names that lead outside the folder, and for a file and a folder of the same name."""
    for path in objects:
        if is_escaping(path) or posixpath.normpath(path) != path or "\0" in path:
            raise SourceError(
                f"ingest.source: {shown}: the name {path!r} would be stored outside its folder. Rename or remove the file there."
            )
    folders = {posixpath.dirname(path) for path in objects}
    folders |= {str(parent) for folder in folders for parent in PurePosixPath(folder).parents}
    if clashes := sorted(folders & objects.keys()):
        raise SourceError(f"ingest.source: {shown}: {clashes[0]!r} is both a file and a folder. Rename or remove one of them there.")


def _scheme(url: str) -> str:
    return url.split("://")[0].lower()


def _name(path: str) -> str:
    """The last part of a path, which becomes the name of the data set."""
    return posixpath.basename(path.rstrip("/")) or "images"
