"""The order in which a run is published: the commit, then its data to DVC's remote, then the branch to `origin`.

So whoever finds the branch finds the data. Each step that was done is found done by the next call, and what failed is tried again.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import BusyError, PipelineError, StageError
from pipeline.git import ask_git
from pipeline.paths import Paths
from pipeline.processes import one_at_a_time, run
from pipeline.publishing.git_writes import branch_of_origin, push_to_origin
from pipeline.publishing.refusals import refuse_branch, refuse_dirty
from pipeline.publishing.snapshot import snapshot
from pipeline.workspace.dvc_faults import failure
from pipeline.workspace.dvc_repro import dvc_environment

NO_REMOTE = "no remote specified"
SHORT = 10


class Published(NamedTuple):
    """How it ended, in one line, and whether everything that there is to do was done."""

    said: str
    is_done: bool


def publish(paths: Paths, branch: str, head: str, log: Callable[[str], None] = lambda _: None) -> Published:
    """Publish the results of the run that has just ended. Never raises for what may be mended: the model is registered, and a run has ended well.

    head: the commit that was checked out when the run started. log: gets what DVC says while it copies.
    """
    try:
        with one_at_a_time("publish", paths.root, paths.scratch):
            return _publish(paths, branch, head, log)
    except BusyError as error:
        return Published(f"not published: {error}", False)
    except PipelineError as error:
        return Published(f"not published: {_sentence(error)} The next run with --publish tries again.", False)


def _publish(paths: Paths, branch: str, head: str, log: Callable[[str], None]) -> Published:
    if refuse_branch(paths, branch) != head:
        raise StageError("another commit was checked out while it ran, so it is not clear what has run")
    refuse_dirty(paths)
    origin = "origin" in ask_git(paths.root, "remote").text.split()
    fault, others = "", ""
    try:
        others = branch_of_origin(paths.root, branch) if origin else ""
    except PipelineError as error:  # the commit is made all the same, and pushed next time
        fault = str(error)
    commit = snapshot(paths, branch, head, others)
    shown = f"commit {commit[:SHORT]} on {branch}"
    try:
        has_remote = _push_data(paths.root, log)
        if fault:
            raise StageError(fault)
        if origin and others != commit:
            push_to_origin(paths.root, commit, branch)
    except PipelineError as error:
        return Published(f"published on this machine only, as {shown}: {_sentence(error)} The next run with --publish tries again.", False)
    lacking = "" if has_remote else ". Its data stays on this machine, as DVC has no remote: `dvc remote add --default NAME URL`"
    return Published(f"published: {shown}{', pushed to origin' if origin else ''}{lacking}.", has_remote)


def _push_data(root: Path, log: Callable[[str], None]) -> bool:
    """Copy what dvc.lock names to DVC's default remote; False if there is none. Raises StageError with DVC's reason."""
    lines: list[str] = []
    dvc = Path(sys.executable).with_name("dvc")

    def take(line: str) -> None:
        lines.append(line)
        log(line)

    if not run([sys.executable, str(dvc), "push"], take, cwd=root, env=dvc_environment()):
        return True
    if any(NO_REMOTE in line for line in lines):
        return False
    raise StageError(failure("dvc push", lines))


def _sentence(error: PipelineError) -> str:
    text = " ".join(str(error).split()).removeprefix("--publish: ")
    return text if text.endswith(".") else f"{text}."
