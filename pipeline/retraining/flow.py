"""The Prefect flow: one task per stage, in dvc.yaml's order, each letting DVC bring its stage up to date.

In: nothing but the workspace that it is started in. Out: the flow run's final state, the task states Ran, Unchanged or Restored, a summary
artifact. Holds no stage logic and no cache: DVC decides what is up to date.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from pipeline.errors import ConfigError, PipelineError
from pipeline.listing.changes import have_linked_folders_changed
from pipeline.network import masked
from pipeline.params.reader import load_config
from pipeline.paths import Paths, find_paths
from pipeline.pedigree.stage_outcomes import note_outcomes
from pipeline.processes import Stopped, stop_on_signals
from pipeline.progress import read_record
from pipeline.publishing.publish import publish
from pipeline.publishing.refusals import refuse_branch
from pipeline.python_path import CODE
from pipeline.registry.decision import read_decision
from pipeline.registry.state import registry_state
from pipeline.retraining.project_name import project_name
from pipeline.retraining.screen import PROGRESS_LOG
from pipeline.retraining.summary import StageResult, data_markdown, markdown
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.run_log import RegistryState
from pipeline.workspace.check import check_inputs
from pipeline.workspace.dvc_graph import read_graph
from pipeline.workspace.dvc_repro import reproduce

FLOW = "image-classifier"
SAID = {
    "Ran": "DVC ran the stage",
    "Unchanged": "nothing that the stage depends on has changed",
    "Restored": "DVC restored the outputs of an earlier run with the same inputs",
}


def run_name() -> str:
    """`2026-11-25 06:00 image-classifier flowers`: when it started, and in which project's folder."""
    return f"{datetime.now():%Y-%m-%d %H:%M} {FLOW} {Path.cwd().name}"


@flow(name=FLOW, flow_run_name=run_name, persist_result=False)
def retrain(lock_timeout_seconds: float = 60.0, publish_to: str = "") -> State[Any]:
    """Bring every stage up to date and publish a summary. A stage that fails ends the flow, with the stage's own message.

    publish_to: the branch that gets the results; none: they stay on this machine.
    """
    paths = find_paths(Path.cwd())
    try:
        if _supervised():
            refuse_foreign_code(paths)
        check_inputs(paths)
        head = refuse_branch(paths, publish_to) if publish_to else ""
    except PipelineError as error:
        return Failed(message=str(error))
    with contextlib.nullcontext() if _supervised() else stop_on_signals():
        end = _run_stages(paths, lock_timeout_seconds)
        return _published(end, paths, publish_to, head) if publish_to and end.is_completed() else end


def _published(end: State[Any], paths: Paths, branch: str, head: str) -> State[Any]:
    """The end of a run with a sentence more: what became of its results."""
    published = publish(paths, branch, head, get_run_logger().info)
    get_run_logger().log(logging.INFO if published.is_done else logging.WARNING, masked(published.said))
    return Completed(name=end.name, message=f"{end.message} {masked(published.said)}")


def refuse_foreign_code(paths: Paths) -> None:
    """Raise ConfigError if this is the code of another project, as when a worker of that project picks up a run of this one."""
    own, running = paths.root / "pipeline" / "__main__.py", CODE / "pipeline" / "__main__.py"
    if own.is_file() and not own.samefile(running):
        raise ConfigError(
            f"This is the code of {CODE}, but the run is for {paths.root}, which has its own. "
            "Start the worker with that project's environment, on a work pool of its own."
        )


def _supervised() -> bool:
    """Whether a Prefect worker or runner started this process: it cancels by a SIGTERM that Prefect's engine wants to handle itself."""
    return "PREFECT__FLOW_RUN_ID" in os.environ


def _run_stages(paths: Paths, lock_timeout_seconds: float) -> State[Any]:
    logging.getLogger("prefect.task_runs").addFilter(_is_news)
    states: dict[str, State[Any]] = {}
    results: list[StageResult] = []
    for stage, upstream in read_graph(paths).items():
        started = time.monotonic()
        run_stage = bring_up_to_date.with_options(name=stage, task_run_name=stage)
        state: State[Any] = run_stage(stage, paths, lock_timeout_seconds, wait_for=[states[name] for name in upstream], return_state=True)
        states[stage] = state
        results.append(StageResult(stage, state.name or "", time.monotonic() - started))
        if not state.is_completed():
            break
    end = _conclude(paths, state, results)
    registry = registry_state(paths) if state.is_completed() else None
    if registry is not None:
        outcomes = {result.stage: (result.state, SAID[result.state]) for result in results}
        for stage, said in note_outcomes(MlflowLog.connect(paths), paths, outcomes).items():
            get_run_logger().info("%s: %s", stage, said)
    _publish(paths, results, registry, end)
    return end


def _is_news(record: logging.LogRecord) -> bool:
    """False for Prefect's second message about a failed task, which ends with the traceback of no exception: `NoneType: None`."""
    return not record.getMessage().startswith("Task run failed with state")


@task(cache_policy=NO_CACHE, persist_result=False)
def bring_up_to_date(stage: str, paths: Paths, lock_timeout_seconds: float) -> State[Any]:
    """Completed, named by what DVC did; Failed with the stage's own message; Cancelled by Ctrl-C or SIGTERM."""
    try:
        log = _log_of_stage()
        outcome = reproduce(stage, paths, log, lock_timeout_seconds)
        if (
            stage == "ingest"
            and outcome != "Ran"
            and have_linked_folders_changed(load_config(paths.params).source_path(paths.root), paths.scratch)
        ):
            log("Files behind links to folders in the source have changed, which DVC does not see: running ingest again")
            outcome = reproduce(stage, paths, log, lock_timeout_seconds, force=True)
        if stage == "register" and outcome != "Ran" and (registry := registry_state(paths)) and not registry.is_current:
            log(f"The registry differs from data/register/decision.json ({registry.verdict}): running register again")
            outcome = reproduce(stage, paths, log, lock_timeout_seconds, force=True)
    except PipelineError as error:
        return Failed(message=str(error))
    except Stopped as stopped:
        return Cancelled(message=f"{stage}: stopped by {stopped}.")
    return Completed(name=outcome, message=SAID[outcome])


def _is_changed_behind_links(paths: Paths) -> bool:
    return have_linked_folders_changed(load_config(paths.params).source_path(paths.root), paths.scratch)


def _log_of_stage() -> Callable[[str], None]:
    """Logs a stage's lines; progress records go to the progress bar instead."""
    log, progress = get_run_logger().info, logging.getLogger(PROGRESS_LOG).info

    def take(line: str) -> None:
        (progress if read_record(line) else log)(line)

    return take


def _publish(paths: Paths, results: list[StageResult], registry: RegistryState | None, end: State[Any]) -> None:
    """The artifacts of this project: the summary and, if `ingest` has run, its findings."""
    name, told = project_name(paths.root), f"{flow_run.name}: {end.message}"
    create_markdown_artifact(markdown(paths, results, registry), key=f"{name}-summary", description=told)
    if any(result.stage == "ingest" and result.state in ("Ran", "Restored") for result in results) and (data := data_markdown(paths)):
        create_markdown_artifact(data, key=f"{name}-data", description=told)


def _conclude(paths: Paths, last: State[Any], results: list[StageResult]) -> State[Any]:
    if last.is_completed():
        ran = [result.stage for result in results if result.state != "Unchanged"]
        if not ran:
            return Completed(name="Unchanged", message="Everything was up to date.")
        return Completed(message=f"Updated: {', '.join(ran)}{_decision(paths) if 'register' in ran else ''}")
    if last.is_cancelled():
        return Cancelled(message=last.message)
    return Failed(message=last.message)


def _decision(paths: Paths) -> str:
    """Whether the model was promoted, for the list of runs."""
    decision = read_decision(paths)
    if not decision:
        return ""
    return f". {'Champion' if decision['promoted'] else 'Not promoted'}: {decision['reason']}"
