"""Checkpoints of unfinished fits, from which the same command resumes after a kill.

One folder per fit in `.checkpoints/fits/`, named by a digest of everything that determines the fit: a state of other images, parameters, code, packages
or processors is never used. Written atomically, and never so often that it takes more than a fiftieth of the time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout

from pipeline.files import write_bytes, written_beside
from pipeline.own_files import remove_matching
from pipeline.packages import version_of
from pipeline.python_path import CODE

if TYPE_CHECKING:
    from pipeline.params.reader import Config

ROOMS = ("augmentation", "backbone", "dataset", "features", "fitting", "models", "stages")
SECTIONS = ("augment", "model", "train")
PACKAGES = ("tensorflow", "keras", "numpy")
COST_SHARE = 0.02
KEPT_DAYS = 14.0
RUN_FILE = "run"
FIT = re.compile(r"[0-9a-f]{32}(-\d+)?(\.lock)?")
STATE = re.compile(r"\.?([\w-]+\.npz|run)(\.partial)?")
State = Mapping[str, np.ndarray]


class Checkpoints:
    """The saved states of the fits of one stage, by name: `fold-0` and so on.

    `resumed`: whether an earlier run left something behind. `run_id`: its id in the tracker.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.resumed = folder.exists()
        self.run_id = _text(folder / RUN_FILE)

    def keep_run(self, run_id: str) -> None:
        """Record which run in the tracker this fit belongs to: after a kill its process is known to have ended."""
        write_bytes(self.folder / RUN_FILE, run_id.encode())

    @classmethod
    @contextmanager
    def open(cls, scratch: Path, key: str) -> Iterator[Checkpoints]:
        """Checkpoints of the fit with this key, removed on success, as are those of other fits that are older than two weeks.

        If another process is running the same fit, this one gets a folder of its own.
        """
        fits = scratch / "fits"
        fits.mkdir(parents=True, exist_ok=True)
        for path in filter(_is_left_over, list(fits.iterdir())):
            remove_matching(path, STATE) if path.is_dir() else path.unlink(missing_ok=True)
        lock = FileLock(fits / f"{key}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            key = f"{key}-{os.getpid()}"
        try:
            checkpoints = cls(fits / key)
            yield checkpoints
            remove_matching(checkpoints.folder, STATE)
        finally:
            lock.release()

    def of(self, name: str) -> FileCheckpoint:
        return FileCheckpoint(self.folder / f"{name}.npz")


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _is_left_over(path: Path) -> bool:
    """Whether a file or folder has the name of a fit's, and is old enough to remove."""
    return FIT.fullmatch(path.name) is not None and path.exists() and time.time() - path.stat().st_mtime > KEPT_DAYS * 86400


class FileCheckpoint:
    """The state of one fit in one .npz file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next_save = 0.0

    def load(self) -> State | None:
        """The state that was saved last; None if there is no file, or it cannot be read."""
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, state: Callable[[], State], *, last: bool) -> None:
        """Replace the saved state, unless it is so recent that saving would take more than 2 % of the time. The last state is always saved:
        what follows a fit can fail, too.
        """
        started = time.monotonic()
        if started < self._next_save and not last:
            return
        self.write(state())
        ended = time.monotonic()
        self._next_save = ended + (ended - started) / COST_SHARE

    def write(self, state: State) -> None:
        """Replace the saved state."""
        with written_beside(self.path) as beside, beside.open("wb") as file:
            np.savez(file, **state)  # type: ignore[arg-type]  # no array is named allow_pickle

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def fit_key(stage: str, config: Config, processors: str, arrays: Mapping[str, np.ndarray]) -> str:
    """A digest of everything that the bits of a fit depend on: its arrays, parameters, code, packages, and the `processors` it runs on."""
    digest = hashlib.sha256()
    parameters = {name: value for name, value in config.flat().items() if name.split(".")[0] in ("seed", *SECTIONS)}
    kernels = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    facts = [stage, parameters, processors, os.cpu_count(), kernels, [version_of(name) for name in PACKAGES], _code()]
    digest.update(json.dumps(facts).encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:32]


def _code() -> str:
    """A digest of the code that fits."""
    digest = hashlib.sha256()
    for file in fitting_code():
        digest.update(file.read_bytes())
    return digest.hexdigest()


def fitting_code() -> list[Path]:
    """All files that may decide a fit."""
    package = CODE / "pipeline"
    files = [file for room in ROOMS for file in package.joinpath(room).rglob("*.py")]
    return sorted([*files, *(package / "params" / f"{name}.py" for name in (*SECTIONS, "recipe"))])
