"""The Prefect flow: one task per stage, in dvc.yaml's order, each letting DVC bring its stage up to date.

In: nothing but the workspace that it is started in. Out: the flow run's final state, the task states Ran, Unchanged or Restored, a summary
artifact, and one line to whoever wants to be told. Holds no stage logic and no cache: DVC decides what is up to date.
"""

import contextlib
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from pydantic import Field

from pipeline.errors import BusyError, ConfigError, PipelineError
from pipeline.network import masked
from pipeline.params.reader import Config
from pipeline.paths import Paths, find_paths
from pipeline.pedigree.stage_outcomes import note_outcomes
from pipeline.processes import Stopped, stop_on_signals
from pipeline.publishing.publish import publish
from pipeline.publishing.refusals import refuse_branch
from pipeline.python_path import CODE
from pipeline.registry.state import registry_state
from pipeline.retraining.dead_runs import close_run
from pipeline.retraining.pages import conclude, publish_summary, tell, tell_of_a_bug
from pipeline.retraining.stage_task import SAID, Limits, bring_up_to_date
from pipeline.retraining.summary import StageResult
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.run_log import RegistryState
from pipeline.unattended.again import Retries, with_retries
from pipeline.unattended.notify import check_notify
from pipeline.unattended.only_run import only_run
from pipeline.unattended.worth import judge_worth
from pipeline.workspace.check import check_inputs
from pipeline.workspace.dvc_graph import read_graph

FLOW = "image-classifier"


def run_name() -> str:
    """`2026-11-25 06:00 image-classifier flowers`: when it started, and in which project's folder."""
    return f"{datetime.now():%Y-%m-%d %H:%M} {FLOW} {Path.cwd().name}"


@flow(name=FLOW, flow_run_name=run_name, persist_result=False)
def retrain(
    if_worth_it: bool = True,
    publish_to: str = "",
    lock_timeout_seconds: Annotated[float, Field(ge=0)] = 60.0,
    stage_timeout_hours: Annotated[float, Field(gt=0)] | None = 24.0,
    retries: Annotated[int, Field(ge=0)] = 3,
    retry_seconds: Annotated[float, Field(ge=0)] = 30.0,
) -> State[Any]:
    """Bring every stage up to date and publish a summary. A stage that fails ends the flow, with the stage's own message.

    Args:
        if_worth_it: Ask first whether enough has changed (section retrain of params.yaml). Off: run whatever is out of date.
        publish_to: The branch that gets the results. Empty: they stay on this machine.
        lock_timeout_seconds: How long to wait for another run of the project, or another DVC command.
        stage_timeout_hours: A stage that takes longer is ended, with all its processes. Its next run goes on from what it has saved.
        retries: How often to try again what may pass: a server that does not answer, a lock that is held.
        retry_seconds: How long to wait before the first of these; then twice as long, and so on, up to 10 minutes.
    """
    paths = find_paths(Path.cwd())
    timeout_seconds = None if stage_timeout_hours is None else 3600 * stage_timeout_hours
    limits = Limits(lock_timeout_seconds, timeout_seconds, Retries(retries, retry_seconds))
    try:
        with contextlib.nullcontext() if _supervised() else stop_on_signals():
            registry, end = _run_alone(paths, limits, publish_to, if_worth_it=if_worth_it)
    except Exception as error:
        tell_of_a_bug(paths, error)
        raise
    tell(paths, end, registry)
    return end


def _run_alone(paths: Paths, limits: Limits, branch: str, *, if_worth_it: bool) -> tuple[RegistryState | None, State[Any]]:
    """How the run ended, as the only one of this project, and what the registry has then."""
    about = {"name": str(flow_run.name), "flow_run_id": str(flow_run.id)}
    try:
        with only_run(paths, about, limits.lock_timeout_seconds, get_run_logger().info) as before:
            if before:
                close_run(str(before.get("flow_run_id", "")), get_run_logger().warning)
            return _run(paths, limits, branch, if_worth_it=if_worth_it)
    except BusyError as error:
        return None, Cancelled(name="Skipped", message=str(error))
    except PipelineError as error:
        return None, Failed(message=str(error))
    except Stopped as stopped:
        return None, Cancelled(message=f"stopped by {stopped}.")


def _run(paths: Paths, limits: Limits, branch: str, *, if_worth_it: bool) -> tuple[RegistryState | None, State[Any]]:
    if _supervised():
        refuse_foreign_code(paths)
    check_notify()
    config = with_retries(lambda: check_inputs(paths), limits.retries, get_run_logger().warning)
    head = refuse_branch(paths, branch) if branch else ""
    not_worth_it = _why_not(config, paths, limits) if if_worth_it else None
    registry, end = (None, not_worth_it) if not_worth_it else _run_stages(paths, limits)
    return registry, _published(end, paths, branch, head) if branch and end.is_completed() else end


def _why_not(config: Config, paths: Paths, limits: Limits) -> State[Any] | None:
    """The end of a run that is not worth it; None for one that is, also where the registry differs from what the last run decided."""
    worth = judge_worth(config, paths)
    get_run_logger().info(f"{'Worth a run' if worth.is_worth_it else 'Not worth a run'}: {worth.why}.")
    if worth.is_worth_it:
        return None
    registry = with_retries(lambda: registry_state(paths), limits.retries, get_run_logger().warning)
    if registry is not None and not registry.is_current:
        get_run_logger().info(f"But the registry differs from data/register/decision.json ({registry.verdict}).")
        return None
    return Completed(name="Postponed" if worth.is_postponed else "Unchanged", message=f"Not worth a run: {worth.why}.")


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


def _run_stages(paths: Paths, limits: Limits) -> tuple[RegistryState | None, State[Any]]:
    logging.getLogger("prefect.task_runs").addFilter(_is_news)
    states: dict[str, State[Any]] = {}
    results: list[StageResult] = []
    for stage, upstream in read_graph(paths).items():
        started = time.monotonic()
        run_stage = bring_up_to_date.with_options(name=stage, task_run_name=stage)
        state: State[Any] = run_stage(stage, paths, limits, wait_for=[states[name] for name in upstream], return_state=True)
        states[stage] = state
        results.append(StageResult(stage, state.name or "", time.monotonic() - started, datetime.now(UTC)))
        if not state.is_completed():
            break
    end = conclude(paths, state, results)
    registry = with_retries(lambda: _noted(paths, results), limits.retries, get_run_logger().warning) if state.is_completed() else None
    publish_summary(paths, results, registry, end)
    return registry, end


def _noted(paths: Paths, results: list[StageResult]) -> RegistryState | None:
    """The state of the registry, once the run in the tracker says what became of each stage."""
    registry = registry_state(paths)
    if registry is not None:
        outcomes = {result.stage: (result.ended, result.state, SAID[result.state]) for result in results}
        for stage, said in note_outcomes(MlflowLog.connect(paths), paths, outcomes).items():
            get_run_logger().info("%s: %s", stage, said)
    return registry


def _is_news(record: logging.LogRecord) -> bool:
    """False for Prefect's second message about a failed task, which ends with the traceback of no exception: `NoneType: None`."""
    return not record.getMessage().startswith("Task run failed with state")
