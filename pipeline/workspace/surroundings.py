"""What around the project stops a run: no home, folders that are not writable, git, DVC's graph.

Each fault says what was found and what to do about it. Takes a tenth of a second: no heavy package is imported.
"""

import configparser
import contextlib
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError, StorageError
from pipeline.git import IS_MISSING, NO_REPOSITORY, ask_git
from pipeline.paths import STAGES, Paths
from pipeline.python_path import CODE
from pipeline.workspace.dvc_graph import read_graph
from pipeline.workspace.dvc_lock import check_lock
from pipeline.workspace.merge_conflicts import refuse_merge_conflicts

SECONDS_FOR_GIT = 5.0


@dataclass(frozen=True)
class Finding:
    """What was checked, what was found, and how to fix it if it is wrong. `warns`: a run works, but not as one may expect."""

    subject: str
    found: str
    fix: str = ""
    warns: bool = False


def foreign_code(paths: Paths) -> str:
    """What to do if the workspace has its own code and this is not it; empty if all is well.

    `python -m pipeline` takes the workspace's, unless PYTHONSAFEPATH keeps it from looking there.
    """
    own = paths.root / "pipeline"
    if not (own / "__main__.py").is_file() or own.resolve() == (CODE / "pipeline").resolve():
        return ""
    return (
        f"this is the code of {CODE}, but {paths.root} has its own: start it there with `python -m pipeline`, "
        "or run `make install` there; unset PYTHONSAFEPATH if it is set"
    )


def refuse_what_stops_a_run(paths: Paths) -> None:
    """Raise StorageError for the first problem around the project that would stop a run; `pipeline check` names them all."""
    for look in (folders, home, temporary_files, repository, graph):
        finding = look(paths)
        if look is repository and NO_REPOSITORY not in finding.found:
            continue  # DVC reads the repository in its own way, and models are tagged with git's error
        if finding.fix:
            raise StorageError(f"{finding.subject}: {finding.found}. Fix: {finding.fix}.")


def settle_home(paths: Paths) -> None:
    """Give the tools folders in .checkpoints/ if there is no home, or none that is writable: Prefect needs one to start."""
    os.environ.setdefault("HOME", str(paths.scratch / "home"))
    default = Path(os.environ["HOME"]) / ".prefect"
    if "PREFECT_HOME" not in os.environ and cannot_hold_files(default):
        os.environ["PREFECT_HOME"] = str(paths.scratch / "prefect")
        os.environ.setdefault("MPLCONFIGDIR", str(paths.scratch / "matplotlib"))


def make_homes() -> None:
    """Create the home folders if they do not exist: Prefect does not start without its own, and creates no parent folders."""
    for folder in (os.environ.get("HOME"), os.environ.get("PREFECT_HOME")):
        if folder:
            with contextlib.suppress(OSError):  # `home` reports it
                Path(folder).expanduser().mkdir(parents=True, exist_ok=True)


def home(_: Paths) -> Finding:
    """The user and the folder of Prefect's database, by default in the home folder."""
    user = next((os.environ[name] for name in ("LOGNAME", "USER", "LNAME", "USERNAME") if name in os.environ), "")
    folder = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    if fault := cannot_hold_files(folder):
        return Finding("home", f"Prefect keeps its history in {folder}, but {fault}", "set PREFECT_HOME to a writable folder")
    return Finding("home", f"{user}, Prefect's history in {folder}")


def temporary_files(_: Paths) -> Finding:
    """The folder for temporary files."""
    asked = next((os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if name in os.environ), "")
    try:
        folder = tempfile.gettempdir()
    except OSError:
        return Finding("temporary files", "no writable folder for them", "set TMPDIR to a writable folder")
    if asked and os.path.realpath(folder) != os.path.realpath(asked):
        return Finding("temporary files", f"TMPDIR is {asked}, which cannot be used", "set TMPDIR to a folder that is there, or unset it")
    return Finding("temporary files", "")


def folders(paths: Paths) -> Finding:
    """The folders of the project that a run writes to."""
    written = [
        paths.root,
        paths.root / "data",
        *map(paths.stage, STAGES),
        paths.scratch,
        *(paths.project / ".dvc" / name for name in ("tmp", "cache", "cache/files/md5")),
    ]
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        written.append(paths.mlruns)
    for folder in written:
        if fault := cannot_hold_files(folder):
            return Finding("folders", fault, f"make {folder} a writable folder: `ls -ld {shlex.quote(str(folder))}`")
    for file in _written_files(paths):
        if os.path.lexists(file) and not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
            return Finding(
                "folders", f"{file} is not a file that you may read and write", f"check its owner: `ls -ld {shlex.quote(str(file))}`"
            )
    return Finding("folders", "")


def _written_files(paths: Paths) -> Iterator[Path]:
    """Existing files that a run writes to; a run by another user, such as root in a container, may have left them."""
    yield from (paths.dvc_lock, paths.ledger, paths.classes)
    yield from (paths.project / ".dvc" / "tmp" / name for name in ("lock", "rwlock", "rwlock.lock"))
    yield from paths.scratch.glob("*.lock")
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        yield from (paths.mlruns / name for name in ("mlflow.db", "mlflow.db-wal", "mlflow.db-shm", ".lock"))


def cannot_hold_files(folder: Path) -> str:
    """Why files cannot be written to a folder, which may have to be created first; empty if they can."""
    try:
        for place in (folder, *folder.parents):
            if place.is_dir():
                return "" if os.access(place, os.W_OK | os.X_OK) else f"you may not write to {place}"
            if os.path.lexists(place):
                return f"{place} is not a folder"
    except OSError as error:
        return f"{error.strerror}"
    return "no such place"


def repository(paths: Paths) -> Finding:
    """Whether git can read the project's history. Without it a run continues, but models do not record a commit."""
    answer = ask_git(paths.project, "rev-parse", "--git-dir", timeout_seconds=SECONDS_FOR_GIT)
    if answer.fault == IS_MISSING:
        return Finding("git", "not found", answer.fix)
    if answer.fault == NO_REPOSITORY and _works_without_git(paths):
        return Finding("git", "no repository here: DVC works without one (core.no_scm), and models do not record a commit")
    version = ask_git(Path("/"), "--version").text.removeprefix("git version ")
    if answer.fault:
        return Finding("git", f"{version}, but {answer.fault}", answer.fix)
    commit = ask_git(paths.project, "rev-parse", "--verify", "HEAD", timeout_seconds=SECONDS_FOR_GIT)
    return Finding("git", f"{version}, but {commit.fault}" if commit.fault else version)


def _works_without_git(paths: Paths) -> bool:
    """Whether DVC is configured to work without git."""
    settings = configparser.ConfigParser(strict=False, interpolation=None)
    with contextlib.suppress(configparser.Error, UnicodeDecodeError, ValueError):
        settings.read([paths.project / ".dvc" / "config", paths.project / ".dvc" / "config.local"], encoding="utf-8")
        return settings.getboolean("core", "no_scm", fallback=False)
    return False


def graph(paths: Paths) -> Finding:
    """dvc.yaml and DVC's own folder."""
    if not Path(sys.executable).with_name("dvc").exists():
        return Finding("DVC", f"no dvc beside {sys.executable}", "run `make install`")
    if not (paths.project / ".dvc").is_dir():
        return Finding("DVC", "not set up here", "run `dvc init`")
    try:
        refuse_merge_conflicts(paths)
    except PipelineError:
        return Finding("DVC", "set up, in an unfinished merge", warns=True)  # the check of the parameters names its files
    try:
        check_lock(paths)
        stages = read_graph(paths)
    except PipelineError as error:
        found, _, advice = str(error).rstrip(".").partition(". ")
        return Finding("DVC", found, advice[:1].lower() + advice[1:])
    missing = [stage for stage in STAGES if stage not in stages]
    if missing:
        return Finding("DVC", f"dvc.yaml lacks {', '.join(missing)}", "restore dvc.yaml from git: `git checkout -- dvc.yaml`")
    return Finding("DVC", "set up" if paths.dvc_lock.exists() else "set up, no run yet")


LOOKS: tuple[Callable[[Paths], Finding], ...] = (folders, home, temporary_files, repository, graph)
