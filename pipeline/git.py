"""Git's answers about a folder, or why there is none. Changes nothing; knows nothing of the project."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_SECONDS = 30.0
# Set inside a git hook, where they would send git to another repository than the folder's
OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
IS_MISSING = "git is not installed"
NO_REPOSITORY = "no git repository here"


@dataclass(frozen=True)
class Answer:
    """Git's output, or in one line why there is none; `fix` says what to do."""

    text: str = ""
    fault: str = ""
    fix: str = ""


def ask_git(folder: Path, *arguments: str, timeout_seconds: float = TIMEOUT_SECONDS) -> Answer:
    """The answer of a git command in `folder`."""
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_HOOK} | {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, text=True, errors="replace", timeout=timeout_seconds, env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError:
        return Answer(fault=IS_MISSING, fix="install git: DVC keeps the history of the project in it")
    except subprocess.TimeoutExpired:
        return Answer(fault=f"git did not answer in {timeout_seconds:g} s", fix=f"see what `git -C {folder} status` waits for")
    except OSError as error:
        return Answer(fault=f"git cannot be started: {error.strerror}", fix="see that the file `which git` names can be run")
    if done.returncode == 0:
        return Answer(text=done.stdout.strip("\n"))
    return _refusal(folder, done.stderr)


def _refusal(folder: Path, said: str) -> Answer:
    if "dubious ownership" in said:
        named = re.search(r"repository at '([^']+)'", said)
        place = named[1] if named else str(folder)
        owner = "git does not read this repository, as it belongs to another user"
        return Answer(fault=owner, fix=f"if you trust it, run `git config --global --add safe.directory '{place}'`")
    if "not a git repository" in said and "not a git repository:" not in said:  # with a colon: a .git that points nowhere
        return Answer(
            fault=NO_REPOSITORY,
            fix="clone the project; or, for a copy without history, run `git init` here, or `dvc config --local core.no_scm true`",
        )
    if "unknown revision" in said or "Needed a single revision" in said:
        return Answer(fault="the git repository has no commit yet", fix="commit the project: `git add -A; git commit -m start`")
    first = next((line.removeprefix("fatal: ") for line in said.splitlines() if line.strip()), "git failed and said nothing")
    return Answer(fault=f"git cannot read the repository: {first}", fix=f"see `git -C {folder} status`")
