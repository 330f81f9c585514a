"""Results computed from an image's bytes, cached by the sha256 of these bytes: a run with 1 % new images computes 1 %.

A cache is a folder of segments, each a pair of files written atomically: `NAME.rows.npy`, then `NAME.keys.npy`. Any number of processes may add to it
at once. It can be deleted at any time. The name of its folder depends on everything else that determines a row (`cache_folder`).
"""

import functools
import hashlib
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import numpy as np
import PIL

from pipeline.files import written_beside
from pipeline.own_files import remove_matching

KEY_BYTES = 16
LEAST_USED_SHARE = 0.5
MOST_OPENED = 4
SECONDS_TO_WRITE = 3600.0
SEGMENT_FILE = re.compile(r"\.?\w+\.(keys|rows)\.npy(\.partial)?")
UNUSABLE = (OSError, ValueError, EOFError)  # just removed by another process, or damaged


def cache_folder(parent: Path, *decisive: object, modules: Iterable[ModuleType]) -> Path:
    """A folder for rows that depend on `decisive`, on the version of Pillow and on the source of `modules`."""
    sources = [Path(str(module.__file__)).read_bytes() for module in modules]
    text = repr((decisive, PIL.__version__)).encode()
    return parent / hashlib.sha256(b"\0".join([text, *sources])).hexdigest()[:16]


def key_of(content: bytes) -> bytes:
    """The key of an image's bytes."""
    return hashlib.sha256(content).digest()[:KEY_BYTES]


class ContentCache:
    """The rows of one folder, all of one dtype. Added rows are found by caches opened later."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = sorted(file.name.removesuffix(".keys.npy") for file in folder.glob("[!.]*.keys.npy"))
        keys = [self._keys(name) for name in self._names]
        lengths = [len(segment) for segment in keys]
        prefixes = np.concatenate([_prefixes(segment) for segment in keys]) if keys else np.empty(0, np.uint64)
        self._order = np.argsort(prefixes, kind="stable").astype(np.int32)
        self._prefixes = prefixes[self._order]
        self._starts = np.cumsum([0, *lengths])
        self._opened: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()

    def find(self, keys: list[bytes]) -> list[np.ndarray | np.void | None]:
        """The cached row of each key, or None."""
        if not len(self._order) or not keys:
            return [None] * len(keys)
        wanted = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES)
        prefixes = _prefixes(wanted)
        at = np.minimum(np.searchsorted(self._prefixes, prefixes), len(self._order) - 1)
        hits = self._prefixes[at] == prefixes
        return [self._row(int(self._order[i]), key) if hit else None for i, hit, key in zip(at, hits, keys, strict=True)]

    def locate(self, keys: np.ndarray) -> np.ndarray:
        """Where the rows of keys, uint8 (N, KEY_BYTES), are: int64 (N, 2), the number of a segment and of a row in it, or -1, -1."""
        places = np.full((len(keys), 2), -1, np.int64)
        if not len(self._order):
            return places
        at = np.minimum(np.searchsorted(self._prefixes, _prefixes(keys)), len(self._order) - 1)
        positions = self._order[at].astype(np.int64)
        segments = np.searchsorted(self._starts, positions, side="right") - 1
        for segment in np.unique(segments).tolist():
            here = np.flatnonzero(segments == segment)
            rows = positions[here] - self._starts[segment]
            known, kept = self._segment(segment)
            whole = rows < min(len(known), len(kept))
            here, rows = here[whole], rows[whole]
            same = (known[rows] == keys[here]).all(axis=1)
            places[here[same]] = np.stack([np.full(same.sum(), segment), rows[same]], axis=1)
        return places

    def segments(self) -> list[tuple[Path, int]]:
        """The file of each segment's rows, and where in it the first row begins."""
        files = []
        for number, name in enumerate(self._names):
            rows = self._segment(number)[1]
            files.append((self._folder / f"{name}.rows.npy", rows.offset if isinstance(rows, np.memmap) else 0))
        return files

    def add(self, keys: list[bytes], rows: np.ndarray) -> None:
        """Add the rows (N, …) of N keys."""
        if not keys:
            return
        name = uuid.uuid4().hex
        with written_beside(self._folder / f"{name}.rows.npy") as beside, beside.open("wb") as file:
            np.save(file, rows)
        with written_beside(self._folder / f"{name}.keys.npy") as beside, beside.open("wb") as file:
            np.save(file, np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES))

    def keep(self, prefixes: np.ndarray) -> None:
        """Remove segments of which less than half is in `prefixes`, the first 8 bytes of keys, uint64 (N,); rows that are in it are kept."""
        every = np.zeros(len(self._order), bool)
        every[self._order] = np.isin(self._prefixes, prefixes)
        for i, name in enumerate(self._names):
            used = every[self._starts[i] : self._starts[i + 1]]
            if used.sum() < LEAST_USED_SHARE * len(used):
                keys = self._keys(name)
                self.add([key.tobytes() for key in keys[used]], self._segment(i)[1][used])
                for ending in ("keys", "rows"):
                    (self._folder / f"{name}.{ending}.npy").unlink(missing_ok=True)

        self._sweep()

    def _sweep(self) -> None:
        """Remove partial files of processes that were killed while writing."""
        finished = {file.name.removesuffix(".keys.npy") for file in self._folder.glob("[!.]*.keys.npy")}
        for file in self._folder.glob("*"):
            if not SEGMENT_FILE.fullmatch(file.name) or file.name.split(".")[0] in finished:
                continue
            if time.time() - file.stat().st_mtime > SECONDS_TO_WRITE:
                file.unlink(missing_ok=True)

    def _keys(self, name: str) -> np.ndarray:
        try:
            return np.asarray(np.load(self._folder / f"{name}.keys.npy"))
        except UNUSABLE:
            return np.empty((0, KEY_BYTES), np.uint8)

    def _row(self, position: int, key: bytes) -> np.ndarray | np.void | None:
        segment = int(np.searchsorted(self._starts, position, side="right")) - 1
        keys, rows = self._segment(segment)
        row = position - int(self._starts[segment])
        return rows[row] if row < min(len(keys), len(rows)) and keys[row].tobytes() == key else None

    def _segment(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """(keys, rows) of a segment; the rows are memory mapped."""
        if number in self._opened:
            self._opened.move_to_end(number)
        else:
            if len(self._opened) == MOST_OPENED:  # mapped pages count as memory of this process
                self._opened.popitem(last=False)
            name = self._names[number]
            try:
                self._opened[number] = self._keys(name), np.load(self._folder / f"{name}.rows.npy", mmap_mode="r")
            except UNUSABLE:
                self._opened[number] = np.empty((0, KEY_BYTES), np.uint8), np.empty(0)
        return self._opened[number]


@functools.lru_cache(maxsize=1)
def opened_cache(folder: Path, run: str) -> ContentCache:
    """The cache of a folder at the start of a `run`, opened once in each process."""
    return ContentCache(folder)


def drop_others(folder: Path) -> None:
    """Remove the other caches next to a folder, for other image sizes or earlier code. Only cache files are removed."""
    for other in folder.parent.glob("*"):
        if other != folder:
            remove_matching(other, SEGMENT_FILE)


def _prefixes(keys: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(keys[:, :8]).view(np.uint64).ravel()
