"""MLflow's UI on the project's store, until stopped. Prints the address of the page with the runs.

One web worker and no job runner: MLflow's defaults start fifteen processes, which takes minutes on two busy cores.
"""

import os
import shlex
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from subprocess import Popen

from pipeline.errors import ConfigError, PipelineError
from pipeline.network import masked
from pipeline.paths import Paths
from pipeline.processes import bound_command, raise_if_stopped, session
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.mlflow_store import artifacts
from pipeline.tracking.tracking_server import is_server, runs_page, tracking_uri

SETTINGS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def show(paths: Paths, port: int) -> None:
    """Serve the UI on loopback until Stopped. Raises ConfigError if the port is in use, PipelineError if MLflow's server ends."""
    log = MlflowLog.connect(paths)  # creates the store if it is missing
    uri = tracking_uri(paths)
    if is_server(uri):
        print(f"The runs are on the tracking server, which has its own UI: {runs_page(uri, log.experiment_id)}")
        return
    _refuse_taken(port)
    arguments = ["server", "--backend-store-uri", uri, "--artifacts-destination", str(artifacts(paths))]
    arguments += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    print(f"$ {masked(shlex.join(['mlflow', *arguments]))}\nMLflow's UI is starting ...", flush=True)
    output = paths.scratch / "mlflow-ui.log"
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as written:
        command = bound_command("mlflow", *arguments)
        with session(command, stdout=written, env={**os.environ, **SETTINGS}) as server:
            _serve(server, f"http://127.0.0.1:{port}", log.experiment_id)
            code = server.poll()
    raise PipelineError(f"MLflow's UI has ended with code {code}: {_last_words(output)}. See {output} for its output.")


def _serve(server: "Popen[bytes]", site: str, experiment_id: str) -> None:
    """Print the address of the UI once it answers; return when it has ended."""
    is_up = False
    while server.poll() is None:
        raise_if_stopped()
        if not is_up and _answers(f"{site}/health"):
            is_up = True
            print(f"  runs      {runs_page(site, experiment_id)}\n  registry  {site}/#/models\nCtrl-C stops it.", flush=True)
        time.sleep(0.2)


def _answers(url: str) -> bool:
    """Whether a page of this machine answers, without a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2):
            return True
    except (OSError, urllib.error.URLError):
        return False


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            raise ConfigError(
                f"--port {port}: in use by another program, or not a valid port. Use another one, such as --port 5050."
            ) from None


def _last_words(output: Path) -> str:
    lines = [line.strip() for line in output.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "no output"
