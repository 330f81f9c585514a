"""The places that the project writes to: no source of images may be in, above or the same as one of them, and none may be a link.

Places and their parents are compared by device and inode, so that links, `..` and letter case do not matter.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import SourceError, StorageError
from pipeline.own_files import MADE, refuse_others
from pipeline.paths import STAGES, Paths

MOST_LINKS = 40  # as many as Linux follows


class Identity(NamedTuple):
    """What identifies a file or folder, whatever its name."""

    device: int
    inode: int


def refuse_shared_source(source: Path, paths: Paths) -> None:
    """Raise SourceError if the images are in, above or the same as a place that the project writes to. Changes nothing."""
    roots = dict.fromkeys((paths.root, paths.project))
    own_copy = _identity(paths.root) if paths.root != paths.project else None  # its content is in .dvc of the project, too
    places = _ways(source)
    if len(places) > 1:  # DVC links files to its cache if cache.type says so, and never overwrites them
        places = [place for place in places if not place.is_relative_to(paths.project / ".dvc" / "cache")]
    around = {found for place in places for found in _upwards(place, own_copy)}
    itself = _identity(source)
    for root in roots:
        for written in _written(root):
            shown = str(written.relative_to(paths.root)) if written.is_relative_to(paths.root) else str(written)
            if (found := _identity(written)) is not None and found in around:
                relation = "is" if found == itself else "lies in"
                raise SourceError(
                    f"ingest.source: {_described(source)} {relation} {shown}, where the pipeline and its tools write and remove files. "
                    "Move the images to a folder of their own, such as data/photos, and set ingest.source to it."
                )
            if itself is not None and any(itself in _upwards(place, None) for place in _ways(written)):
                raise SourceError(
                    f"ingest.source: {_described(source)} holds {shown}, where the pipeline and its tools write and remove files. "
                    "Move the images to a folder of their own, such as data/photos, and set ingest.source to it."
                )


def refuse_links(paths: Paths) -> None:
    """Raise StorageError if a folder or file that stages write to is a link: DVC tracks only files inside the project."""
    for folder in (paths.root / "data", *(paths.stage(name) for name in STAGES)):
        if folder.is_symlink():
            raise _linked(folder, paths)
        if folder.exists() and not folder.is_dir():
            raise StorageError(f"{paths.relative(folder)} is a file; the stages need a folder there. Move it elsewhere.")
        inside = sorted(folder.iterdir()) if folder.is_dir() and folder.name in STAGES else []
        for path in inside:
            if path.is_symlink() and path.is_dir():
                raise _linked(path, paths)
    for file in (paths.ledger, paths.classes, paths.known_images, paths.verdicts):
        if file.is_symlink():
            raise StorageError(
                f"{paths.relative(file)} is a link to {file.readlink()}: a run would replace the link and leave its target unchanged. "
                "Replace the link with the file itself."
            )


def refuse_other_files(paths: Paths, stages: Sequence[str] = STAGES) -> None:
    """Raise StorageError, with a line per stage, for foreign files where stages or DVC remove their own files."""
    faults = [fault for name in stages if (fault := _other_files(name, paths))]
    if faults:
        raise StorageError("\n".join(faults))


def _other_files(name: str, paths: Paths) -> str:
    try:
        if name in MADE:
            outs = [out.relative_to(paths.stage(name)).as_posix() for out in _outs(name, paths) if out.is_relative_to(paths.stage(name))]
            refuse_others(paths.stage(name), [*MADE[name], *outs])
        else:
            _refuse_folders_for_files(name, paths)
    except StorageError as error:
        return str(error)
    return ""


def _refuse_folders_for_files(stage: str, paths: Paths) -> None:
    for out in _outs(stage, paths):
        if out.suffix and out.is_dir() and not out.is_symlink():
            raise StorageError(
                f"{paths.relative(out)} is a folder, where stage {stage} writes a file of that name. Nothing was deleted. Move it elsewhere."
            )


def _outs(stage: str, paths: Paths) -> list[Path]:
    """The outputs of a stage in dvc.yaml; empty if that cannot be read, which DVC reports itself."""
    try:
        described = YAML(typ="safe").load(paths.root / "dvc.yaml")["stages"][stage]
        entries = [entry for kind in ("outs", "metrics", "plots") for entry in described.get(kind, [])]
        return [paths.root / str(next(iter(entry)) if isinstance(entry, dict) else entry) for entry in entries]
    except (OSError, YAMLError, KeyError, TypeError, AttributeError):
        return []


def _linked(path: Path, paths: Paths) -> StorageError:
    return StorageError(
        f"{paths.relative(path)} is a link to {path.readlink()}, but DVC tracks only files inside the project. "
        f"Replace it with a folder: `rm {paths.relative(path)}` removes only the link. To keep large files on another disk, "
        "move the whole project there, or DVC's cache (`dvc cache dir`)."
    )


def _written(root: Path) -> Iterator[Path]:
    yield from (root / "data" / name for name in STAGES)
    lists = ("splits.csv", "classes.json", "known_images.csv", "verdicts.csv")
    yield from (root / name for name in ("mlruns", ".checkpoints", ".dvc", ".git", *(f"data/{name}" for name in lists)))


def _described(source: Path) -> str:
    real = os.path.realpath(source)
    return str(source) if real == os.path.normpath(source) else f"{source} (which is {real})"


def _upwards(place: Path, last: Identity | None) -> Iterator[Identity]:
    """The identities of a place and its parents, stopping before `last`, whose parents do not count."""
    for folder in (place, *place.parents):
        if (found := _identity(folder)) is not None:
            if found == last:
                return
            yield found


def _ways(path: Path) -> list[Path]:
    """Each link on the way to a path, and its final target, each as a path without links above it."""
    waiting = list(reversed(path.absolute().parts))
    at = Path(waiting.pop())
    met: list[Path] = []
    while waiting and len(met) < MOST_LINKS:
        name = waiting.pop()
        if name == "..":
            at = at.parent
            continue
        try:
            target = (at / name).readlink()
        except OSError:  # no link, or not there
            at = at / name
            continue
        met.append(at / name)
        waiting += reversed(target.parts)
        if target.is_absolute():
            at = Path(waiting.pop())
    return [*met, at]


def _identity(path: Path) -> Identity | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - one call, and no exception is worth more
    except (OSError, ValueError):
        return None
    return Identity(status.st_dev, status.st_ino)
