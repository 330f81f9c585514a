"""Unused files of DVC's cache, by `dvc gc`: what is referenced elsewhere is given to it as a project of its own that shares the cache."""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.errors import StageError
from pipeline.housekeeping.referenced import Out
from pipeline.paths import Paths
from pipeline.pedigree.data_at import cache_and_remotes
from pipeline.processes import run
from pipeline.workspace.dvc_faults import failure
from pipeline.workspace.dvc_repro import dvc_environment

REMOVING = "Removing "


def why_shared(paths: Paths) -> str:
    """Why the cache is left alone: it lies outside of the project, so others may use it. Empty if it does not."""
    cache = cache_and_remotes(paths.root)[0].resolve()
    return "" if cache.is_relative_to(paths.root.resolve()) else f"DVC's cache is {cache}, outside of the project: others may use it"


def unused(paths: Paths, kept: Iterable[Out]) -> list[Path]:
    """The files of the cache that neither the working tree nor `kept` names. Raises StageError if DVC cannot tell."""
    lines = _collect(paths, kept, "--dry", "--verbose")
    found = [Path(line.partition(REMOVING)[2].strip()) for line in lines if REMOVING in line]
    return [file for file in found if file.is_absolute() and file.exists()]


def remove_unused(paths: Paths, kept: Iterable[Out]) -> None:
    """Remove these files. Raises StageError if DVC cannot."""
    _collect(paths, kept, "--force")


def _collect(paths: Paths, kept: Iterable[Out], *options: str) -> list[str]:
    folder = paths.scratch / "clean"
    _write_project(folder, cache_and_remotes(paths.root)[0], kept)
    lines: list[str] = []
    command = [sys.executable, str(Path(sys.executable).with_name("dvc")), "gc", "--workspace", *options, "--projects", str(folder)]
    try:
        if run(command, lines.append, cwd=paths.root, env=dvc_environment()):
            raise StageError(failure("dvc gc", lines))
    finally:
        (folder / ".dvc" / "cache").unlink(missing_ok=True)  # a link: what follows must not enter it
        shutil.rmtree(folder, ignore_errors=True)
    return lines


def _write_project(folder: Path, cache: Path, kept: Iterable[Out]) -> None:
    """A project without git whose outs are `kept`, as far as the cache has them: for others DVC would ask a remote."""
    (folder / ".dvc" / "cache").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n", encoding="utf-8")
    cache.mkdir(parents=True, exist_ok=True)
    (folder / ".dvc" / "cache").symlink_to(cache.resolve())
    outs = [
        {"md5": out.md5, **({"hash": out.kind} if out.kind else {}), "path": f"{number}"}
        for number, out in enumerate(sorted(kept, key=lambda out: (out.md5, out.kind)))
        if _place(cache, out).exists()
    ]
    if outs:
        YAML().dump({"outs": outs}, folder / "kept.dvc")


def _place(cache: Path, out: Out) -> Path:
    return (cache / "files" / "md5" if out.kind == "md5" else cache) / out.md5[:2] / out.md5[2:]
