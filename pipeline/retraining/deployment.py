"""A project's deployment as Prefect's server has it: whether it will fire, and which runs it missed."""

from datetime import UTC, datetime, timedelta

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Cancelled

RESUME = "Resume it in Prefect's UI, or start `pipeline serve` again."


def read_deployment(name: str) -> DeploymentResponse | None:
    """The deployment FLOW/DEPLOYMENT, or None if there is none."""
    with get_client(sync_client=True) as client:
        return _read(client, name)


def leave_out_missed_runs(deployment: DeploymentResponse | None) -> int:
    """The number of scheduled runs that were due while nothing served the deployment; they are cancelled, as a schedule does not catch up.

    Runs that a person has started by hand are kept.
    """
    if deployment is None:
        return 0
    missed = 0
    with get_client(sync_client=True) as client:
        while runs := [run for run in _planned(client, deployment, before=datetime.now(UTC)) if run.auto_scheduled]:
            for run in runs:
                client.set_flow_run_state(run.id, Cancelled(message="Skipped: it was due while nothing served the schedule."), force=True)
            missed += len(runs)
    return missed


def what_keeps_it_from_firing(name: str, schedule: CronSchedule | None, *, planned: bool = True) -> str:
    """Why the schedule starts no run, and what to do, in one or two sentences; empty if all is well.

    planned: also look whether Prefect's scheduler has planned a run, which it does some seconds after a start.
    """
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
            deployment = _read(client, name)
            if deployment is None:
                return f"{name} is no longer in Prefect, so nothing is started. Stop and start `pipeline serve` again."
            if fault := fault_of(deployment, schedule):
                return fault
            if planned and schedule and not _planned(client, deployment, after=datetime.now(UTC) - timedelta(seconds=60)):
                return f"Prefect has not planned any run of {name}: is the scheduler of its server running?"
    except (httpx.HTTPError, OSError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        return f"Prefect's server does not answer, so nothing is started until it does: {told}"
    return ""


def fault_of(deployment: DeploymentResponse, schedule: CronSchedule | None) -> str:
    """Why the deployment no longer fires as it was created: paused, switched off or changed; empty if it is unchanged. schedule: None for none."""
    if deployment.paused:
        return f"the schedule is paused in Prefect, so nothing is started. {RESUME}"
    if schedule is None:
        return ""
    active = [entry.schedule for entry in deployment.schedules if entry.active]
    if not active:
        return f"the schedule is switched off in Prefect, so nothing is started. {RESUME}"
    if not any(isinstance(entry, CronSchedule) and (entry.cron, entry.timezone) == (schedule.cron, schedule.timezone) for entry in active):
        return "the schedule has been changed in Prefect, and runs follow that one. To restore this one, start `pipeline serve` again."
    return ""


def _read(client: SyncPrefectClient, name: str) -> DeploymentResponse | None:
    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def _planned(
    client: SyncPrefectClient, deployment: DeploymentResponse, *, before: datetime | None = None, after: datetime | None = None
) -> list[FlowRun]:
    return client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
            next_scheduled_start_time=FlowRunFilterNextScheduledStartTime.model_validate({"before_": before, "after_": after}),
        ),
    )
