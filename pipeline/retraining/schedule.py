"""The flow on a cron schedule, or when files arrive: one Prefect deployment per project, one runner that waits for its runs, and checks of both.

`python -m pipeline.retraining.schedule PLAN` is the runner, the process that `pipeline serve` starts and stops; PLAN is JSON.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from subprocess import Popen
from typing import IO, Any
from zoneinfo import ZoneInfo

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.schedules import Cron
from prefect.settings import get_current_settings
from prefect.types.entrypoint import EntrypointType

from pipeline.errors import ConfigError, PipelineError
from pipeline.network import masked
from pipeline.paths import Paths
from pipeline.processes import bound_command, session
from pipeline.retraining.dead_runs import close_runs_of
from pipeline.retraining.deployment import leave_out_missed_runs, read_deployment, what_keeps_it_from_firing
from pipeline.retraining.flow import retrain
from pipeline.retraining.prefect_server import Server, cause_in, chosen_port, start_server, use_configured_server
from pipeline.retraining.runner_log import RunnerLog, open_log
from pipeline.retraining.source_watch import SourceWatch
from pipeline.unattended.only_run import is_running
from pipeline.unattended.project_name import project_name

RUNNER_GRACE_SECONDS = 20.0  # it stops a running stage first, which takes up to 8 s
READY_SECONDS = 120.0
SECONDS_BETWEEN_CHECKS = 60.0


@dataclass(frozen=True)
class Plan:
    """When runs start: on a schedule, or once new files have settled for so many seconds; None: not so. parameters: of each run."""

    schedule: CronSchedule | None
    settle_seconds: float | None
    parameters: Mapping[str, Any]


def run_by_plan(paths: Paths, plan: Plan, port: int | None) -> None:
    """Run the flow as planned until Stopped; every process that this started is then stopped."""
    schedule = plan.schedule
    name = f"{retrain.name}/{project_name(paths.root)}"
    if port is not None:
        chosen_port(port)
    with contextlib.ExitStack() as running:
        servers = [] if use_configured_server(paths) else [start_server(paths, port, {}, running)]
        before = read_deployment(name)
        if not is_running(paths):
            close_runs_of(before)
        missed = leave_out_missed_runs(before)
        output = running.enter_context(open_log(paths.scratch / "prefect-runner.log"))
        log = RunnerLog(paths.scratch / "prefect-runner.log")
        running.callback(log.show_rest)
        runner = running.enter_context(_runner(plan, output))
        _wait_until_ready(name, schedule, runner, log)
        print(_announcement(name, plan, before, missed), flush=True)
        source = SourceWatch(paths, name, plan.settle_seconds) if plan.settle_seconds is not None else None
        _watch(name, plan.schedule, [*servers, Server(runner, log.path)], log, source)


def checked_schedule(cron: str, timezone: str) -> CronSchedule:
    """The schedule. Raises ConfigError if it is not valid or never fires."""
    try:
        if not cron.startswith("@") and len(cron.split()) != 5:  # a sixth field would be seconds
            raise ValueError(cron)
        schedule = CronSchedule(cron=cron, timezone=timezone)
    except ValueError:
        raise ConfigError(
            f'--cron "{cron}": not a cron schedule. Expected minute, hour, day, month and weekday, as in "0 6 * * 1": Mondays at 6.'
        ) from None
    try:
        dates = next_runs(schedule)
    except ValueError:  # CroniterBadDateError
        dates = []
    if not dates:
        raise ConfigError(f'--cron "{cron}": never fires: there is no such day.')
    return schedule


def next_runs(schedule: CronSchedule, count: int = 3) -> list[datetime]:
    """The next times at which the schedule fires, as Prefect computes them."""
    from prefect.server.schemas.schedules import CronSchedule as ServerSchedule  # takes 1.5 s to import

    dates = ServerSchedule(cron=schedule.cron, timezone=schedule.timezone).get_dates(count)
    return [datetime.fromtimestamp(date.timestamp(), ZoneInfo(schedule.timezone or "UTC")) for date in asyncio.run(dates)]


@contextlib.contextmanager
def _runner(plan: Plan, output: IO[bytes]) -> Iterator["Popen[bytes]"]:
    cron, zone = (plan.schedule.cron, plan.schedule.timezone or "UTC") if plan.schedule else ("", "UTC")
    command = bound_command(
        "pipeline.retraining.schedule", json.dumps({"cron": cron, "timezone": zone, "parameters": dict(plan.parameters)})
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with session(command, stdout=output, env=environment, grace_seconds=RUNNER_GRACE_SECONDS) as runner:
        yield runner


def _wait_until_ready(name: str, schedule: CronSchedule | None, runner: "Popen[bytes]", log: RunnerLog) -> None:
    """Return once the deployment exists as this runner creates it."""
    deadline = time.monotonic() + READY_SECONDS
    while what_keeps_it_from_firing(name, schedule, planned=False):
        if runner.poll() is not None or time.monotonic() > deadline:
            raise PipelineError(f"The schedule could not be set up: {cause_in(log.text())}. The log is {log.path}.")
        time.sleep(0.5)


def _announcement(name: str, plan: Plan, before: DeploymentResponse | None, missed: int) -> str:
    schedule = plan.schedule
    times = ", ".join(f"{date:%a %Y-%m-%d %H:%M %Z}" for date in next_runs(schedule)) if schedule else ""
    settle = "" if plan.settle_seconds is None else f"{plan.settle_seconds / 60:g} min after the last change in the source"
    site = masked(get_current_settings().ui_url or str(get_current_settings().api.url)).removesuffix("/api")
    resumed = " (was paused, is active again)" if before and before.paused else ""
    lines = [
        f'Scheduled "{schedule.cron}" ({schedule.timezone}).' if schedule else "Watching the source.",
        *([f"  next runs   {times}"] if schedule else []),
        *([f"  new files   a run starts {settle}"] if settle else []),
        f"  Prefect UI  {site}",
        f"  deployment  {name}{resumed}",
        *([f"  skipped     {missed} earlier runs that were due while the schedule was not being served"] if missed else []),
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines)


def _watch(name: str, schedule: CronSchedule | None, servers: Sequence[Server], log: RunnerLog, source: SourceWatch | None) -> None:
    """Show the runner's output, look at the source, and warn in one line if someone pauses or changes the schedule; until a process ends."""
    told = ""
    check_at = time.monotonic() + SECONDS_BETWEEN_CHECKS
    while not (ended := [server for server in servers if server.process.poll() is not None]):
        log.show()
        if source:
            source.look()
        if time.monotonic() > check_at:
            told = _tell(told, lambda: what_keeps_it_from_firing(name, schedule))
            check_at = time.monotonic() + SECONDS_BETWEEN_CHECKS
        time.sleep(0.5)
    log.show_rest()
    raise PipelineError(
        f"The schedule has stopped, because one of Prefect's processes ended: {ended[0].cause()}. "
        f"Start it again. The log is {ended[0].log}."
    )


def _tell(told: str, look: Callable[[], str]) -> str:
    """The current problem, printed if it has changed."""
    problem = look()
    if problem != told:
        print(f"warning: {problem}" if problem else "The schedule is active again.", file=sys.stderr, flush=True)
    return problem


def _run_scheduled(cron: str, timezone: str, parameters: dict[str, Any]) -> None:
    """Wait for runs that are due or asked for and start them, one at a time; one that is due while another one is active is skipped."""
    root = Path.cwd()
    retrain.serve(
        name=project_name(root),
        description=f"Retrains the project in {root}, as far as anything has changed.",
        schedule=Cron(cron, timezone=timezone) if cron else None,
        parameters=parameters,
        paused=False,
        limit=1,
        global_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        print_starting_message=False,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


if __name__ == "__main__":
    _run_scheduled(**json.loads(sys.argv[1]))
