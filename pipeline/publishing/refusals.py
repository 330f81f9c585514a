"""Why a run cannot be published: what is seen before it starts, and what would make the branch say something that did not happen."""

from collections.abc import Iterable

from pipeline.errors import ConfigError, StageError
from pipeline.git import ask_git
from pipeline.names import listed
from pipeline.option_types import DEFAULT_BRANCH
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.tracking.provenance import stages_of

MOST_NAMED = 3


def refuse_branch(paths: Paths, branch: str) -> str:
    """The commit that is checked out. Raises ConfigError for a name that is none, a branch that is checked out, and where git cannot commit."""
    head = ask_git(paths.root, "rev-parse", "--verify", "HEAD^{commit}")
    if head.fault:
        raise ConfigError(f"--publish: {head.fault}. To publish, {head.fix}.")
    named = ask_git(paths.root, "check-ref-format", "--branch", branch).text
    if not named or named != branch or branch == "@" or branch.startswith("refs/"):
        raise ConfigError(f"--publish: {branch!r} cannot be the name of a branch. Use letters, digits, - and /, as in {DEFAULT_BRANCH}.")
    trees = ask_git(paths.root, "worktree", "list", "--porcelain").text.split("\n\n")
    if at := next((tree for tree in trees if f"branch refs/heads/{branch}" in tree.splitlines()), ""):
        folder = at.splitlines()[0].removeprefix("worktree ")
        raise ConfigError(
            f"--publish: {branch} is checked out in {folder}, and a checked-out branch is never written to. "
            f"Publish to another branch, --publish=NAME, or switch to the branch with your code: `git switch NAME`."
        )
    for role in ("AUTHOR", "COMMITTER"):
        if ask_git(paths.root, "var", f"GIT_{role}_IDENT").fault:
            raise ConfigError('--publish: git does not know who commits. Run `git config user.name "…"` and `git config user.email "…"`.')
    return head.text


def refuse_dirty(paths: Paths) -> None:
    """Raise StageError for uncommitted changes of anything but what a run writes: the commit would not be what has run."""
    written = {paths.relative(file) for file in paths.kept_in_git}
    edited = _asked(paths, "diff", "--name-only", "-z", "--relative", "HEAD")
    added = _asked(paths, "ls-files", "--others", "--exclude-standard", "-z", "--", *_read_from_git(paths))
    files = [name for name in [*edited, *added] if name not in written]
    if files:
        verb, it = ("is", "it") if len(files) == 1 else ("are", "them")
        raise StageError(
            f"{listed(files, MOST_NAMED)} {verb} not committed, so the branch would not have what has run. Commit {it} "
            "or take the changes back"
        )


def _asked(paths: Paths, *arguments: str) -> list[str]:
    answer = ask_git(paths.root, *arguments)
    if answer.fault:
        raise StageError(f"{answer.fault}; {answer.fix}")
    return list(filter(None, answer.text.split("\0")))


def _read_from_git(paths: Paths) -> Iterable[str]:
    """What the stages depend on that is neither the source nor an output: code, parameters, the lists that `ingest` extends."""
    source = load_config(paths.params).source_path(paths.root)
    entries = stages_of(paths.dvc_lock).values()
    outs = {str(out["path"]) for entry in entries for out in entry.get("outs", [])}
    deps = {str(dep["path"]) for entry in entries for dep in entry.get("deps", [])} - outs
    inside = {name for name in deps if "://" not in name and (paths.root / name).is_relative_to(paths.root)}
    return ["dvc.yaml", *sorted(name for name in inside if not (paths.root / name).is_relative_to(source))]
