"""The data that something names: every branch, tag, stash and experiment, every worktree, and every registered version. Reads only.

What cannot be read is an error, never "names nothing".
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import StorageError
from pipeline.git import ask_git
from pipeline.paths import Paths
from pipeline.pedigree.data_at import COMMIT_TAG, LOCK, find_lock
from pipeline.tracking.run_log import Tracker

SOURCE_STAGE = "ingest"


@dataclass(frozen=True)
class Out:
    """A file or folder in DVC's cache: its md5, and the kind of that digest (empty for those of DVC 2)."""

    md5: str
    kind: str


def referenced(paths: Paths, tracker: Tracker) -> set[Out]:
    """What is named by anything but the working tree of this project, which DVC knows itself. Raises StorageError or TrackingError.

    A registered version names its images as ingested and the source of its commit: what is needed to build it again. The rest is built from them.
    """
    blobs = {blob: name for commit in _tips(paths.root) for blob, name in _files_of_dvc(paths.root, commit)}
    found: set[Out] = set()
    with tempfile.TemporaryDirectory() as folder:
        for name in tracker.model_names():
            for version in tracker.all_versions(name):
                lock = find_lock(tracker, paths, version.run_id, version.tags, Path(folder))
                found |= _outs_of([lock.entries.get(SOURCE_STAGE, {})]) if lock else set()
                commit = version.tags.get(COMMIT_TAG, "")
                if commit and not ask_git(paths.root, "cat-file", "-e", f"{commit}^{{commit}}").fault:
                    blobs |= {blob: file for blob, file in _files_of_dvc(paths.root, commit) if file.endswith(".dvc")}
    for blob, name in blobs.items():
        found |= _outs_in(_git(paths.root, "cat-file", "blob", blob), f"{name} ({blob[:10]})")
    for file in _files_of_worktrees(paths.root):
        found |= _outs_in(file.read_text(encoding="utf-8"), str(file))
    return found


def _tips(root: Path) -> Iterator[str]:
    """The commits of all refs (branches, also of remotes, tags, DVC's experiments), of stashes and of worktrees."""
    listed = _git(root, "for-each-ref", "--format=%(objecttype) %(objectname) %(*objecttype) %(*objectname)")
    for parts in map(str.split, listed.splitlines()):
        yield from (commit for kind, commit in zip(parts[::2], parts[1::2], strict=True) if kind == "commit")
    yield from _git(root, "stash", "list", "--format=%H").split()
    for line in _git(root, "worktree", "list", "--porcelain").splitlines():
        if line.startswith("HEAD ") and set(line[5:]) != {"0"}:
            yield line[5:]


def _files_of_dvc(root: Path, commit: str) -> Iterator[tuple[str, str]]:
    """(blob, name) of dvc.lock and the .dvc files of a commit, as far as they belong to the project."""
    for entry in filter(None, _git(root, "ls-tree", "-r", "-z", commit).split("\0")):
        about, _, name = entry.partition("\t")
        if Path(name).name == LOCK or name.endswith(".dvc"):
            yield about.split()[2], name


def _files_of_worktrees(root: Path) -> Iterator[Path]:
    """dvc.lock and the tracked .dvc files as they are in the other worktrees, committed or not."""
    within = _git(root, "rev-parse", "--show-prefix")
    for line in _git(root, "worktree", "list", "--porcelain").splitlines():
        folder = Path(line.removeprefix("worktree ")) / within
        if not line.startswith("worktree ") or not folder.is_dir() or folder.resolve() == root.resolve():
            continue
        names = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", LOCK, "*.dvc").split("\0")
        yield from (folder / name for name in filter(None, names) if (folder / name).is_file())


def _outs_in(text: str, where: str) -> set[Out]:
    """The outs of a dvc.lock or a .dvc file."""
    try:
        document = YAML(typ="safe", pure=True).load(text) or {}
        stages: Mapping[str, Any] = document.get("stages", {})
        return _outs_of([document, *stages.values()])
    except (YAMLError, ValueError, AttributeError, TypeError, RecursionError):
        if "<<<<<<<" in text:  # a merge that was committed unfinished names nothing that DVC could find
            return set()
        raise StorageError(
            f"{where} cannot be read, so it is not known which data it names. Nothing was deleted. See `git log --all -- {LOCK}`."
        ) from None


def _outs_of(entries: Iterable[Mapping[str, Any]]) -> set[Out]:
    outs = [out for entry in entries for out in entry.get("outs", []) or []]
    return {Out(str(out["md5"]), str(out.get("hash", ""))) for out in outs if isinstance(out, Mapping) and out.get("md5")}


def _git(root: Path, *arguments: str) -> str:
    answer = ask_git(root, *arguments)
    if answer.fault:
        raise StorageError(f"{answer.fault}, so it is not known which data is named in it. Nothing was deleted; {answer.fix}.")
    return answer.text
