"""What DVC would run, and because of what: `dvc status`, which runs nothing."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import StageError
from pipeline.paths import Paths
from pipeline.processes import run
from pipeline.workspace.dvc_faults import failure
from pipeline.workspace.dvc_repro import dvc_environment


def out_of_date(paths: Paths) -> dict[str, list[str]]:
    """For each stage that is out of date, what has changed: paths, parameters, or `the command`. Raises StageError if DVC cannot tell."""
    lines: list[str] = []
    command = [sys.executable, str(Path(sys.executable).with_name("dvc")), "status", "--json"]
    exit_code = run(command, lines.append, cwd=paths.root, env=dvc_environment())
    answer = next((line for line in reversed(lines) if line.startswith("{")), "")
    if exit_code or not answer:
        raise StageError(failure("dvc status", lines))
    return {stage: _causes(entries) for stage, entries in json.loads(answer).items()}


def _causes(entries: list[Any]) -> list[str]:
    """The paths and parameters in DVC's list of what has changed; its entries are texts and mappings."""
    causes: list[str] = []
    for entry in entries:
        if not isinstance(entry, Mapping):
            causes.append("the command" if entry == "changed command" else str(entry))
            continue
        for changes in entry.values():
            for path, how in changes.items():
                causes += list(how) if isinstance(how, Mapping) else [path]
    return causes
