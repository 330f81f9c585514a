"""Git commands that write objects and branches, and ask `origin`. None touches the index or the files of the checkout; none asks a person."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import StageError
from pipeline.git import OF_A_HOOK

LOCAL_SECONDS = 60.0
NETWORK_SECONDS = 600.0
NOT_THERE = 2  # `git ls-remote --exit-code`: the server answered, and has no such branch


def write(root: Path, *arguments: str, index: Path | None = None, seconds: float = LOCAL_SECONDS) -> str:
    """The output of a git command in `root`, which works on the index given instead of the checkout's. Raises StageError with git's reason."""
    done = _run(root, arguments, index, seconds)
    if done.returncode:
        raise StageError(f"git {arguments[0]}: {_reason(done.stderr)}")
    return done.stdout.strip()


def holds(root: Path, *arguments: str) -> bool:
    """The answer of a git command that says yes or no by its exit code. Raises StageError for any other."""
    done = _run(root, arguments, None, LOCAL_SECONDS)
    if done.returncode not in (0, 1):
        raise StageError(f"git {arguments[0]}: {_reason(done.stderr)}")
    return done.returncode == 0


def branch_of_origin(root: Path, branch: str) -> str:
    """The commit of a branch on `origin`, fetched; empty if the server answers that it has none. Raises StageError if it does not answer."""
    ref = f"refs/heads/{branch}"
    done = _run(root, ("ls-remote", "--exit-code", "origin", ref), None, NETWORK_SECONDS)
    if done.returncode == NOT_THERE:
        return ""
    if done.returncode:
        raise StageError(f"origin does not answer: {_reason(done.stderr)}")
    write(root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin", ref, seconds=NETWORK_SECONDS)
    return done.stdout.split()[0]


def push_to_origin(root: Path, commit: str, branch: str) -> None:
    """Make a commit the tip of a branch on `origin`, which only ever grows. Raises StageError with the reason of a refusal."""
    done = _run(root, ("push", "--quiet", "origin", f"{commit}:refs/heads/{branch}"), None, NETWORK_SECONDS)
    if done.returncode:
        raise StageError(f"origin refuses {branch}: {_refusal(done.stderr)}")


def _run(root: Path, arguments: Iterable[str], index: Path | None, seconds: float) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_HOOK}
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    if index:
        environment["GIT_INDEX_FILE"] = str(index)
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True, text=True, errors="replace", timeout=seconds, env=environment, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise StageError(f"git {next(iter(arguments))} did not end in {seconds:g} s") from None
    except OSError as error:
        raise StageError(f"git cannot be started: {error.strerror}") from None


def _refusal(said: str) -> str:
    """Why a push failed: git's line with the reason in brackets, or what a hook of the server said, or git's own failure."""
    lines = [line.strip() for line in said.splitlines()]
    by_hook = [line.removeprefix("remote: ").strip() for line in lines if line.startswith("remote: ") and line != "remote: "]
    rejected = next((line for line in lines if line.startswith("!")), "")
    reason = rejected.rpartition("(")[2].rstrip(")") if rejected else _reason(said)
    return f"{reason} ({by_hook[0]})" if by_hook and rejected else reason


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    fatal = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "it said nothing")
    return fatal.removeprefix("fatal: ").removeprefix("error: ").rstrip(".")
