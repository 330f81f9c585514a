"""Files that are known to hold images, but are not read: each ends in an error that says what it is and what to do.

For a source in which nothing else can be read. How to convert them: docs/data.md.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.containers.npy_arrays import arrays_in
from pipeline.errors import SourceError
from pipeline.listing.names import is_visible
from pipeline.listing.records import Reading

CONVERT = 'Convert it as docs/data.md shows under "Other formats"'
NUMBERS = re.compile(r"\s*-?\d+(\.\d+)?\s*([,;\t]\s*-?\d+(\.\d+)?\s*){64,}")


class _Format(NamedTuple):
    """Files by their names, what they are, and what to do."""

    names: re.Pattern[str]
    what: str
    advice: str


def _named(pattern: str, what: str, advice: str = f"{CONVERT}.") -> _Format:
    return _Format(re.compile(pattern, re.IGNORECASE), what, advice)


FORMATS = (
    _named(r".+\.mat", "a MATLAB file", f"{CONVERT}, to .npz."),
    _named(r".+\.(h5|hdf5|hdf)", "an HDF5 file", f"{CONVERT}, to .npz."),
    _named(r".+\.(pkl|pickle|p|joblib|dill)", "a pickle, which is not loaded, since it can run code", f"{CONVERT}, to .npz."),
    _named(r".+\.(pt|pth)", "a file of PyTorch, which is not loaded, since it can run code", f"{CONVERT}, to .npz."),
    _named(
        r"(data|lock)\.mdb|.+\.lmdb", "an LMDB database", "Write its images into a folder for each class, with the package that made it."
    ),
    _named(
        r".+\.arrow",
        "a data set of Hugging Face, saved by save_to_disk",
        f"{CONVERT}, to Parquet.",
    ),
    _named(
        r".+\.(rec|beton|zarr)",
        "a file of a training library",
        "Write its images into a folder for each class, with the package that made it.",
    ),
    _named(
        r".+\.np[yz]",
        "NumPy arrays, but not images and labels",
        "Expected images of shape (N, H, W) or (N, H, W, C) and labels, called x_train and y_train, train_images and train_labels, images and "
        "labels, or X and y. Rows of values become images with x.reshape(-1, HEIGHT, WIDTH).",
    ),
)


def candidates(paths: Sequence[str]) -> list[str]:
    """The files of known formats, and tables without a header."""
    return [path for path in paths if is_visible(path) and (_format(path) or path.lower().endswith(".csv"))]


def read(files: Mapping[str, Path]) -> Reading | None:
    """Nothing, if there is no such file. Raises SourceError for the first one: its format, what it is and what to do."""
    for path in sorted(files):
        if found := _format(path):
            raise SourceError(f"ingest.source: {path} is {found.what}{_arrays(path, files[path])}. {found.advice}")
        if path.lower().endswith(".csv") and _is_numbers(files[path]):
            raise SourceError(
                f"ingest.source: {path} is a table of numbers without a header. If they are pixels, name the columns in its first line: "
                "label,pixel0,pixel1,…."
            )
    return None


def _format(path: str) -> _Format | None:
    return next((known for known in FORMATS if known.names.fullmatch(PurePosixPath(path).name)), None)


def _arrays(path: str, file: Path) -> str:
    """What is in NumPy's files, for the message; nothing for others."""
    if not path.lower().endswith((".npz", ".npy")):
        return ""
    shown = [f"{array.name} {array.shape}" for array in arrays_in(path, file)]
    return f": {', '.join(shown[:5]) or 'nothing'}{' and more' if len(shown) > 5 else ''}"


def _is_numbers(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        return NUMBERS.fullmatch(opened.readline(2**20).rstrip()) is not None
