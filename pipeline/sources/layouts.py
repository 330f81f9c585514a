"""A source of images in any supported layout, which is detected from its content. Sources are never written to.

The readers are in the other modules of this room. They yield records; the bytes of a file are read later, when needed.
"""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.containers.idx import find_idx_folder, is_idx_name, open_idx
from pipeline.containers.image_parquet import find_image_parquet, has_images, open_image_parquet
from pipeline.containers.npz import open_npz
from pipeline.errors import SourceError
from pipeline.listing.names import is_visible
from pipeline.listing.records import LeftOut, Source, readable, source_name
from pipeline.sources.archives import is_zip, open_zip
from pipeline.sources.class_folders import open_folder
from pipeline.sources.folder_layout import NAMED_IN_ERROR, NoClassFolders
from pipeline.sources.table_rows import TABLE_SUFFIXES
from pipeline.sources.tables import find_tables, labels_are_folders, open_tables, reason_of
from pipeline.sources.tar_archives import is_tar, open_tar

__all__ = ["FORMATS", "LAYOUTS", "open_source", "source_name"]

FORMATS = ("auto", "folders", "table", "parquet", "idx", "npz")
LAYOUTS = (
    "class folders (with or without train/, test/, val/ above them), also in a .zip or .tar archive; "
    "a table (.csv, .tsv, .jsonl, .parquet) of paths and labels; Parquet files with images; .npz arrays; idx files of the MNIST family"
)
ARCHIVE = re.compile(r"\.(zip|tgz|tbz2?|txz|tzst|tar(\.\w+)?)$", re.IGNORECASE)
EXPECTED = {
    "folders": "a folder of class folders, or a .zip or .tar archive of them",
    "table": f"a table of paths and labels ({', '.join(TABLE_SUFFIXES)}), or a folder with one",
    "parquet": "Parquet files with a column of images, or a folder of them",
    "idx": "idx files of images and labels, such as train-images-idx3-ubyte",
    "npz": "a .npz file, or a folder with one",
}


def open_source(path: Path, layout: str = "auto") -> Source:
    """The images at `path`, in one of FORMATS. Raises SourceError if there are none, only one class, or another layout."""
    if not path.exists():
        raise SourceError(f"ingest.source: {path} does not exist. Set it in params.yaml to a folder, a file or a URL.")
    try:
        if path.is_dir():
            return _open_any_folder(path) if layout == "auto" else _open_folder_as(path, layout)
        if path.is_file():
            return _open_file(path, layout)
    except PermissionError as error:
        raise SourceError(
            f"ingest.source: {error.filename or path} cannot be read: permission denied. Give yourself read access."
        ) from None
    raise SourceError(f"ingest.source: {path} is neither a folder nor a regular file.")


def _open_file(path: Path, layout: str) -> Source:
    found = _layout_of_file(path)
    if found is None or layout not in ("auto", found):
        wanted = LAYOUTS if layout == "auto" else f"{EXPECTED[layout]}, since ingest.format is {layout}"
        shown = "a file of an unknown format" if found is None else EXPECTED[found]
        raise SourceError(f"ingest.source: {path}: expected {wanted}. Found: {shown}.")
    match found:
        case "npz":
            return open_npz(path, path)
        case "parquet":
            return open_image_parquet(path.parent, [path], path)
        case "table":
            return open_tables(path.parent, [path], path)
        case "idx":
            return open_idx(path.parent, path.parent)
    return open_zip(path) if is_zip(path) else open_tar(path)


def _layout_of_file(path: Path) -> str | None:
    """The format of a file, one of FORMATS: by its name, then by its content. Archives contain class folders."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return "npz"
    if suffix in TABLE_SUFFIXES:
        return "parquet" if suffix == ".parquet" and has_images(path) else "table"
    if is_idx_name(path.name):
        return "idx"
    return "folders" if is_zip(path) or is_tar(path) else None


def _open_any_folder(path: Path) -> Source:
    """The images of a folder in any layout. If there are both class folders and a table, the table counts if its labels differ from the folders.

    Otherwise, or if it cannot be read, it is reported as left out.
    """
    if idx_folder := find_idx_folder(path):
        return open_idx(idx_folder, path)
    if files := find_image_parquet(path):
        return open_image_parquet(path, files, path)
    tables, reasons = find_tables(path)
    try:
        folders = open_folder(path)
    except SourceError as error:
        if tables:
            return open_tables(path, tables, path, of_whole_folder=True)
        if not isinstance(error, NoClassFolders):
            raise _with_reasons(error, path, reasons) from None
        if file := _only_npz(path):
            return open_npz(file, path)
        raise _mismatch(path, f"no images in a supported layout. Looked for: {LAYOUTS}", error.found, reasons) from None
    why_folders = _why_folders(path, tables) if tables else ""
    if tables and not why_folders:
        return open_tables(path, tables, path, of_whole_folder=True)
    folders.left_out.extend(_unread(path, reasons | dict.fromkeys(tables, why_folders)))
    return folders


def _why_folders(path: Path, tables: list[Path]) -> str:
    """Why class folders count and not the tables beside them: the tables are invalid, or repeat the folders. Empty if the tables count."""
    try:
        return "its labels match the folders" if labels_are_folders(path, tables) else ""
    except SourceError as error:
        return reason_of(error, path)


def _unread(path: Path, reasons: Mapping[Path, str]) -> list[LeftOut]:
    """Tables that were not used, reported so that nobody mistakes the folder names for the table's labels."""
    return [
        LeftOut(
            readable(file.relative_to(path).as_posix()), "stray", f"a table that was not used: {reason}; the folder names are the classes"
        )
        for file, reason in reasons.items()
    ]


def _with_reasons(error: SourceError, path: Path, reasons: Mapping[Path, str]) -> SourceError:
    """The error of the folders, preceded by why no table beside them can be used."""
    if not reasons:
        return error
    folders = str(error).removeprefix("ingest.source: ")
    return SourceError(
        f"ingest.source: {path} has a table that cannot be used ({_joined(reasons)}). The folders cannot be used either: {folders}"
    )


def _open_folder_as(path: Path, layout: str) -> Source:
    """The images of a folder in the requested layout."""
    reasons: dict[Path, str] = {}
    if layout == "folders":
        with contextlib.suppress(NoClassFolders):
            return open_folder(path)
    elif layout == "table":
        tables, reasons = find_tables(path)
        if tables:
            return open_tables(path, tables, path, of_whole_folder=True)
    elif layout == "parquet":
        if files := find_image_parquet(path):
            return open_image_parquet(path, files, path)
    elif layout == "idx":
        if idx_folder := find_idx_folder(path):
            return open_idx(idx_folder, path)
    elif file := _only_npz(path):
        return open_npz(file, path)
    raise _mismatch(path, f"expected {EXPECTED[layout]}, since ingest.format is {layout}", _top_level(path), reasons)


def _only_npz(folder: Path) -> Path | None:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".npz" and is_visible(path.name) and path.is_file())
    if len(files) > 1:
        raise SourceError(f"ingest.source: {folder} has {len(files)} .npz files. Set ingest.source to one of them, {files[0]} for example.")
    return files[0] if files else None


def _mismatch(path: Path, expected: str, found: str, reasons: Mapping[Path, str]) -> SourceError:
    """The error if no layout matches: why tables do not, and that archives have to be named themselves."""
    reason = f" ({_joined(reasons)})" if reasons else ""
    archives = sorted(file for file in path.iterdir() if is_visible(file.name) and ARCHIVE.search(file.name) and file.is_file())
    if not archives:
        return SourceError(f"ingest.source: {path}: {expected}. Found: {found}{reason}.")
    which = "the archive itself" if len(archives) == 1 else f"one of the {len(archives)} archives"
    return SourceError(
        f"ingest.source: {path}: {expected}. Found: {found}{reason}. Archives in a folder are not opened: "
        f"set ingest.source to {which}, {readable(str(archives[0]))}{' for example' if len(archives) > 1 else ''}."
    )


def _joined(reasons: Mapping[Path, str]) -> str:
    shown = "; ".join(list(reasons.values())[:NAMED_IN_ERROR])
    return shown + (f"; and {len(reasons) - NAMED_IN_ERROR} more" if len(reasons) > NAMED_IN_ERROR else "")


def _top_level(folder: Path) -> str:
    """The names at the top level of a folder, for an error message."""
    names = sorted(readable(path.name) for path in folder.iterdir() if is_visible(path.name))
    more = f" and {len(names) - NAMED_IN_ERROR:,} more" if len(names) > NAMED_IN_ERROR else ""
    return (", ".join(names[:NAMED_IN_ERROR]) or "nothing") + more
