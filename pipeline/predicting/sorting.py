"""Copies pictures into a folder per class. What is there is never overwritten, and doing it again changes nothing."""

from pathlib import Path
from urllib.parse import quote

from pipeline.errors import ConfigError
from pipeline.files import read_json, sha256_file, write_bytes, write_json

MARK = ".predicted-by.json"
SAFE = " !#$&'()+,;=@[]{}~^"
DIGITS = 8
UNSURE_FOLDER = "%unsure"
"""Of answers that are not sure; no class has a folder of this name, in which % is followed by two digits."""


class ClassFolders:
    """The folder with a folder per class. model: what tells the model apart; a folder has the pictures of one model."""

    def __init__(self, folder: Path, model: str) -> None:
        self._folder = folder
        self._model = {"model": model}

    def open(self) -> None:
        """Create it. Raises ConfigError if it has something else in it."""
        mark = self._folder / MARK
        if mark.exists():
            if read_json(mark) != self._model:
                raise ConfigError(
                    f"--copy-to {self._folder}: its pictures were sorted by {read_json(mark).get('model')}, not by {self._model['model']}. "
                    "Name another folder, or delete it."
                )
        elif self._folder.exists() and (not self._folder.is_dir() or any(self._folder.iterdir())):
            raise ConfigError(f"--copy-to {self._folder}: it is there already, with something else. Name a new or an empty folder.")
        else:
            write_json(mark, dict(self._model))

    def add(self, path: str, label: str | None, sha256: str, content: bytes) -> None:
        """Copy one picture. label: None if the answer is not sure. One of the same name with other content gets the start of its sha256 into its name."""
        name = path.replace("\\", "/").rpartition("/")[2]
        plain = self._folder / (UNSURE_FOLDER if label is None else folder_name(label)) / name
        for target in (plain, plain.with_name(f"{plain.stem}-{sha256[:DIGITS]}{plain.suffix}")):
            if not target.exists():
                write_bytes(target, content)
                return
            if sha256_file(target) == sha256:
                return
        raise ConfigError(f"--copy-to: {target} is there already, with other content. Name a new folder.")


def folder_name(label: str) -> str:
    """The name of a class as that of a folder: as it is, with % codes for what no name of a folder can have."""
    safe = "".join(letter if letter.isalnum() or letter in SAFE else quote(letter, safe="") for letter in label)
    return f"%2E{safe[1:]}" if safe.startswith(".") else safe or "%00"
