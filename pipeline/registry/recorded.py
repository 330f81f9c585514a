"""What a registered version says of its origin: tags on the version, and files in its run with which it can be built again.

The files are in the run's folder `register`: dvc.lock, the lists that `ingest` reads and extends, and what differs from the commit.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.conversion.record import ONNX_TAG
from pipeline.files import read_json, write_bytes
from pipeline.git import ask_git
from pipeline.network import masked
from pipeline.paths import STAGES, Paths
from pipeline.tracking.lineage import PARAMS_TAG
from pipeline.tracking.provenance import WRITTEN_BY_A_RUN, stages_of
from pipeline.tracking.run_log import Run

if TYPE_CHECKING:
    from pipeline.params.reader import Config

FOLDER = "register"
DIFF = "uncommitted.diff"
OF_THE_RUN = (
    "device",
    "precision",
    PARAMS_TAG,
    ONNX_TAG,
    *(f"version.{name}" for name in ("python", "tensorflow", "keras", "numpy", "pillow")),
)
"""Tags that a version takes from its run."""
NO_REMOTE = "none: this repository has no remote"


def lineage_tags(config: Config, paths: Paths, run: Run) -> dict[str, str]:
    """Tags about source, data, split, parameters, machine and results; one that is not known is left out."""
    seed_and_source = {"seed": str(config.flat()["seed"]), "source": masked(str(config.flat()["ingest.source"]))}
    of_run = {name: value for name, value in run.tags.items() if name in OF_THE_RUN}
    results = read_json(paths.stage("evaluate") / "metrics.json") | read_json(paths.stage("evaluate") / "uncertainty.json")
    folds = read_json(paths.stage("cross_validate") / "metrics.json")
    return {
        **seed_and_source,
        **of_run,
        **data_digests(paths, str(config.flat()["ingest.source"])),
        **_remote(paths.root),
        "test_metrics": json.dumps(results),
        "cv_metrics": json.dumps(folds),
    }


def data_digests(paths: Paths, source: str) -> dict[str, str]:
    """Digests by dvc.lock: of the source, of the images as ingested, of the packed arrays and of the recorded split."""
    entries: Mapping[str, Any] = stages_of(paths.dvc_lock) if paths.dvc_lock.is_file() else {}
    of_ingest = {str(dep["path"]): str(dep.get("md5", "")) for dep in entries.get("ingest", {}).get("deps", [])}
    split = of_ingest.get("data/splits.csv", "")
    found = {
        "source_md5": next((md5 for path, md5 in of_ingest.items() if path == source), ""),
        "ingested_sha256": digest_of_outs(entries.get("ingest", {})),
        "packed_sha256": digest_of_outs(entries.get("preprocess", {})),
        "split_md5": split,
    }
    return {name: value for name, value in found.items() if value}


def digest_of_outs(stage: Mapping[str, Any]) -> str:
    """sha256 over the names and digests of a stage's outputs in dvc.lock; empty if there are none."""
    outs = {str(out["path"]): str(out.get("md5", "")) for out in stage.get("outs", [])}
    return hashlib.sha256(json.dumps(outs, sort_keys=True).encode()).hexdigest() if outs else ""


def log_origin(run: Run, paths: Paths) -> None:
    """Log the files with which the version can be built again."""
    for file in (paths.dvc_lock, paths.ledger, paths.classes, paths.known_images):
        if file.is_file():
            run.log_file(file, FOLDER)
    if difference := uncommitted(paths.root):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / DIFF
            write_bytes(file, difference)
            run.log_file(file, FOLDER)
            run.settle()
    run.settle()


def uncommitted(root: Path) -> bytes:
    """What differs from the commit, as a patch: code and parameters, new files under pipeline/ too. Empty if nothing, or without git."""
    if ask_git(root, "rev-parse", "--verify", "HEAD").fault:
        return b""
    by_a_run = [f":!{name}" for name in (*WRITTEN_BY_A_RUN, *(f"data/{stage}" for stage in STAGES))]
    patch = _git_output(root, "diff", "--binary", "--relative", "HEAD", "--", ".", *by_a_run)
    added = _git_output(root, "ls-files", "-z", "--others", "--exclude-standard", "--", "pipeline").split(b"\0")
    for name in filter(None, added):
        patch += _git_output(root, "diff", "--binary", "--no-index", "--", "/dev/null", name.decode(errors="surrogateescape"))
    return patch


def _remote(root: Path) -> dict[str, str]:
    """The address of the repository that this one was cloned from, without passwords; a word where there is none, nothing without git."""
    names = ask_git(root, "remote")
    if names.fault:
        return {}
    if not names.text:
        return {"git_remote": NO_REMOTE}
    name = "origin" if "origin" in names.text.splitlines() else names.text.splitlines()[0]
    return {"git_remote": masked(ask_git(root, "remote", "get-url", name).text)}


def _git_output(root: Path, *arguments: str) -> bytes:
    """The bytes that git prints: a patch of text that is no UTF-8 must not be changed."""
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, stdin=subprocess.DEVNULL, check=False).stdout
