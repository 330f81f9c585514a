"""dvc.lock: DVC writes it in place, so a kill at that moment leaves half of it. A copy is kept before each stage, and restored."""

import hashlib
import sys
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.files import write_bytes
from pipeline.paths import Paths
from pipeline.workspace.dvc_faults import LOCK_REMEDY
from pipeline.workspace.dvc_graph import stages_in


def check_lock(paths: Paths) -> None:
    """Raise ConfigError if DVC cannot read dvc.lock. If a killed DVC left it half written, the copy from before is restored."""
    put_lock_back(paths)
    if paths.dvc_lock.exists():
        stages_in(paths.dvc_lock, f"{LOCK_REMEDY}.")


def keep_lock(paths: Paths) -> None:
    """Keep a copy of dvc.lock, if it can be read."""
    if paths.dvc_lock.is_file() and not _fault_of(paths.dvc_lock):
        write_bytes(_kept_lock(paths), paths.dvc_lock.read_bytes())


def put_lock_back(paths: Paths) -> None:
    """Replace a half-written dvc.lock with the copy; the half-written file is kept beside the copy."""
    kept = _kept_lock(paths)
    if not (kept.is_file() and paths.dvc_lock.is_file() and _fault_of(paths.dvc_lock)):
        return
    content, before = paths.dvc_lock.read_bytes(), kept.read_bytes()
    cut_off = not content.endswith(b"\n") or len(content) < len(before)
    if cut_off and b"<<<<<<<" not in content:  # a person has to finish a merge
        write_bytes(kept.with_suffix(".cut-off"), content)
        write_bytes(paths.dvc_lock, before)
        print("note: dvc.lock was half written when a run was killed; it has been restored from before that stage.", file=sys.stderr)


def _kept_lock(paths: Paths) -> Path:
    return paths.scratch / f"dvc-lock-{hashlib.sha256(str(paths.root).encode()).hexdigest()[:12]}"


def _fault_of(lock: Path) -> str:
    try:
        stages_in(lock, "")
    except ConfigError as error:
        return str(error)
    return ""
