"""The flow run once, in this process."""

import atexit
import contextlib
import logging

import httpx

from pipeline.errors import StageError
from pipeline.paths import Paths
from pipeline.processes import raise_if_stopped
from pipeline.retraining.flow import retrain
from pipeline.retraining.prefect_server import RUN_ONLY, first_line, has_pages, start_server, use_configured_server
from pipeline.retraining.screen import shown_to_people


def run_flow(paths: Paths, lock_timeout_seconds: float, stage_timeout_seconds: float | None, *, if_worth_it: bool) -> str:
    """Why nothing was done, if it was not worth it. Raises StageError with the message of the stage that failed, Stopped by Ctrl-C or SIGTERM.

    A person sees an error at once and decides whether to try again, so nothing is retried.
    """
    _connect(paths)
    try:
        with shown_to_people():
            state = retrain(
                if_worth_it=if_worth_it,
                lock_timeout_seconds=lock_timeout_seconds,
                stage_timeout_hours=None if stage_timeout_seconds is None else stage_timeout_seconds / 3600,
                retries=0,
                return_state=True,
            )
    except httpx.HTTPError as error:
        raise StageError(
            f"Prefect's server no longer answers: {first_line(error)}. What has been done is kept: when the server is back, run the same "
            "command again."
        ) from error
    raise_if_stopped()
    if not state.is_completed():
        raise StageError(state.message or f"The run ended as {state.name}.")
    return (state.message or "") if if_worth_it and state.name in ("Unchanged", "Postponed") else ""


def _connect(paths: Paths) -> None:
    """Give this process a Prefect server until it exits: run states and logs are sent until the very end."""
    if use_configured_server(paths):
        if not has_pages():
            logging.getLogger("prefect.flow_runs").addFilter(_is_no_link)
        return
    running = contextlib.ExitStack()
    atexit.register(running.close)
    start_server(paths, 0, RUN_ONLY, running)
    logging.getLogger("prefect.flow_runs").addFilter(_is_no_link)


def _is_no_link(record: logging.LogRecord) -> bool:
    """False for the address of the run's page: the server of one run shows no pages, and ends with it."""
    return not record.getMessage().startswith("View at ")
