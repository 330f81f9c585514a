"""A Prefect server that answers: the one that is configured, or one started on loopback for as long as it is needed.

Prefect's own temporary server shares the terminal's process group, so that a Ctrl-C ends it before the run is recorded as cancelled, and it
never fires a schedule. So where no address is set, a real `prefect server start` runs in its own session, on Prefect's usual database: the
history of runs stays in one place.
"""

import contextlib
import os
import re
import signal
import socket
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import httpx
import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import get_settings_context, refresh_global_settings_context
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings

from pipeline.errors import ConfigError, PipelineError
from pipeline.network import masked
from pipeline.paths import Paths
from pipeline.processes import bound_command, session
from pipeline.retraining.prefect_home import check_home, one_start_at_a_time, origin_of_address
from pipeline.retraining.runner_log import open_log, since_the_last_start

DEFAULT_PORT = 4200
START_SECONDS = 180  # 3 s on an idle machine; 77 s were seen on a busy one that creates the database
CONNECT_SECONDS = 5
RUN_ONLY = {  # what a server of one run does not need
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}


@dataclass(frozen=True)
class Server:
    """A process of Prefect's, and the log file of its output."""

    process: "Popen[bytes]"
    log: Path

    def cause(self) -> str:
        """Why it has ended, in one line."""
        return cause_in(self.log.read_text(encoding="utf-8", errors="replace"))


def use_configured_server(paths: Paths) -> bool:
    """Whether a Prefect server is configured. Raises ConfigError if it cannot be used: where its address is set, and what to do."""
    address = (get_current_settings().api.url or "").strip()
    if not address:
        return False
    if problem := _problem(address):
        profile = get_settings_context().profile
        origin, remedy = origin_of_address(paths.root, profile.name, profile.source)
        raise ConfigError(
            f"The Prefect server at {masked(address)} {masked(problem)}. The address is set by {origin}. "
            f"Correct it or start that server; to run without one, {remedy}."
        )
    return True


def start_server(paths: Paths, port: int | None, settings: Mapping[str, str], running: contextlib.ExitStack) -> Server:
    """Start a server, which this process uses from now on; `running` ends it. port: 0 for any, None for 4200 if that is free.

    Raises PipelineError with the cause if it does not start.
    """
    home = get_current_settings().home
    check_home(home)
    paths.scratch.mkdir(parents=True, exist_ok=True)
    log = paths.scratch / "prefect-server.log"
    with one_start_at_a_time(home, START_SECONDS), open_log(log) as output:
        port = chosen_port(port)
        site = f"http://127.0.0.1:{port}"
        command = bound_command("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
        environment = {**os.environ, "PREFECT_SERVER_UI_API_URL": f"{site}/api", "NO_COLOR": "1", **settings}
        process = running.enter_context(session(command, stdout=output, env=environment, signals=(signal.SIGTERM, signal.SIGKILL)))
        server = Server(process, log)
        _wait_until_healthy(f"{site}/api/health", port, server)
    _use(f"{site}/api")
    if problem := _problem(f"{site}/api"):
        raise PipelineError(f"The Prefect server that was started {masked(problem)}. Its log is {log}.")
    return server


def has_pages() -> bool:
    """Whether the server in use has a web UI: one started with --no-ui has none, and a link to it would be dead."""
    address = get_current_settings().ui_url
    try:
        answer = httpx.get(address or "", timeout=CONNECT_SECONDS, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        return False
    return answer.is_success and "html" in answer.headers.get("content-type", "")


def chosen_port(port: int | None) -> int:
    """The port asked for, or else 4200 or another that is free. Raises ConfigError if the one asked for cannot be used."""
    if port is None:
        try:
            return _probed(DEFAULT_PORT)
        except OSError:
            return _probed(0)
    if not 0 <= port < 2**16:
        raise ConfigError(f"--port {port}: not a port. Expected a number from 1 to 65535.")
    try:
        return _probed(port)
    except OSError as error:
        fault = "not allowed" if isinstance(error, PermissionError) else "taken by another program"
        raise ConfigError(f"--port {port}: {fault}. Leave it out, or give another.") from None


def cause_in(log: str) -> str:
    """Why a process ended, in one line of what it printed since its start: its last error, or else its last line."""
    lines = [line.strip() for line in since_the_last_start(log).splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"([\w.]+\.)?\w*(Error|Exception|Exit)\b: ?\S", line)]
    errors = errors or [line for line in lines if re.search(r"\b(ERROR|CRITICAL)\b|^Error\b", line) and not line.endswith("Exiting.")]
    said = (errors or lines or ["it printed nothing"])[-1]
    return masked(said.removeprefix("ERROR:").strip().rstrip("."))


def _probed(port: int) -> int:
    """The port, or any free one for 0. Raises OSError if something listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])


def _use(address: str) -> None:
    os.environ["PREFECT_API_URL"] = address
    password = get_current_settings().server.api.auth_string
    if password:
        os.environ["PREFECT_API_AUTH_STRING"] = password.get_secret_value()
    refresh_global_settings_context()


def _problem(address: str) -> str:
    """Why a server cannot be used, as the end of a sentence; empty if it answers as Prefect does."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        return "has no usable address: expected http://HOST:PORT/api"
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
            _talk(client)
    except httpx.HTTPStatusError as error:
        return _refusal(error.response.status_code)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return f"does not answer: {first_line(error)}"
    except (ValueError, TypeError):
        return "is not a Prefect API: its answer was not Prefect's. The address of one usually ends in /api"
    except RuntimeError as error:
        return f"cannot be used: {first_line(error)}"
    return ""


def _talk(client: SyncPrefectClient) -> None:
    """Also make a request that needs a password: anyone may ask for the health of a server."""
    if problem := client.api_healthcheck():
        raise problem
    client.read_flows(limit=1)
    client.raise_for_api_version_mismatch()


def _refusal(status: int) -> str:
    if status in (401, 403):
        api = get_current_settings().api
        name = "PREFECT_API_AUTH_STRING" if api.auth_string else "PREFECT_API_KEY" if api.key else ""
        return f"does not accept {name}" if name else "requires a password: set PREFECT_API_AUTH_STRING, or PREFECT_API_KEY"
    if status in (404, 405, 501):
        return f"is not a Prefect API: it answered with status {status}. The address of one usually ends in /api"
    return f"does not answer: HTTP status {status}"


def first_line(error: Exception) -> str:
    """The first line of an error's message, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _wait_until_healthy(url: str, port: int, server: Server) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError), direct.open(url, timeout=CONNECT_SECONDS):
            if _listens(server.process.pid, port):
                return
        time.sleep(0.05)
    slow = "" if server.process.poll() is not None else f" within {START_SECONDS} s"
    raise PipelineError(
        f"The Prefect server did not start{slow}: {server.cause()}. Its database is in {get_current_settings().home}; "
        f"its log is {server.log}."
    )


def _listens(pid: int, port: int) -> bool:
    """Whether it is this process, or one of its children, that answers on a port: another may have taken it a moment before."""
    with contextlib.suppress(psutil.Error):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return any(connection.laddr.port == port for process in family for connection in process.net_connections("tcp") if connection.laddr)
    return False
