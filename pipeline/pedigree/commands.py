"""The commands history, promote, rollback, trace and reproduce: what they ask the registry and what they print."""

import argparse
import json
import shutil
import sys
from pathlib import Path

from pipeline.errors import TrackingError
from pipeline.paths import Paths
from pipeline.pedigree.history_page import as_text, as_values, verdict
from pipeline.pedigree.origin import find_origin
from pipeline.pedigree.references import find_registered
from pipeline.pedigree.reproduce import expected_duration, named, outcome, rebuild
from pipeline.pedigree.trace import trace
from pipeline.pedigree.trace_page import as_page
from pipeline.pedigree.way_back import promote, rollback
from pipeline.registry.history import read_history
from pipeline.tracking.mlflow_log import MlflowLog


def run_history(options: argparse.Namespace, paths: Paths) -> int:
    """Print who moved which alias when, and why. Raises TrackingError afterwards if a line was changed, removed or put in."""
    registered = find_registered(MlflowLog.connect(paths), paths, options.name or "")
    history = read_history(registered.tags)
    if options.json:
        print(json.dumps(as_values(registered, history), indent=2, ensure_ascii=False), flush=True)
    elif not options.verify:
        print(as_text(registered, history), flush=True)
    if history.faults:
        raise TrackingError(verdict(registered, history))
    if options.verify and not options.json:
        print(verdict(registered, history), flush=True)
    return 0


def run_promote(options: argparse.Namespace, paths: Paths) -> int:
    """Make a version the champion."""
    print(
        promote(MlflowLog.connect(paths), paths, options.version, options.reason, name=options.name or "", anchor=options.anchor),
        flush=True,
    )
    return 0


def run_rollback(options: argparse.Namespace, paths: Paths) -> int:
    """Go back to the champion before, or to a version."""
    print(rollback(MlflowLog.connect(paths), paths, options.reason, to=options.to or "", name=options.name or ""), flush=True)
    return 0


def run_trace(options: argparse.Namespace, paths: Paths) -> int:
    """Print where a model came from."""
    tracker = MlflowLog.connect(paths)
    origin = find_origin(tracker, paths, options.of, Path.cwd(), options.name or "")
    found = trace(tracker, paths, origin)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    print(json.dumps(found, indent=2, ensure_ascii=False) if options.json else as_page(found, columns), flush=True)
    return 0


def run_reproduce(options: argparse.Namespace, paths: Paths) -> int:
    """Build a version again and compare the bytes. Raises StageError if they differ."""
    tracker = MlflowLog.connect(paths)
    origin = find_origin(tracker, paths, options.of, Path.cwd(), options.name or "")
    print(f"Building {named(origin)} again in {paths.relative(paths.scratch / 'reproduce')}: {expected_duration(origin.run)}", flush=True)
    rebuilt = rebuild(tracker, paths, origin, lambda line: print(line, flush=True))
    print(outcome(origin, rebuilt), flush=True)
    return 0
