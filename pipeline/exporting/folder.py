"""The folder of an export: there as a whole or not at all, and never on top of something else."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, StorageError
from pipeline.files import folder_beside

RECORD = "export.json"
MARK = ".export"
"""A file in a folder that is being filled: what a killed export has left may be removed. It goes last, once the folder has its name."""


def is_made(folder: Path, asked: Mapping[str, Any]) -> bool:
    """Whether a folder is this very export, made before. Raises ConfigError if it has something else in it, or cannot be written."""
    beside = folder.with_name(f".{folder.name}.partial")
    if (beside / MARK).exists() or (beside.is_dir() and not any(beside.iterdir())):
        shutil.rmtree(beside)
    elif beside.exists():
        raise ConfigError(f"--to {folder}: {beside} is in the way. Move it, or name another folder.")
    if not folder.exists() and not folder.is_symlink():
        return False
    try:
        if folder.is_dir() and not any(folder.iterdir()):
            return False
        said = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if all(said.get(name) == value for name, value in asked.items()):
            (folder / MARK).unlink(missing_ok=True)
            return True
    except (OSError, ValueError, AttributeError):
        pass
    raise ConfigError(f"--to {folder}: it is there already, with something else in it. Name a new or an empty folder.")


@contextlib.contextmanager
def filled_beside(folder: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `folder` at the end of the block; nothing is left if it fails. Raises StorageError if it cannot be written."""
    try:
        if folder.is_dir():
            folder.rmdir()  # it is empty
        with folder_beside(folder) as beside:
            (beside / MARK).touch()
            yield beside
        (folder / MARK).unlink()
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"--to {folder} cannot be written: {error.strerror}. Name another folder.") from None
