"""What a run needs, checked before it starts: the parameters, the place of the source, and for `pipeline check` the machine and its tools.

Takes about a second: no TensorFlow, MLflow or Prefect is imported, versions are read from their packages' metadata.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.backbone.candidates import named_pretrained, refuse_missing_weights
from pipeline.errors import ConfigError, PipelineError, SourceError
from pipeline.installation import PYTHONS
from pipeline.labels.verdict_file import read_verdicts
from pipeline.listing.remote import ask
from pipeline.listing.stores import over_http
from pipeline.listing.written_places import refuse_links, refuse_other_files, refuse_shared_source
from pipeline.network import check_network, masked
from pipeline.packages import TENSORFLOW, tensorflow_packages, version_of
from pipeline.params.reader import Config, load_config
from pipeline.paths import STAGES, Paths
from pipeline.registry.decision import read_decision
from pipeline.registry.local import registry_problem
from pipeline.tracking.tracking_server import check_reachable, is_own_store, is_server, registry_at, registry_uri, tracking_uri
from pipeline.workspace.disk_need import used_by
from pipeline.workspace.dvc_faults import explain
from pipeline.workspace.gate_check import check_gate
from pipeline.workspace.merge_conflicts import refuse_merge_conflicts
from pipeline.workspace.surroundings import LOOKS, Finding, foreign_code
from pipeline.workspace.untracked import refuse_untracked

PACKAGES = ("tensorflow", "keras", "mlflow", "dvc", "prefect", "scikit-learn")
MIN_FREE_GIB = 2.0
SECONDS_PER_TOOL = 5
SECONDS_FOR_DVC = 30
SECONDS_FOR_A_SERVER = 2


def check_inputs(paths: Paths) -> Config:
    """The checked parameters. Raises ConfigError; SourceError if the images do not exist; TrackingError if MLflow's server cannot be reached.

    Raises WeightsError if the pretrained weights that they ask for are not installed.
    """
    config = check_places(paths)
    source = config.source_path(paths.root)
    if "://" not in config.ingest.source and not source.exists():
        elsewhere = "" if str(source) == config.ingest.source else f" (looked for {source})"
        raise SourceError(
            f"{paths.params.name}: ingest.source: {config.ingest.source} does not exist{elsewhere}. "
            "Set it to a folder of class folders, or to another layout of docs/data.md."
        )
    if over_http(config.ingest.source):
        ask(config.ingest.source, paths.scratch / "sources")  # DVC has the same words for any failure
    refuse_missing_weights(named_pretrained(config.model.name, config.model.weights))
    refuse_untracked(source)
    for file in (paths.ledger, paths.classes, paths.verdicts):
        if not file.is_file():
            name = paths.relative(file)
            raise SourceError(f"{name} does not exist: it records what was decided earlier. Restore it from git: `git checkout -- {name}`.")
    read_verdicts(paths.verdicts)
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


def check_machine(paths: Paths) -> list[Finding]:
    """Everything that a run needs, one finding each; possible obstacles only if they are present."""
    checks: list[Callable[[Paths], Finding]] = [
        *(_check_project, _check_python, _check_packages, _check_device, *LOOKS, _check_dvc_config),
        *(_check_network, _check_disk, _check_store, _check_registry, check_gate, _check_prefect, _check_inputs),
    ]  # fmt: skip
    return [finding for finding in (check(paths) for check in checks) if finding.found]


def table(findings: list[Finding]) -> str:
    """The findings as a table, and beneath it one `Fix:` line per problem."""
    width = max(len(finding.subject) for finding in findings)
    rows = [f"{'!' if finding.fix or finding.warns else '✓'} {finding.subject:<{width}}  {masked(finding.found)}" for finding in findings]
    return "\n".join(rows + [f"Fix: {masked(line)}" for finding in findings for line in finding.fix.splitlines()])


def _check_project(paths: Paths) -> Finding:
    return Finding("project", str(paths.root), foreign_code(paths))


def _check_python(_: Paths) -> Finding:
    found = f"{sys.version.split()[0]}  {sys.executable}"
    first, last = PYTHONS
    if first <= sys.version_info[:2] <= last:
        return Finding("Python", found)
    newest = f"python{last[0]}.{last[1]}"
    return Finding("Python", found, f"use Python {first[0]}.{first[1]} to {last[0]}.{last[1]}: make PYTHON=/path/to/{newest} install")


def _check_packages(_: Paths) -> Finding:
    versions = dict(_versions())
    missing = [name for name, found in versions.items() if not found]
    tensorflow = tensorflow_packages()
    names = {TENSORFLOW[0]: " and ".join(tensorflow)}
    found = ", ".join(f"{names.get(name, name)} {number}" for name, number in versions.items() if number)
    if missing:
        return Finding("packages", found or "none", f"run `make install`: missing {', '.join(missing)}")
    if len(tensorflow) > 1:
        return Finding("packages", found, f"run `rm -rf .venv`, then `make install`: {' and '.join(tensorflow)} write the same files")
    if not _starts_here(Path(sys.executable).with_name("mlflow")):
        return Finding("packages", f"{found}, but installed for another folder", "run `make install`: the project has been moved or copied")
    return Finding("packages", found)


def _starts_here(script: Path) -> bool:
    """False if a command of the environment calls the Python of another folder, as after the project has been moved."""
    try:
        with script.open("rb") as file:
            head = file.read(1024)
    except OSError:
        return True  # the other checks report a missing one
    return not head.startswith(b"#!") or os.fsencode(sys.executable) in head or os.fsencode(os.path.realpath(sys.executable)) in head


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version_of(name)
        except PackageNotFoundError:
            yield name, ""


def _check_device(_: Paths) -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = _gpus()
    return Finding("device", f"{cores} CPU cores{_bfloat16()}, " + (f"GPU: {', '.join(gpus)}" if gpus else "no NVIDIA GPU"))


def _check_dvc_config(paths: Paths) -> Finding:
    """DVC's own configuration, by its own word; nothing if it is accepted. `LOOKS` reports a missing dvc."""
    command = [str(Path(sys.executable).with_name("dvc")), "stage", "list", "--name-only"]
    try:
        done = subprocess.run(command, cwd=paths.root, capture_output=True, text=True, timeout=SECONDS_FOR_DVC)
    except FileNotFoundError:
        return Finding("DVC config", "")
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("DVC config", f"dvc cannot be asked: {error}", "run `dvc stage list` to see why")
    if "configuration error" not in done.stderr:
        return Finding("DVC config", "")
    lines = done.stderr.splitlines()
    found, _, fix = (explain(lines) or lines[0]).partition(". ")
    return Finding("DVC config", found, fix or "correct .dvc/config or .dvc/config.local")


def _gpus() -> list[str]:
    """The names of the NVIDIA GPUs."""
    return _said(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).splitlines()


def _bfloat16() -> str:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    return " with bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else ""


def _check_disk(paths: Paths) -> Finding:
    free_gib = shutil.disk_usage(paths.root).free / 2**30
    fix = f"free some space, at least {MIN_FREE_GIB:g} GiB: `pipeline clean` shows what may go" if free_gib < MIN_FREE_GIB else ""
    return Finding("disk", f"{free_gib:.1f} GiB free{used_by(paths)}", fix)


def _check_store(paths: Paths) -> Finding:
    server = os.environ.get("MLFLOW_TRACKING_URI")
    return Finding("MLflow", f"MLFLOW_TRACKING_URI is {server}" if server else str(paths.mlruns))


def _check_prefect(_: Paths) -> Finding:
    server = os.environ.get("PREFECT_API_URL")
    if not server:
        return Finding("Prefect", "a server of its own for each run, unless the active profile names one")
    found, fix = f"PREFECT_API_URL is {server}", "start that server, or run `unset PREFECT_API_URL` to run without one"
    try:
        address = urlsplit(server)
        port = address.port or (443 if address.scheme == "https" else 80)
    except ValueError:
        return Finding("Prefect", found, "set it to an address such as http://127.0.0.1:4200/api, or unset it")
    if address.scheme not in ("http", "https") or not address.hostname:
        return Finding("Prefect", found, "set it to an address such as http://127.0.0.1:4200/api, or unset it")
    try:
        socket.create_connection((address.hostname, port), SECONDS_FOR_A_SERVER).close()
    except OSError as error:
        return Finding("Prefect", f"{found}, which cannot be reached: {error}", fix)
    return Finding("Prefect", found)


def _check_network(_: Paths) -> Finding:
    try:
        check_network()
    except ConfigError as error:
        return Finding("network", "a proxy or certificates that cannot be used", str(error))
    return Finding("network", "")


def _check_registry(paths: Paths) -> Finding:
    decision = read_decision(paths)
    if not decision:
        return Finding("registry", "nothing registered by this project yet")
    if is_server(tracking_uri(paths)):
        return Finding("registry", "on the tracking server; not asked")
    if not is_own_store(registry_uri(paths), paths):
        return Finding("registry", f"at {registry_at(paths)[0]}; not asked")
    problem = registry_problem(paths)
    if problem:
        return Finding("registry", problem, "run `pipeline run`, which updates paths, registry and data/register/decision.json")
    if problem is None:
        return Finding("registry", f"does not have {decision['model_name']} yet; `pipeline run` registers it")
    return Finding("registry", f"{decision['model_name']}: as data/register/decision.json says")


def _check_inputs(paths: Paths) -> Finding:
    try:
        config = check_inputs(paths)
    except PipelineError as error:
        return Finding("parameters", "a run would stop", str(error))
    if config.train.device == "gpu" and not _gpus():
        return Finding("parameters", "a run would stop", "train.device: gpu needs an NVIDIA GPU, and there is none. Set it to auto or cpu")
    return Finding("parameters", f"valid, images in {config.ingest.source}")


def _said(command: list[str]) -> str:
    """The output of a command; empty if it is missing, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_PER_TOOL, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
