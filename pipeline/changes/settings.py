"""How parameters and code of two versions differ. Values of their runs and tags in; git is asked for the commits between."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.git import ask_git

COMMIT, DIRTY = "mlflow.source.git.commit", "git_dirty"
MOST_COMMITS = 50
NOT_PARAMETERS = ("data_", "chosen.", "train_images", "validation_images")
ABSENT = "not there"


@dataclass(frozen=True)
class CodeChanges:
    """Two commits, empty if not recorded; whether code or parameters differed from each; commits between, newest first, None if git does not tell."""

    before: str
    now: str
    dirty_before: bool
    dirty_now: bool
    commits: Sequence[tuple[str, str]] | None
    more: int


def compare_params(before: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(name, before, now) of the parameters that differ, in alphabetical order."""
    names = sorted(name for name in before.keys() | now.keys() if not name.startswith(NOT_PARAMETERS))
    pairs = [(name, before.get(name, ABSENT), now.get(name, ABSENT)) for name in names]
    return [(name, old, new) for name, old, new in pairs if old != new]


def compare_code(before: Mapping[str, str], now: Mapping[str, str], root: Path) -> CodeChanges:
    """The changes between the commits in the tags of two versions."""
    old, new = before.get(COMMIT, ""), now.get(COMMIT, "")
    commits: list[tuple[str, str]] | None = None
    if old and new:
        found = ask_git(root, "log", "--format=%H %s", f"{old}..{new}", "--", ".")
        if not found.fault:
            lines = [line.partition(" ") for line in found.text.splitlines() if line]
            commits = [(commit[:10], subject) for commit, _, subject in lines]
    is_dirty = [tags.get(DIRTY) == "true" for tags in (before, now)]
    more = max(0, len(commits or ()) - MOST_COMMITS)
    return CodeChanges(old, new, is_dirty[0], is_dirty[1], None if commits is None else commits[:MOST_COMMITS], more)
