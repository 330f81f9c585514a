"""Where the flow runs: once or on a schedule, on the Prefect server that is configured, or on one started for the purpose.

Prefect's own temporary server shares the terminal's process group, so that a Ctrl-C ends it before the run is recorded as cancelled, and it
never fires a schedule. So where no PREFECT_API_URL is set, a real `prefect server start` runs on loopback, in its own session, for as long as it
is needed, on Prefect's usual database: the history of runs stays in one place.

`python -m pipeline.serve CRON TIMEZONE` is the process that `serve` starts and stops: it waits for scheduled runs and starts them.
"""

import atexit
import contextlib
import logging
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.context import refresh_global_settings_context
from prefect.schedules import Cron
from prefect.settings import get_current_settings
from prefect.types.entrypoint import EntrypointType

from pipeline.errors import ConfigError, PipelineError, StageError
from pipeline.flow import retrain
from pipeline.paths import Paths
from pipeline.processes import bound_command, raise_if_stopped, session

DEPLOYMENT = "scheduled"
DEFAULT_PORT = 4200
START_SECONDS = 90
RUNNER_GRACE_SECONDS = 20.0  # it stops a running stage first, which takes up to 8 s
CONNECT_SECONDS = 5
RUN_ONLY = {  # what a server of one run does not need
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}


def run_once(paths: Paths, lock_timeout_seconds: float) -> None:
    """Run the flow in this process. Raises StageError with the message of the stage that failed, Stopped by Ctrl-C or SIGTERM."""
    os.chdir(paths.root)
    _connect(paths)
    state = retrain(lock_timeout_seconds, return_state=True)
    raise_if_stopped()
    if not state.is_completed():
        raise StageError(state.message or f"The run ended as {state.name}.")


def serve(paths: Paths, cron: str, timezone: str | None, port: int | None) -> None:
    """Run the flow by a cron schedule until Stopped by Ctrl-C or SIGTERM; then nothing that this started is left.

    port: for the Prefect server, where none is configured; by default 4200, or another where that is taken.
    """
    os.chdir(paths.root)
    schedule = _checked_schedule(cron, timezone or _local_timezone())
    with contextlib.ExitStack() as running:
        servers = []
        if not _is_reachable():
            address, server = _start_server(paths, _chosen_port(port), {}, running)
            _use(address)
            servers.append(server)
        runner = running.enter_context(_runner(schedule))
        print(_announcement(schedule), flush=True)
        _wait_for_any([*servers, runner])


def next_runs(schedule: CronSchedule, count: int = 3) -> list[datetime]:
    """The next times at which the schedule fires, by Prefect's own reckoning."""
    import asyncio

    from prefect.server.schemas.schedules import CronSchedule as ServerSchedule  # takes 1.5 s to import

    dates = ServerSchedule(cron=schedule.cron, timezone=schedule.timezone).get_dates(count)
    return [datetime.fromtimestamp(date.timestamp(), ZoneInfo(schedule.timezone or "UTC")) for date in asyncio.run(dates)]


def _checked_schedule(cron: str, timezone: str) -> CronSchedule:
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise ConfigError(f"--timezone {timezone}: not a time zone. Expected a name such as Europe/Berlin or UTC.") from None
    try:
        return CronSchedule(cron=cron, timezone=timezone)
    except ValueError:
        raise ConfigError(
            f'--cron "{cron}": not a cron schedule. Expected minute, hour, day, month and weekday, as in "0 6 * * 1": Mondays at 6.'
        ) from None


def _local_timezone() -> str:
    """The name of the machine's time zone, UTC where it has none."""
    target = os.path.realpath("/etc/localtime")
    return os.environ.get("TZ") or (target.split("zoneinfo/")[1] if "zoneinfo/" in target else "UTC")


def _connect(paths: Paths) -> None:
    """Make sure that this process has a Prefect server to talk to, until it ends: run states and logs are sent until the very end."""
    if not _is_reachable():
        running = contextlib.ExitStack()
        atexit.register(running.close)
        address, _ = _start_server(paths, _free_port(), RUN_ONLY, running)
        _use(address)
        logging.getLogger("prefect.flow_runs").addFilter(_is_no_link)


def _is_no_link(record: logging.LogRecord) -> bool:
    """False for the address of the run's page: the server of one run shows no pages, and ends with it."""
    return not record.getMessage().startswith("View at ")


def _is_reachable() -> bool:
    """Whether a Prefect server is configured. Raises ConfigError where it is, and does not answer."""
    address = get_current_settings().api.url
    if address is None:
        return False
    try:
        parts = urlsplit(address)
        socket.create_connection((parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), CONNECT_SECONDS).close()
        with get_client(sync_client=True) as client:
            problem: object = client.api_healthcheck()
    except (OSError, ValueError) as error:
        problem = error
    if problem:
        raise ConfigError(
            f"The Prefect server at {address} (PREFECT_API_URL) does not answer: {str(problem).splitlines()[0]}. "
            "Start it, or unset PREFECT_API_URL to run without one."
        )
    return True


def _use(address: str) -> None:
    os.environ["PREFECT_API_URL"] = address
    refresh_global_settings_context()


def _start_server(paths: Paths, port: int, settings: dict[str, str], running: contextlib.ExitStack) -> tuple[str, "Popen[bytes]"]:
    """The API's address and the process of a Prefect server that answers; `running` ends it."""
    site = f"http://127.0.0.1:{port}"
    command = bound_command("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    paths.scratch.mkdir(parents=True, exist_ok=True)
    log = paths.scratch / "prefect-server.log"
    with log.open("wb") as output:
        environment = {**os.environ, "PREFECT_SERVER_UI_API_URL": f"{site}/api", **settings}
        server = running.enter_context(session(command, stdout=output, env=environment, signals=(signal.SIGTERM, signal.SIGKILL)))
    _wait_until_healthy(f"{site}/api/health", server, log)
    return f"{site}/api", server


def _wait_until_healthy(url: str, server: "Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=CONNECT_SECONDS):  # noqa: S310 (loopback)
            return
        time.sleep(0.05)
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    raise PipelineError(
        f"The Prefect server did not start: {' '.join(last).rstrip('.') or 'it said nothing'}. All that it said is in {log}."
    )


def _chosen_port(port: int | None) -> int:
    """The port asked for. Raises ConfigError where it is taken."""
    if port is not None and _free_port(port) != port:
        raise ConfigError(f"--port {port}: taken by another program. Leave it out, or give another.")
    return port or _free_port(DEFAULT_PORT)


def _free_port(preferred: int = 0) -> int:
    """`preferred` where nothing listens there, or else any free port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return _free_port()
        return int(probe.getsockname()[1])


def _runner(schedule: CronSchedule) -> contextlib.AbstractContextManager["Popen[bytes]"]:
    command = bound_command("pipeline.serve", schedule.cron, schedule.timezone or "UTC")
    return session(command, stdout=None, env=dict(os.environ), grace_seconds=RUNNER_GRACE_SECONDS)


def _announcement(schedule: CronSchedule) -> str:
    times = ", ".join(f"{date:%a %Y-%m-%d %H:%M %Z}" for date in next_runs(schedule))
    site = (get_current_settings().ui_url or str(get_current_settings().api.url)).removesuffix("/api")
    return f'Scheduled "{schedule.cron}" ({schedule.timezone}).\n  next runs   {times}\n  Prefect UI  {site}\nCtrl-C stops it.'


def _wait_for_any(processes: list["Popen[bytes]"]) -> None:
    while all(process.poll() is None for process in processes):
        time.sleep(0.5)
    raise PipelineError("The schedule has ended, as one of Prefect's processes did: see above. Start it again.")


def _run_scheduled(cron: str, timezone: str) -> None:
    """Wait for scheduled runs and start them, one at a time; one that comes due while another runs is left out."""
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    schedule = Cron(cron, timezone=timezone)
    retrain.serve(
        name=DEPLOYMENT,
        schedule=schedule,
        limit=1,
        global_limit=one,
        print_starting_message=False,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


if __name__ == "__main__":
    _run_scheduled(*sys.argv[1:])
