"""The Prefect flow: one task per stage, in dvc.yaml's order, each letting DVC bring its stage up to date.

In: nothing but the workspace that it is started in. Out: the flow run's final state, the task states Ran, Unchanged or Restored, a summary
artifact. Holds no stage logic and no cache: what is up to date is DVC's to say.
"""

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from pipeline.check import check_inputs
from pipeline.errors import PipelineError
from pipeline.paths import Paths, find_paths
from pipeline.processes import Stopped, stop_on_signals
from pipeline.stores.dvc_repro import read_graph, reproduce
from pipeline.stores.registered import registry_state
from pipeline.stores.run_log import RegistryState
from pipeline.summary import StageResult, data_markdown, markdown

SUMMARY_KEY = "pipeline-summary"
DATA_KEY = "pipeline-data"
SAID = {
    "Ran": "DVC ran the stage",
    "Unchanged": "nothing that the stage depends on has changed",
    "Restored": "DVC restored the outputs of an earlier run with the same inputs",
}


@flow(name="image-classifier", flow_run_name="retrain", persist_result=False)
def retrain(lock_timeout_seconds: float = 60.0) -> State[Any]:
    """Bring every stage up to date and publish a summary. A stage that fails ends the flow, with the stage's own message."""
    paths = find_paths(Path.cwd())
    try:
        check_inputs(paths)
    except PipelineError as error:
        return Failed(message=str(error))
    with contextlib.nullcontext() if _supervised() else stop_on_signals():
        return _run_stages(paths, lock_timeout_seconds)


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
    _publish(paths, results, registry_state(paths) if state.is_completed() else None)
    return _conclude(state, results)


def _is_news(record: logging.LogRecord) -> bool:
    """False for what Prefect says a second time of a failed task, followed by the traceback of no exception: `NoneType: None`."""
    return not record.getMessage().startswith("Task run failed with state")


@task(cache_policy=NO_CACHE, persist_result=False)
def bring_up_to_date(stage: str, paths: Paths, lock_timeout_seconds: float) -> State[Any]:
    """Completed, named by what DVC did; Failed with the stage's own message; Cancelled by Ctrl-C or SIGTERM."""
    try:
        log = get_run_logger().info
        outcome = reproduce(stage, paths, log, lock_timeout_seconds)
        if stage == "register" and outcome != "Ran" and (registry := registry_state(paths)) and not registry.is_current:
            log(f"The registry is not as data/register/decision.json says ({registry.verdict}): running register again")
            outcome = reproduce(stage, paths, log, lock_timeout_seconds, force=True)
    except PipelineError as error:
        return Failed(message=str(error))
    except Stopped as stopped:
        return Cancelled(message=f"{stage}: stopped by {stopped}.")
    return Completed(name=outcome, message=SAID[outcome])


def _publish(paths: Paths, results: list[StageResult], registry: RegistryState | None) -> None:
    create_markdown_artifact(markdown(paths, results, registry), key=SUMMARY_KEY, description="What each stage did, and what came out")
    if data := data_markdown(paths):
        create_markdown_artifact(data, key=DATA_KEY, description="What is in the images, and what was found there")


def _conclude(last: State[Any], results: list[StageResult]) -> State[Any]:
    if last.is_completed():
        ran = [result.stage for result in results if result.state != "Unchanged"]
        return Completed(
            name="Unchanged" if not ran else "Completed", message=f"Updated: {', '.join(ran)}" if ran else "Everything was up to date."
        )
    if last.is_cancelled():
        return Cancelled(message=last.message)
    return Failed(message=last.message)
