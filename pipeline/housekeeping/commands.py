"""The command clean: what may go, with its size; `--yes` deletes it."""

import argparse
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.housekeeping.dvc_cache import remove_unused, unused, why_shared
from pipeline.housekeeping.old_runs import DAYS_IN_TRASH, folder_of, move_to_trash, old_runs, remove_for_good
from pipeline.housekeeping.referenced import referenced
from pipeline.housekeeping.scratch import KEPT_DAYS, leftovers, remove, size_of
from pipeline.paths import STAGES, Paths
from pipeline.processes import one_at_a_time
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.tracking_server import is_own_store, tracking_uri
from pipeline.workspace.disk_need import size_in_words


@dataclass(frozen=True)
class Part:
    """One kind of what may go: how many there are, their bytes, and what deletes them."""

    name: str
    count: int
    size_bytes: int
    delete: Callable[[], None]


def run_clean(options: argparse.Namespace, paths: Paths) -> int:
    """Print what may go, and with --yes delete it. Raises BusyError while a stage runs, and deletes nothing if something cannot be read."""
    is_own = is_own_store(tracking_uri(paths), paths)
    if options.runs_older_than is not None and not is_own:
        raise ConfigError(
            "--runs-older-than: MLflow's runs are on a tracking server, where other projects may have theirs. Delete them in its UI, "
            "then run `mlflow gc` on the server."
        )
    with contextlib.ExitStack() as held:
        for stage in STAGES if options.yes else ():
            held.enter_context(one_at_a_time(stage, paths.root, paths.scratch, timeout_seconds=1))
        parts, notes = _parts(paths, options.runs_older_than, is_own)
        print("\n".join([*_table(parts), *notes]), flush=True)
        if not any(part.count for part in parts):
            print("There is nothing to delete.", flush=True)
        elif not options.yes:
            print(f"Nothing was deleted. `pipeline {_typed(options)} --yes` deletes it.", flush=True)
        else:
            for part in parts:
                if part.count:
                    part.delete()
            print("Deleted.", flush=True)
    return 0


def _parts(paths: Paths, days: float | None, is_own: bool) -> tuple[list[Part], list[str]]:
    log = MlflowLog.connect(paths)
    left = leftovers(paths)
    parts = [Part(f"left over in .checkpoints for {KEPT_DAYS:.0f} days", len(left), _sizes(left), lambda: remove(left))]
    notes = []
    if shared := why_shared(paths):
        notes.append(f"note: {shared}. It is left alone.")
    else:
        kept = referenced(paths, log)
        files = unused(paths, kept)
        parts.append(Part("in DVC's cache, named by nothing", len(files), _sizes(files), lambda: remove_unused(paths, kept)))
    if is_own:
        runs = old_runs(log, days)
        trash = [Path(folder) for run in runs.to_remove if (folder := folder_of(run))]
        parts.append(
            Part(
                f"MLflow runs, {DAYS_IN_TRASH} days in its trash",
                len(runs.to_remove),
                _sizes(trash),
                lambda: remove_for_good(paths, runs.to_remove),
            )
        )
        aged = [Path(folder) for run in runs.to_trash if (folder := folder_of(run))]
        if days is not None:
            name = f"MLflow runs older than {days:g} days, to its trash"
            parts.append(Part(name, len(runs.to_trash), _sizes(aged), lambda: move_to_trash(log, runs.to_trash)))
    return parts, notes


def _table(parts: list[Part]) -> list[str]:
    width = max(len(part.name) for part in parts)
    return [f"  {part.name:<{width}}  {part.count:>7,}  {size_in_words(part.size_bytes):>10}" for part in parts]


def _sizes(paths: Iterable[Path]) -> int:
    return sum(map(size_of, paths))


def _typed(options: argparse.Namespace) -> str:
    """The command as it was typed."""
    return f"clean --runs-older-than {options.runs_older_than:g}d" if options.runs_older_than is not None else "clean"
