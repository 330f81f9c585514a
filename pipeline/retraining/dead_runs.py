"""Runs that Prefect takes for running though their process is gone: killed, or ended while the server was away. They are closed as Crashed.

A run that ends by itself says so; one that cannot would be shown as Running for ever.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

UNFINISHED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING, StateType.PAUSED]
WHY = "The process of this run was killed, or could not reach Prefect's server to say how it ended. Later runs go on where it was."


def close_run(run_id: str, log: Callable[[str], None]) -> None:
    """Close a run whose process is known to be gone. A server that has no such run, or has its end, is left as it is."""
    try:
        with get_client(sync_client=True) as client:
            run = client.read_flow_run(UUID(run_id))
            if run.state is not None and not run.state.is_final():
                _close(client, run.id)
                log(f"The run {run.name} was killed, or could not say how it ended: it is closed as Crashed")
    except (ObjectNotFound, ValueError):
        return


def close_runs_of(deployment: DeploymentResponse | None) -> int:
    """How many unfinished runs of a deployment were closed: for when no process of it is alive."""
    if deployment is None:
        return 0
    with get_client(sync_client=True) as client:
        unfinished = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED))),
        )
        for run in unfinished:
            _close(client, run.id)
    return len(unfinished)


def _close(client: SyncPrefectClient, run_id: UUID) -> None:
    client.set_flow_run_state(run_id, Crashed(message=WHY, timestamp=datetime.now(UTC)), force=True)
