"""The commands history, promote and rollback: what they ask the registry and what they print."""

import argparse
import json

from pipeline.errors import TrackingError
from pipeline.paths import Paths
from pipeline.pedigree.history_page import as_text, as_values, verdict
from pipeline.pedigree.references import find_registered
from pipeline.pedigree.way_back import promote, rollback
from pipeline.registry.history import read_history
from pipeline.tracking.mlflow_log import MlflowLog


def run_history(options: argparse.Namespace, paths: Paths) -> int:
    """Print who moved which alias when, and why. With --verify, raises TrackingError if a line was changed, removed or put in."""
    registered = find_registered(MlflowLog.connect(paths), paths, options.model or "")
    history = read_history(registered.tags)
    if options.json:
        print(json.dumps(as_values(registered, history), indent=2, ensure_ascii=False), flush=True)
    elif not options.verify:
        print(as_text(registered, history), flush=True)
    if options.verify and history.faults:
        raise TrackingError(verdict(registered, history))
    if options.verify and not options.json:
        print(verdict(registered, history), flush=True)
    elif history.faults and not options.json:
        print(f"\nThe history is damaged: {history.faults[0]}. `pipeline history --verify` shows all.", flush=True)
    return 0


def run_promote(options: argparse.Namespace, paths: Paths) -> int:
    """Make a version the champion."""
    print(
        promote(MlflowLog.connect(paths), paths, options.version, options.reason, name=options.model or "", anchor=options.anchor),
        flush=True,
    )
    return 0


def run_rollback(options: argparse.Namespace, paths: Paths) -> int:
    """Go back to the champion before, or to a version."""
    print(rollback(MlflowLog.connect(paths), paths, options.reason, to=options.to or "", name=options.model or ""), flush=True)
    return 0
