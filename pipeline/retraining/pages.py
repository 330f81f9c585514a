"""What a run tells people: its last state, its artifacts in Prefect, one line to whoever wants to be told."""

from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from pipeline.errors import PipelineError
from pipeline.paths import Paths
from pipeline.pedigree.links import links_of
from pipeline.registry.decision import read_decision
from pipeline.retraining.prefect_server import has_pages
from pipeline.retraining.summary import StageResult, markdown, runs_address, stage_markdown
from pipeline.tracking.run_log import RegistryState
from pipeline.unattended.notify import Outcome, notify
from pipeline.unattended.project_name import project_name


def conclude(paths: Paths, last: State[Any], results: list[StageResult]) -> State[Any]:
    """The end of a run whose last stage ended so."""
    if last.is_completed():
        ran = [result.stage for result in results if result.state != "Unchanged"]
        if not ran:
            return Completed(name="Unchanged", message="Everything was up to date.")
        return Completed(message=f"Updated: {', '.join(ran)}{_decision(paths) if 'register' in ran else ''}")
    if last.is_cancelled():
        return Cancelled(message=last.message)
    return Failed(message=last.message)


def publish_summary(paths: Paths, results: list[StageResult], registry: RegistryState | None, end: State[Any]) -> None:
    """The artifact of a run: its stages, results and where to compare runs."""
    told = f"{flow_run.name}: {end.message}"
    create_markdown_artifact(markdown(paths, results, registry), key=f"{project_name(paths.root)}-summary", description=told)


def publish_stage(stage: str, paths: Paths) -> None:
    """The artifact of a task: what the stage has found and made, with links to MLflow. That MLflow cannot say it is a warning only."""
    try:
        page = stage_markdown(stage, paths, links_of(stage, paths))
    except PipelineError as error:
        get_run_logger().warning("%s has no page: %s", stage, error)
        return
    if page:
        told = f"{flow_run.name}: {stage}"
        create_markdown_artifact(page, key=f"{project_name(paths.root)}-{stage.replace('_', '-')}", description=told)


def tell(paths: Paths, end: State[Any], registry: RegistryState | None) -> None:
    """Notify whoever wants to be told how the run ended; a run that was stopped or skipped is no news."""
    if end.is_cancelled():
        return
    outcome: Outcome = "failed" if end.is_failed() else "nothing" if end.name in ("Unchanged", "Postponed") else "retrained"
    own_page = flow_run.ui_url if outcome == "failed" and has_pages() else ""
    link = own_page or (runs_address(registry) if outcome == "retrained" else "")
    notify(paths, outcome, end.message or "", str(link or ""), get_run_logger().warning)


def tell_of_a_bug(paths: Paths, error: Exception) -> None:
    """Notify whoever wants to be told that a run has ended by an error that it does not know; the log has its traceback."""
    first = (str(error).strip().splitlines() or [""])[0]
    notify(paths, "failed", f"{type(error).__name__}: {first}", "", get_run_logger().warning)


def _decision(paths: Paths) -> str:
    """Whether the model was promoted, for the list of runs."""
    decision = read_decision(paths)
    if not decision:
        return ""
    return f". {'Champion' if decision['promoted'] else 'Not promoted'}: {decision['reason']}"
