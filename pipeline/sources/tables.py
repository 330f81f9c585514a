"""Tables that list images, one row each with a path and a label; the images are files beside the table.

Only the columns for path, label, split and group are held, as Arrow arrays.
"""

import functools
import itertools
import os
import posixpath
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import SourceError
from pipeline.listing.cells import numeric_order, split_of, table_split, text_of
from pipeline.listing.names import is_escaping, is_visible, normalised
from pipeline.listing.records import LeftOut, Record, Source, readable, source_name
from pipeline.sources.class_folders import ReadFile, images_below
from pipeline.sources.folder_layout import NAMED_IN_ERROR, SPLITS
from pipeline.sources.table_rows import LINES_FOR_KEYS, ROWS_AT_ONCE, TABLE_SUFFIXES, Columns, read_cells, read_columns

LISTED = pa.schema([("path", pa.string()), ("label", pa.string()), ("split", pa.string()), ("group", pa.string()), ("place", pa.string())])


def find_tables(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """(tables that list images of a folder, the reason why each other table there does not).

    They are in the folder, or are called metadata and are in its train/, test/ or val/, as on the Hugging Face Hub.
    """
    inside = sorted(path for path in folder.iterdir() if is_visible(path.name))
    metadata = [path / f"metadata{suffix}" for path in inside if path.name.lower() in SPLITS for suffix in TABLE_SUFFIXES]
    tables, reasons = [], {}
    for file in [*(path for path in inside if path.suffix.lower() in TABLE_SUFFIXES), *metadata]:
        if file.is_file():
            try:
                listed = itertools.islice(_paths(folder, file), LINES_FOR_KEYS)
                first = next(listed, None)
                if first is None:
                    reasons[file] = f"{file.name} lists no files"
                elif any(_exists(folder, path) for path in itertools.chain([first], listed)):
                    tables.append(file)
                else:
                    reasons[file] = f"none of the files that {file.name} lists exist, for example {first}"
            except (SourceError, OSError) as error:
                reasons[file] = reason_of(error, folder)
    return tables, reasons


def reason_of(error: Exception, folder: Path) -> str:
    """An error's message as part of a sentence; paths are relative to the folder."""
    text = str(error).removeprefix("ingest.source: ").rstrip(".")
    return text.replace(f"{folder}/", "").replace(str(folder), folder.name) if folder.name else text


def open_tables(root: Path, tables: Sequence[Path], name: Path, *, of_whole_folder: bool = False) -> Source:
    """The images that tables list, sorted by path; the data set is called after `name`. Images must lie in the folder `root`.

    If there are several tables, each is a split, named after the table or its folder. With `of_whole_folder`, images in `root` that no table
    lists are reported as left out. Raises SourceError for invalid columns, splits or rows, and if there is only one class.
    """
    left_out: list[LeftOut] = []
    listed = _read_tables(root, tables, left_out)
    listed = listed.take(pc.sort_indices(listed, sort_keys=[("path", "ascending")]))  # stable: rows with the same path keep their order
    kept, clashes = _tell_clashes(listed)
    rows = listed.filter(pa.array(kept))
    labels = set(pc.unique(rows["label"]).to_pylist())
    without_label = [entry.path for entry in left_out]
    left_out += clashes
    if len(labels) < 2:
        found = (
            f"all are of one class, {min(labels)}"
            if labels
            else f"found {len(left_out):,} rows, but none that can be used{_example(left_out)}"
        )
        raise SourceError(f"ingest.source: {_names(tables)} should list images of two or more classes; {found}.")
    records = _records(root, rows, "test" in pc.unique(rows["split"]).to_pylist(), left_out)
    if of_whole_folder:
        records = _with_unlisted(root, records, listed["path"], without_label, left_out)
    return Source(source_name(name), numeric_order(labels), records, len(rows), left_out)


def labels_are_folders(root: Path, tables: Sequence[Path]) -> bool:
    """Whether labels repeat the folders: a label is the name of a folder, or there are several folders and each has only one label."""
    listed = _read_tables(root, tables, [])
    pairs = {(posixpath.dirname(path), label) for path, label in zip(listed["path"].to_pylist(), listed["label"].to_pylist(), strict=True)}
    folders = {folder for folder, _ in pairs}
    named = any(label in folder.split("/") for folder, label in pairs)
    return named or (len(folders) > 1 and len(pairs) == len(folders))


def _read_tables(root: Path, tables: Sequence[Path], left_out: list[LeftOut]) -> pa.Table:
    """LISTED: the rows with a path and a label, paths relative to `root`; other rows are added to `left_out`."""
    splits = [table_split(root, file) if len(tables) > 1 else None for file in tables]
    if len(tables) > 1 and (None in splits or len(set(splits)) < len(splits)):
        raise SourceError(
            f"ingest.source: {root} has more than one table: {_names(tables)}. Set ingest.source to one of them, {tables[0]} for example."
        )
    rows = (row for file, split in zip(tables, splits, strict=True) for row in _read_rows(root, file, split, left_out))
    parts = [LISTED.empty_table()]
    while chunk := list(itertools.islice(rows, ROWS_AT_ONCE)):
        parts.append(pa.Table.from_arrays([pa.array(column, pa.string()) for column in zip(*chunk, strict=True)], schema=LISTED))
    listed = pa.concat_tables(parts).combine_chunks()
    if all(
        re.fullmatch(r"-?[0-9]+(\.0+)?", label) for label in pc.unique(listed["label"]).to_pylist()
    ):  # 3.0 comes from a column with missing values
        return listed.set_column(1, "label", pc.replace_substring_regex(listed["label"], r"\.0+$", ""))
    return listed


def _read_rows(
    root: Path, file: Path, table_split: str | None, left_out: list[LeftOut]
) -> Iterator[tuple[str, str, str | None, str | None, str]]:
    """(path, label, split, group, place) of each row of a table that has a path and a label."""
    columns = read_columns(file)
    base = _base(file, columns)
    for place, (raw_path, raw_label, raw_split, raw_group) in read_cells(file, columns):
        where = f"{file.name}, {place}"
        path = _relative(root, base, raw_path, where)
        label = text_of(raw_label, where)
        if path and label:
            yield path, label, split_of(text_of(raw_split, where), where) or table_split, text_of(raw_group, where) or None, where
        else:
            left_out.append(LeftOut(path or file.name, "stray", f"{where}: no {'label' if path else 'path'}"))


def _base(file: Path, columns: Columns) -> Path:
    """The folder that the paths of a table are relative to: the table's own, or a folder beside it that has at least half of the files.

    The latter only if the table's own folder and all other folders beside it have none of them. The first rows decide.
    """
    paths = []
    for _, (value, *_) in itertools.islice(read_cells(file, columns), LINES_FOR_KEYS):
        paths.append(value.replace("\\", "/") if isinstance(value, str) else "")
        if _exists(file.parent, paths[-1]):
            return file.parent
    beside = (path for path in file.parent.iterdir() if is_visible(path.name) and path.is_dir())
    counts = {folder: count for folder in beside if (count := sum(_exists(folder, path) for path in paths))}
    return next(iter(counts)) if len(counts) == 1 and 2 * max(counts.values()) >= len(paths) else file.parent


def _relative(root: Path, base: Path, value: object, where: str) -> str:
    """A table's path, relative to `base`, made relative to `root`, with `/`. Paths outside `root` stay absolute or start with `..`."""
    if not isinstance(value, str | None):
        raise SourceError(f"ingest.source: {where}: expected a path, found {str(value)[:60]}.")
    if not value:
        return ""
    path = posixpath.normpath(value.replace("\\", "/"))
    if not path.startswith("/"):
        return path if base == root else posixpath.normpath(posixpath.join(base.relative_to(root).as_posix(), path))
    roots = (root.as_posix().rstrip("/") + "/", _real_folder(root.as_posix()).rstrip("/") + "/")
    return next((path[len(start) :] for start in roots if path.startswith(start)), path)


def _paths(root: Path, file: Path) -> Iterator[str]:
    """The paths that a table lists. Raises SourceError if it has no column of paths or of labels."""
    columns = read_columns(file)
    base = _base(file, columns)
    return (_relative(root, base, cells[0], place) for place, cells in read_cells(file, columns))


def _exists(root: Path, path: str) -> bool:
    return bool(path) and not is_escaping(path) and os.path.exists(_on_disk(f"{root}/{path}"))  # noqa: PTH110 - a name too long is not there


def _tell_clashes(listed: pa.Table) -> tuple[np.ndarray, list[LeftOut]]:
    """(bool (N,): which rows of a sorted table are images, the other rows). A path that is listed with two labels is no image."""
    paths = listed["path"].combine_chunks() if len(listed) else pa.array([], pa.string())
    kept = np.ones(len(listed), bool)
    kept[1:] = pc.not_equal(paths[1:], paths[:-1]).to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(kept)
    lengths = np.diff(np.append(starts, len(listed)))
    clashes = []
    for start, length in zip(starts[lengths > 1].tolist(), lengths[lengths > 1].tolist(), strict=True):
        same = listed.slice(start, length).to_pydict()
        differing = next((values for name in ("label", "split", "group") if len(values := list(dict.fromkeys(same[name]))) > 1), None)
        kept[start] = differing is None
        reason = f"listed as {' and as '.join(str(value) for value in differing)}" if differing else f"listed before, in {same['place'][0]}"
        places = same["place"] if differing else same["place"][1:]
        clashes += [LeftOut(same["path"][0], "name_clash", f"{place}: {reason}") for place in places]
    return kept, clashes


def _records(root: Path, rows: pa.Table, has_test: bool, left_out: list[LeftOut]) -> Iterator[Record]:
    """The images of the rows whose files exist. Without a test split, the images of train have no split."""
    inside = os.path.join(os.path.realpath(root), "")  # noqa: PTH118
    for batch in rows.to_batches(max_chunksize=1024):
        for path, label, split, group in zip(*(batch.column(i).to_pylist() for i in range(4)), strict=True):
            found = _look(root, path, inside)
            if isinstance(found, LeftOut):
                left_out.append(found)
            else:
                file, size_bytes = found
                yield Record(normalised(path), label, split if has_test or split != "train" else None, group, size_bytes, ReadFile(file))


def _with_unlisted(
    root: Path, records: Iterator[Record], paths: pa.ChunkedArray, more_paths: Iterable[str], left_out: list[LeftOut]
) -> Iterator[Record]:
    """The records; then images in the folder that no row lists are added to `left_out`."""
    yield from records
    real = os.path.realpath(root)
    listed = {place for path in itertools.chain(paths.to_pylist(), more_paths) for place in _places(real, path)}
    left_out += (LeftOut(path, "stray", "not listed in any table") for path in images_below(Path(real)) if path not in listed)


def _places(root: str, path: str) -> Iterator[str]:
    """The path of a listed file below `root`, which has no links in it, and its target if it is a link."""
    folder, _, name = f"{root}/{path}".rpartition("/")
    file = f"{_real_folder(folder)}/{name}" if "\0" not in folder else path
    yield normalised(file.removeprefix(f"{root}/"))
    if os.path.islink(file):  # noqa: PTH114 - a name too long is no link
        yield normalised(os.path.realpath(file).removeprefix(f"{root}/"))


def _look(root: Path, path: str, inside: str) -> tuple[str, int] | LeftOut:
    """(file, size in bytes) of a path below `root`, or why it is left out. Opens nothing."""
    if is_escaping(path):
        return LeftOut(readable(path), "escaping", "its path leads outside the source")
    file = _on_disk(f"{root}/{path}")
    try:
        status = os.lstat(file)
        is_link = stat.S_ISLNK(status.st_mode)
        real = os.path.realpath(file) if is_link else _real_folder(posixpath.dirname(file))
        if not (real + "/").startswith(inside):
            return LeftOut(readable(path), "link", "leads outside the source through a link, which is not followed")
        status = os.stat(file) if is_link else status  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return LeftOut(readable(path), "missing", "listed, but missing")
    except (OSError, ValueError) as error:
        return LeftOut(readable(path), "unreadable", f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if not stat.S_ISREG(status.st_mode):
        return LeftOut(readable(path), "special", "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file")
    return file, status.st_size


@functools.lru_cache(maxsize=16)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _on_disk(file: str) -> str:
    """A file under its name on disk, where é may be composed or decomposed, unlike in the table."""
    names = (file,) if file.isascii() else (file, unicodedata.normalize("NFC", file), unicodedata.normalize("NFD", file))
    return next((name for name in names[1:] if not os.path.lexists(file) and os.path.lexists(name)), file)


def _names(tables: Sequence[Path]) -> str:
    return ", ".join(file.name for file in tables[:NAMED_IN_ERROR])


def _example(left_out: Sequence[LeftOut]) -> str:
    return f", for example {left_out[0].path}: {left_out[0].reason}" if left_out else ""
