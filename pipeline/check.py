"""What a run needs, checked before anything is spent: the parameters, the source, and for `pipeline check` the machine and its tools.

Takes well under a second: no TensorFlow, MLflow or Prefect is imported, versions are read from their packages' metadata.
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline.config import Config, load_config
from pipeline.errors import PipelineError, SourceError
from pipeline.paths import STAGES, Paths
from pipeline.stores.decision import read_decision
from pipeline.stores.local_registry import registry_problem
from pipeline.stores.merge_conflicts import refuse_merge_conflicts
from pipeline.stores.records import readable
from pipeline.stores.tracking_server import check_reachable, is_server, tracking_uri
from pipeline.stores.written_places import refuse_links, refuse_other_files, refuse_shared_source

PACKAGES = ("tensorflow", "keras", "mlflow", "dvc", "prefect", "scikit-learn")
MIN_FREE_GIB = 2.0
SECONDS_PER_TOOL = 5
NAMED_FAULTS = 3


@dataclass(frozen=True)
class Finding:
    """One line of the table: what was looked at, what was found, and how to mend it where it is wrong."""

    subject: str
    found: str
    fix: str = ""


def check_inputs(paths: Paths) -> Config:
    """The checked parameters. Raises ConfigError, SourceError where the images are not there, TrackingError where MLflow's server is not."""
    config = check_places(paths)
    source = config.source_path(paths.root)
    if "://" not in config.ingest.source and not source.exists():
        raise SourceError(
            f"{paths.params.name}: ingest.source: {config.ingest.source} does not exist (looked for {source}). "
            "Set it to a folder of class folders, or to another layout of docs/data.md."
        )
    _refuse_what_dvc_cannot_read(source)
    for file in (paths.ledger, paths.classes):
        if not file.is_file():
            name = paths.relative(file)
            raise SourceError(f"{name} is not there: it records what earlier runs decided. Take it from git: `git checkout -- {name}`.")
    check_reachable(tracking_uri(paths))
    return config


def check_places(paths: Paths, stages: Sequence[str] = STAGES) -> Config:
    """The checked parameters, before any of the stages touches anything. Raises ConfigError for them and for an unfinished merge.

    Raises SourceError where the images lie where the project writes, StorageError where a folder that it writes to is a link or holds other files.
    """
    refuse_merge_conflicts(paths)
    config = load_config(paths.params)
    refuse_links(paths)
    if "://" not in config.ingest.source:
        refuse_shared_source(config.source_path(paths.root), paths)
    refuse_other_files(paths, stages)
    return config


def _refuse_what_dvc_cannot_read(source: Path) -> None:
    """Raise SourceError for what would stop DVC, or have it wait for ever, as it looks whether the source has changed; `ingest` itself could name it."""
    faults = list(itertools.islice(_unreadable(str(source)), NAMED_FAULTS + 1)) if source.is_dir() else []
    if faults:
        named = ", ".join(faults[:NAMED_FAULTS]) + (", …" if len(faults) > NAMED_FAULTS else "")
        raise SourceError(
            f"ingest.source: {source} holds what DVC cannot keep track of: {named}. Move it elsewhere, or pack the source into a .tar or .zip."
        )


def _unreadable(folder: str) -> Iterator[str]:
    """Pipes and devices, links that lead nowhere and names that are no text, in a folder and below."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = readable(entry.path)
            if name != entry.path:
                yield f"{name} (its name is not UTF-8)"
            elif entry.is_symlink() and not Path(entry.path).exists():
                yield f"{name} (a link that leads nowhere)"
            elif entry.is_dir(follow_symlinks=False):
                yield from _unreadable(entry.path)
            elif not entry.is_file() and not entry.is_dir():
                yield f"{name} (a pipe or device)"


def check_machine(paths: Paths) -> list[Finding]:
    """Everything that a run needs, one finding each."""
    checks: list[Callable[[Paths], Finding]] = [
        _check_python, _check_packages, _check_device, _check_git, _check_dvc, _check_disk, _check_store, _check_registry, _check_inputs,
    ]  # fmt: skip
    return [check(paths) for check in checks]


def table(findings: list[Finding]) -> str:
    """The findings as a table, and beneath it one `Fix:` line per problem."""
    width = max(len(finding.subject) for finding in findings)
    rows = [f"{'!' if finding.fix else '✓'} {finding.subject:<{width}}  {finding.found}" for finding in findings]
    return "\n".join(rows + [f"Fix: {line}" for finding in findings for line in finding.fix.splitlines()])


def _check_python(_: Paths) -> Finding:
    found = f"{sys.version.split()[0]}  {sys.executable}"
    supported = (3, 11) <= sys.version_info[:2] <= (3, 12)
    return Finding("Python", found, "" if supported else "use Python 3.11 or 3.12: make PYTHON=/path/to/python3.12 install")


def _check_packages(_: Paths) -> Finding:
    versions = dict(_versions())
    missing = [name for name, found in versions.items() if not found]
    found = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    return Finding("packages", found, f"run `make install`: missing {', '.join(missing)}" if missing else "")


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, ""


def _check_device(_: Paths) -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = _said(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).splitlines()
    return Finding("device", f"{cores} CPU cores{_bfloat16()}, " + (f"GPU: {', '.join(gpus)}" if gpus else "no NVIDIA GPU"))


def _bfloat16() -> str:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    return " with bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else ""


def _check_git(paths: Paths) -> Finding:
    installed = _said(["git", "--version"]).removeprefix("git version ")
    if not installed:
        return Finding("git", "not found", "install git: DVC keeps its history in it")
    if not _said(["git", "-C", str(paths.project), "rev-parse", "--git-dir"]):
        return Finding("git", f"{installed}, but no repository here", "run `git init`, or clone the project")
    return Finding("git", installed)


def _check_dvc(paths: Paths) -> Finding:
    if not Path(sys.executable).with_name("dvc").exists():
        return Finding("DVC", f"no dvc beside {sys.executable}", "run `make install`")
    if not (paths.project / ".dvc").is_dir():
        return Finding("DVC", "not set up here", "run `dvc init`")
    return Finding("DVC", "set up" if paths.dvc_lock.exists() else "set up, no run yet")


def _check_disk(paths: Paths) -> Finding:
    free_gib = shutil.disk_usage(paths.root).free / 2**30
    fix = f"make room: at least {MIN_FREE_GIB:g} GiB for data, models and their history" if free_gib < MIN_FREE_GIB else ""
    return Finding("disk", f"{free_gib:.1f} GiB free", fix)


def _check_store(paths: Paths) -> Finding:
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if server:
        return Finding("MLflow", f"MLFLOW_TRACKING_URI is {server}")
    folder = next(folder for folder in (paths.mlruns, *paths.mlruns.parents) if folder.exists())
    writable = os.access(folder, os.W_OK)
    return Finding("MLflow", str(paths.mlruns), "" if writable else f"make {folder} writable: MLflow keeps its runs there")


def _check_registry(paths: Paths) -> Finding:
    decision = read_decision(paths)
    if not decision:
        return Finding("registry", "nothing registered by this project yet")
    if is_server(tracking_uri(paths)):
        return Finding("registry", "on the tracking server; not asked")
    problem = registry_problem(paths)
    fix = "run `pipeline run`: it brings data/register/decision.json and the registry together" if problem else ""
    return Finding("registry", problem or f"{decision['model_name']}: as data/register/decision.json says", fix)


def _check_inputs(paths: Paths) -> Finding:
    try:
        config = check_inputs(paths)
    except PipelineError as error:
        return Finding("parameters", "not usable", str(error))
    return Finding("parameters", f"valid, images in {config.ingest.source}")


def _said(command: list[str]) -> str:
    """What a command prints, or nothing where it is missing, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_PER_TOOL, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
