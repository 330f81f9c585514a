"""What the project made in a folder, told from what is somebody else's: only the first is ever removed.

A folder is known by patterns of the paths below it, `train/images.npy` or `images.parquet/[0-9]*.parquet`; a file that was not finished is its
name as `.NAME.partial`. Nothing is known of what the files hold.
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
        *("images.parquet/[0-9]*.parquet", "index.parquet", ".fingerprints.*"),
        *("findings.csv", "rejected.csv", "report.json", "report.html"),
    ),
    "preprocess": (
        *("train/images.npy", "train/labels.npy", "train/groups.npy", "train/validation.npy", "train/index.parquet"),
        *("test/images.npy", "test/labels.npy", "test/index.parquet"),
        *("spec.json", "augmented.png"),
    ),
}
"""The files of the stages that begin by clearing their folder: their outs in dvc.yaml, as a contract test checks. An out that is given up stays here."""

NAMED = 3
PARTIAL = re.compile(r"\.(.+)\.partial")


def clear(folder: Path, made: Sequence[str]) -> Path:
    """The folder of a stage, there, and without the files that an earlier run of the stage left in it; hidden files of others stay.

    Raises StorageError, with nothing removed, where anything else lies in it.
    """
    refuse_others(folder, made)
    try:
        _remove_made(folder, made)
        folder.mkdir(parents=True, exist_ok=True)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise _not_usable(error, folder) from None
    return folder


def refuse_others(folder: Path, made: Sequence[str]) -> None:
    """Raise StorageError where something lies in the folder of a stage that the stage did not make."""
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
    """Remove the files of a folder whose whole names match, then the folder itself if nothing is left in it. A link to a folder is not entered.

    What cannot be removed stays: another process may be at work there.
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
    """(the files below a folder that match, everything else but hidden files of others)."""
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
    """The folders that take the place of an earlier one: those in which no single name is known."""
    return {pattern.rpartition("/")[0] for pattern in made if "[" in pattern}


def _finished(name: str) -> str:
    """The name that an unfinished file or folder is to have."""
    found = PARTIAL.fullmatch(name)
    return found[1] if found else name
