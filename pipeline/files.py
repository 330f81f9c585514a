"""Files are written atomically: to a temporary name beside them, flushed to disk, then renamed."""

import contextlib
import errno
import hashlib
import itertools
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import StorageError

CANNOT_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)

_AGAIN = "Delete it, and `dvc repro` creates it again."


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A path to write a file to, which replaces `path` on success and is removed on failure.

    Raises StorageError if the file cannot be written.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        sync(beside)
        beside.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # when the disk is full, not every library names the file
        if error.errno in CANNOT_WRITE:
            look = f"`ls -ld {shlex.quote(str(path.parent))}`"
            raise StorageError(
                f"{error.filename} cannot be written: {error.strerror}. Make sure that its folder is writable: {look}."
            ) from None
        raise
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file's content to disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `path` on success and is removed on failure. Neither `path` nor `.NAME.partial` may exist."""
    beside = path.with_name(f".{path.name}.partial")
    beside.mkdir(parents=True)
    try:
        yield beside
        beside.rename(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with written_beside(path) as beside:
        beside.write_bytes(content)


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write readable JSON, with keys in the given order."""
    write_bytes(path, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file that a stage wrote. Raises StorageError if it is missing or invalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StorageError(f"{path} is not there. `dvc repro` runs the stage that makes it, and this one after it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}. {_AGAIN}") from None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} is not what the stage wrote: {error}. {_AGAIN}") from None
    if not isinstance(values, dict):
        raise StorageError(f"{path} is not what the stage wrote: it holds {type(values).__name__}. {_AGAIN}")
    return values


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file; the same table gives the same bytes."""
    with written_beside(path) as beside:
        pq.write_table(table, beside, compression="zstd")


def write_table_in_parts(path: Path, parts: Iterator[pa.Table]) -> None:
    """Write a Parquet file of one or more tables, holding one at a time."""
    first = next(parts)
    with written_beside(path) as beside, pq.ParquetWriter(beside, first.schema, compression="zstd") as writer:
        for part in itertools.chain([first], parts):
            writer.write_table(part)


def sha256_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
