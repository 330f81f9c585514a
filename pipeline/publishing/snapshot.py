"""What a run wrote as a commit on a branch that nobody has checked out.

The tree is that of the checked-out commit, with the files of the run in place of its own. It is made in an index of its own: the checkout,
its index and the list of worktrees stay as they are, and a kill at any moment leaves nothing that the next call does not write anew.
"""

from pathlib import Path

from pipeline.errors import StageError
from pipeline.paths import Paths
from pipeline.publishing.git_writes import holds, write
from pipeline.registry.decision import read_decision


def snapshot(paths: Paths, branch: str, head: str, others: str) -> str:
    """The commit that is the tip of the branch from now on; the tip of before if it says the same.

    head: what is checked out. others: the tip of the branch on `origin`, or empty. Raises StageError if that has what is not known here.
    """
    tree = _tree(paths, head)
    tip = tip_of(paths.root, branch)
    for known in filter(None, (others, tip)):
        if _is_same(paths.root, known, tree, head) and all(_contains(paths.root, known, other) for other in filter(None, (others, tip))):
            return _move(paths.root, branch, known, tip)
    if others and not any(_contains(paths.root, known, others) for known in filter(None, (tip, head))):
        raise StageError(
            f"origin's {branch} has commits that are not known here, as another machine publishes to it. Commit the results of this one "
            f"(`git add -u; git commit -m Results`), run `git fetch; git merge origin/{branch}`, and do what `pipeline check` says"
        )
    parents = _parents(paths.root, [*filter(None, (tip, others)), head])
    flags = [part for parent in parents for part in ("-p", parent)]
    return _move(paths.root, branch, write(paths.root, "commit-tree", tree, *flags, "-m", _message(paths)), tip)


def tip_of(root: Path, branch: str) -> str:
    """The commit of a local branch; empty if there is none."""
    return write(root, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")


def _tree(paths: Paths, head: str) -> str:
    index = paths.scratch / "publish-index"
    for left in (index, index.with_name(f"{index.name}.lock")):
        left.unlink(missing_ok=True)
    files = [paths.relative(file) for file in paths.kept_in_git]
    write(paths.root, "read-tree", head, index=index)
    write(paths.root, "update-index", "--add", "--remove", "--", *files, index=index)
    tree = write(paths.root, "write-tree", index=index)
    index.unlink(missing_ok=True)
    return tree


def _is_same(root: Path, commit: str, tree: str, head: str) -> bool:
    """Whether a commit has this tree, and everything that is checked out behind it."""
    return write(root, "rev-parse", f"{commit}^{{tree}}") == tree and _contains(root, commit, head)


def _contains(root: Path, commit: str, earlier: str) -> bool:
    return holds(root, "merge-base", "--is-ancestor", earlier, commit)


def _parents(root: Path, commits: list[str]) -> list[str]:
    """The commits without those that another one contains."""
    distinct = list(dict.fromkeys(commits))
    return [one for one in distinct if not any(other != one and _contains(root, other, one) for other in distinct)]


def _move(root: Path, branch: str, commit: str, before: str) -> str:
    if commit != before:
        write(root, "update-ref", "-m", "pipeline: published", f"refs/heads/{branch}", commit, before or "0" * len(commit))
    return commit


def _message(paths: Paths) -> str:
    decision = read_decision(paths)
    if not decision:
        return "Record a run"
    return f"Record a run: {'champion' if decision['promoted'] else 'not promoted'}\n\n{decision['reason']}"
