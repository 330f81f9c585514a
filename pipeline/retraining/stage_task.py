"""One stage as a Prefect task: DVC brings it up to date; what may pass is tried again.

Out: the task states Ran, Unchanged or Restored, Failed with the stage's own message, Cancelled. Holds no stage logic and no cache.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from pipeline.errors import PipelineError
from pipeline.listing.changes import have_linked_folders_changed
from pipeline.listing.remote import is_url
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.processes import Stopped
from pipeline.progress import read_record
from pipeline.registry.state import registry_state
from pipeline.retraining.pages import publish_stage
from pipeline.retraining.screen import PROGRESS_LOG
from pipeline.unattended.again import Retries, with_retries
from pipeline.unattended.source_record import list_files, write_record
from pipeline.workspace.dvc_repro import Outcome, reproduce

SAID = {
    "Ran": "DVC ran the stage",
    "Unchanged": "nothing that the stage depends on has changed",
    "Restored": "DVC restored the outputs of an earlier run with the same inputs",
}


@dataclass(frozen=True)
class Limits:
    """How long a stage waits for DVC's lock and may take, and how often what may pass is tried again."""

    lock_timeout_seconds: float = 60.0
    stage_timeout_seconds: float | None = None
    retries: Retries = field(default_factory=Retries)


@task(cache_policy=NO_CACHE, persist_result=False)
def bring_up_to_date(stage: str, paths: Paths, limits: Limits) -> State[Any]:
    """Completed, named by what DVC did; Failed with the stage's own message; Cancelled by Ctrl-C or SIGTERM."""
    log = _log_of_stage()

    def attempt() -> Outcome:
        return _ingest(paths, log, limits) if stage == "ingest" else _other(stage, paths, log, limits)

    try:
        outcome = with_retries(attempt, limits.retries, get_run_logger().warning)
        if outcome != "Unchanged":
            publish_stage(stage, paths)
    except PipelineError as error:
        return Failed(message=str(error))
    except Stopped as stopped:
        return Cancelled(message=f"{stage}: stopped by {stopped}.")
    return Completed(name=outcome, message=SAID[outcome])


def _ingest(paths: Paths, log: Callable[[str], None], limits: Limits) -> Outcome:
    """Also look behind links to folders, and record which files there were, for the first question of later runs."""
    source = _local_source(paths)
    files = list_files(source) if source else None
    outcome = _reproduce("ingest", paths, log, limits)
    if outcome != "Ran" and source and have_linked_folders_changed(source, paths.scratch):
        log("Files behind links to folders in the source have changed, which DVC does not see: running ingest again")
        outcome = _reproduce("ingest", paths, log, limits, force=True)
    if source:
        write_record(paths, source, files, was_read=outcome != "Unchanged")
    return outcome


def _other(stage: str, paths: Paths, log: Callable[[str], None], limits: Limits) -> Outcome:
    outcome = _reproduce(stage, paths, log, limits)
    if stage == "register" and outcome != "Ran" and (registry := registry_state(paths)) and not registry.is_current:
        log(f"The registry differs from data/register/decision.json ({registry.verdict}): running register again")
        outcome = _reproduce(stage, paths, log, limits, force=True)
    return outcome


def _reproduce(stage: str, paths: Paths, log: Callable[[str], None], limits: Limits, *, force: bool = False) -> Outcome:
    return reproduce(stage, paths, log, limits.lock_timeout_seconds, force=force, timeout_seconds=limits.stage_timeout_seconds)


def _local_source(paths: Paths) -> Path | None:
    """The source, if it is on this machine."""
    config = load_config(paths.params)
    return None if is_url(config.ingest.source) else config.source_path(paths.root)


def _log_of_stage() -> Callable[[str], None]:
    """Logs a stage's lines; progress records go to the progress bar instead."""
    log, progress = get_run_logger().info, logging.getLogger(PROGRESS_LOG).info

    def take(line: str) -> None:
        (progress if read_record(line) else log)(line)

    return take
