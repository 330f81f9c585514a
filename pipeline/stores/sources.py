"""Readers of sources: where the images are, what they are called, which class and split they belong to. Read only.

`open_source` finds out the layout from what is there. A reader yields records; the bytes of a file on disk are read later, by whoever needs them.
"""

import gzip
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from pipeline.errors import SourceError
from pipeline.ml.images import encode_png

SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
IDX_IMAGES = re.compile(r"(?P<split>.+?)[-_]images[-.]idx3[-_]ubyte(\.gz)?$", re.IGNORECASE)
IDX_SPLITS = {"train": "train", "t10k": "test", "test": "test"}
IGNORED = {"thumbs.db", "desktop.ini", "__macosx", "icon\r"}
LAYOUTS = (
    "class folders (with or without train/, test/, val/ above them), a .zip or .tar.gz of class folders, idx files of the MNIST family"
)


@dataclass(frozen=True)
class Record:
    """One image of a source. `path` is its name there; `read` gives its encoded bytes; `split` is None where the source has none."""

    path: str
    label: str
    split: str | None
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Source:
    """What a reader found: the data set's name, its classes in order if they have one, and its images, in the order of their paths."""

    name: str
    class_names: list[str] | None
    records: Iterable[Record]
    count: int


def open_source(path: Path) -> Source:
    """The images at `path`. Raises SourceError where there are none, or in no known layout."""
    if not path.exists():
        raise SourceError(f"ingest.source: {path} is not there. Set it in params.yaml to a folder or an archive of images.")
    if path.is_dir():
        return _open_idx(path) if _idx_files(path) else _open_folder(path)
    if zipfile.is_zipfile(path):
        return _open_zip(path)
    if tarfile.is_tarfile(path):
        return _open_tar(path)
    raise SourceError(f"ingest.source: {path} is a file, but no archive. Looked for: {LAYOUTS}.")


def source_name(path: Path) -> str:
    """A name for what lies at `path`: the folder's or the archive's, without its ending."""
    name = re.sub(r"\.(zip|tar|tgz|tar\.gz)$", "", path.name, flags=re.IGNORECASE)
    return re.sub(r"[/:.\s]+", "-", name).strip("-") or "images"


# Class folders, on disk or in an archive: one rule for both, on relative paths


def _open_folder(root: Path) -> Source:
    files = [
        (Path(folder) / name).relative_to(root) for folder, _, names in os.walk(root) for name in names if (Path(folder) / name).is_file()
    ]
    return _class_folders(root, [(PurePosixPath(file.as_posix()), (root / file).read_bytes) for file in files])


def _open_zip(path: Path) -> Source:
    with zipfile.ZipFile(path) as archive:
        members = [info.filename for info in archive.infolist() if not info.is_dir() and not info.flag_bits & 1]
    return _class_folders(path, [(PurePosixPath(name), _ZipMember(path, name)) for name in members])


def _open_tar(path: Path) -> Source:
    """A tar archive can only be read from front to back: its images come in the order of the archive."""
    with tarfile.open(path) as archive:
        members = [member.name for member in archive if member.isreg()]
    source = _class_folders(path, [(PurePosixPath(name), _never_read) for name in members])
    wanted = {record.path: record for record in source.records}
    return Source(
        source.name, source.class_names, _TarRecords(path, wanted, _wrapping([PurePosixPath(name) for name in members])), source.count
    )


@dataclass(frozen=True)
class _ZipMember:
    """Reads one member; a value, so that it can be sent to another process."""

    archive: Path
    name: str

    def __call__(self) -> bytes:
        with zipfile.ZipFile(self.archive) as archive:
            return archive.read(self.name)


@dataclass(frozen=True)
class _Content:
    content: bytes

    def __call__(self) -> bytes:
        return self.content


@dataclass(frozen=True)
class _TarRecords:
    archive: Path
    wanted: dict[str, Record]
    wrapping: PurePosixPath

    def __iter__(self) -> Iterator[Record]:
        with tarfile.open(self.archive) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                record = (
                    self.wanted.get(str(name.relative_to(self.wrapping))) if member.isreg() and name.is_relative_to(self.wrapping) else None
                )
                file = archive.extractfile(member) if record else None
                if record and file:
                    yield Record(record.path, record.label, record.split, _Content(file.read()))


def _never_read() -> bytes:
    raise AssertionError("a tar archive is read in its own order")


def _class_folders(path: Path, files: list[tuple[PurePosixPath, Callable[[], bytes]]]) -> Source:
    """The records of relative paths `[split/]class/…/image`, sorted by path."""
    files = [(file, read) for file, read in files if _is_visible(file) and ".." not in file.parts and not file.is_absolute()]
    wrapping = _wrapping([file for file, _ in files])
    inside = [(file.relative_to(wrapping), read) for file, read in files]
    tops = {file.parts[0] for file, _ in inside if len(file.parts) > 1}
    has_splits = bool(tops) and all(top.lower() in SPLITS for top in tops) and "train" in {SPLITS[top.lower()] for top in tops}
    depth = 1 if has_splits else 0
    records = [
        Record(str(file), file.parts[depth], SPLITS[file.parts[0].lower()] if has_splits else None, read)
        for file, read in sorted(inside, key=lambda item: item[0].parts)
        if len(file.parts) > depth + 1
    ]
    if not records:
        found = ", ".join(sorted({str(file.parts[0]) for file, _ in inside})[:5]) or "nothing"
        raise SourceError(f"ingest.source: no images in class folders at {path}. Looked for: {LAYOUTS}. Found: {found}.")
    return Source(source_name(path), None, records, len(records))


def _wrapping(files: list[PurePosixPath]) -> PurePosixPath:
    """The folders that hold everything else and no file, as archives often have them; a folder of images is not one of them."""
    wrapping = PurePosixPath()
    visible = [file for file in files if _is_visible(file)]
    while True:
        inside = [file.relative_to(wrapping).parts for file in visible]
        tops = {parts[0] for parts in inside}
        if len(tops) != 1 or any(len(parts) < 3 for parts in inside) or next(iter(tops)).lower() in SPLITS:
            return wrapping
        wrapping /= tops.pop()


def _is_visible(path: PurePosixPath) -> bool:
    return not any(part.startswith(".") or part.lower() in IGNORED for part in path.parts)


# idx files


def _idx_files(folder: Path) -> dict[str, Path]:
    """The images' files by split."""
    matches = {file: IDX_IMAGES.match(file.name) for file in sorted(folder.iterdir())}
    found = {IDX_SPLITS.get(match["split"].lower(), "train"): file for file, match in matches.items() if match}
    return {split: found[split] for split in ("train", "test") if split in found}


def _open_idx(folder: Path) -> Source:
    pairs = {split: (_read_idx(file), _read_idx(_labels_beside(file))) for split, file in _idx_files(folder).items()}
    for split, (images, labels) in pairs.items():
        if len(images) != len(labels):
            raise SourceError(f"ingest.source: {folder} has {len(images)} {split} images but {len(labels)} labels.")
    names = _idx_class_names(folder, 1 + max(int(labels.max(initial=0)) for _, labels in pairs.values()))
    has_test = "test" in pairs
    records = (
        Record(f"{split}/{i:06d}.png", names[label], split if has_test else None, _Pixels(images[i]))
        for split, (images, labels) in pairs.items()
        for i, label in enumerate(labels)
    )
    return Source(source_name(folder), names, records, sum(len(labels) for _, labels in pairs.values()))


@dataclass(frozen=True)
class _Pixels:
    """An idx image holds bare pixels: it becomes a PNG."""

    pixels: np.ndarray

    def __call__(self) -> bytes:
        return encode_png(self.pixels)


def _labels_beside(images: Path) -> Path:
    name = re.sub("idx3", "idx1", re.sub("images", "labels", images.name))
    for candidate in (name, name.removesuffix(".gz"), name + ".gz"):
        if (images.parent / candidate).is_file():
            return images.parent / candidate
    raise SourceError(f"ingest.source: {images.name} has no labels beside it. Expected {name} in {images.parent}.")


def _read_idx(path: Path) -> np.ndarray:
    """The array of an idx file, uint8. Raises SourceError for a damaged one."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
        if content[:3] != b"\0\0\x08":
            raise ValueError("it does not start as an idx file of bytes does")
        dimensions = content[3]
        shape = np.frombuffer(content, ">u4", dimensions, 4)
        return np.frombuffer(content, np.uint8, int(np.prod(shape)), 4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError) as error:
        raise SourceError(f"ingest.source: {path} is damaged: {error}. Get the file again.") from None


def _idx_class_names(folder: Path, count: int) -> list[str]:
    file = folder / "classes.txt"
    if not file.is_file():
        return [str(label) for label in range(count)]
    names = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if len(names) < count:
        raise SourceError(f"ingest.source: {file} names {len(names)} classes, but the labels go up to {count - 1}.")
    return names
