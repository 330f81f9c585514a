"""The project's own files in a folder, as opposed to the user's: only the project's are ever removed.

Own files match patterns of paths, such as `train/images.npy` or `images.parquet/[0-9]*.parquet`; unfinished files are called `.NAME.partial`.
Knows nothing of the content of files.
"""

import contextlib
import fnmatch
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.errors import StorageError

MADE: Mapping[str, tuple[str, ...]] = {
    "ingest": (
        *("images.parquet/[0-9]*.parquet", "index.parquet", "properties.parquet", ".fingerprints.*"),
        *("findings.csv", "rejected.csv", "report.json", "report.html"),
    ),
    "preprocess": (
        *("train/images.npy", "train/labels.npy", "train/groups.npy", "train/validation.npy", "train/index.parquet"),
        *("test/images.npy", "test/labels.npy", "test/groups.npy", "test/index.parquet", "train/embeddings.npy", "test/embeddings.npy"),
        *("spec.json", "augmented.png"),
    ),
}
"""The files of the stages that first clear their folder: their outs in dvc.yaml, as a test checks. Former outs stay listed."""

NAMED = 3
PARTIAL = re.compile(r"\.(.+)\.partial")


def clear(folder: Path, made: Sequence[str]) -> Path:
    """The folder of a stage, created if missing, without the files of earlier runs. Hidden files of other programs stay.

    Raises StorageError, without removing anything, if it contains other files.
    """
    refuse_others(folder, made)
    try:
        _remove_made(folder, made)
        folder.mkdir(parents=True, exist_ok=True)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise _not_usable(error, folder) from None
    return folder


def refuse_others(folder: Path, made: Sequence[str]) -> None:
    """Raise StorageError if the folder of a stage contains something that the stage did not create."""
    try:
        _, others = _sort(folder, made)
    except PermissionError as error:
        raise _not_usable(error, folder) from None
    if others:
        shown = "/".join(folder.parts[-2:])
        named = ", ".join(f"{shown}/{other.relative_to(folder)}" for other in sorted(others)[:NAMED])
        more = f" and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
        raise StorageError(
            f"{shown} contains files that stage {folder.name} did not create: {named}{more}. "
            "Nothing was deleted. Move them elsewhere, and run the same command again."
        )


def remove_matching(folder: Path, name: re.Pattern[str]) -> None:
    """Remove the files of a folder whose full names match, then the folder itself if it is empty. Links to folders are not entered.

    Errors are ignored: another process may be using the files.
    """
    with contextlib.suppress(OSError):
        for file in [] if folder.is_symlink() else list(folder.iterdir()):
            if name.fullmatch(file.name) and not file.is_dir():
                file.unlink(missing_ok=True)
        if not folder.is_symlink():
            folder.rmdir()  # fails where something else is in it


def _not_usable(error: OSError, folder: Path) -> StorageError:
    return StorageError(f"{error.filename or folder} cannot be used: {error.strerror}. The stages need a writable folder there.")


def _remove_made(folder: Path, made: Sequence[str]) -> None:
    files, _ = _sort(folder, made)
    for file in files:
        file.unlink(missing_ok=True)
    for name in _replaced_whole(made):
        for whole in (folder / name, folder / f".{name}.partial"):
            if whole.is_dir() and not whole.is_symlink():
                whole.rmdir()


def _sort(folder: Path, made: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """(files below a folder that match, everything else except hidden files of other programs)."""
    patterns = [tuple(pattern.split("/")) for pattern in made]
    files, others, waiting = [], [], [folder] if folder.is_dir() and not folder.is_symlink() else []
    while waiting:
        for entry in os.scandir(waiting.pop()):
            path = Path(entry.path)
            parts = tuple(_finished(part) for part in path.relative_to(folder).parts)
            if entry.is_dir(follow_symlinks=False) and _matches(
                parts, (pattern[: len(parts)] for pattern in patterns if len(pattern) > len(parts))
            ):
                waiting.append(path)
            elif not entry.is_dir(follow_symlinks=False) and _matches(parts, patterns):
                files.append(path)
            elif not entry.name.startswith(".") or "/".join(parts[:-1]) in _replaced_whole(made):
                others.append(path)
    return files, others


def _matches(parts: tuple[str, ...], patterns: Iterable[tuple[str, ...]]) -> bool:
    return any(len(parts) == len(pattern) and all(map(fnmatch.fnmatchcase, parts, pattern)) for pattern in patterns)


def _replaced_whole(made: Sequence[str]) -> set[str]:
    """The folders that are replaced as a whole: those whose files match a wildcard."""
    return {pattern.rpartition("/")[0] for pattern in made if "[" in pattern}


def _finished(name: str) -> str:
    """The final name of an unfinished file or folder."""
    found = PARTIAL.fullmatch(name)
    return found[1] if found else name
