"""The address of MLflow's store, and whether it answers; without loading MLflow."""

import base64
import http.client
import json
import os
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pipeline.errors import TrackingError, UnreachableError
from pipeline.network import masked
from pipeline.paths import Paths

CONNECT_TIMEOUT_SECONDS = 5
ANSWER_TIMEOUT_SECONDS = 15
REFUSED = (401, 403, 407)
RUNS_PAGE = "#/experiments/{experiment_id}/runs?workflowType=machine_learning"
"""The page of MLflow's UI that lists runs; its start page is for language models."""


def tracking_uri(paths: Paths) -> str:
    """MLFLOW_TRACKING_URI, or the project's own database as an absolute address."""
    return given_uri() or f"sqlite:///{_own_database(paths)}"


def given_uri() -> str:
    """MLFLOW_TRACKING_URI, stripped; empty if unset."""
    return os.environ.get("MLFLOW_TRACKING_URI", "").strip()


def given_registry() -> str:
    """MLFLOW_REGISTRY_URI, stripped; empty if unset."""
    return os.environ.get("MLFLOW_REGISTRY_URI", "").strip()


def registry_uri(paths: Paths) -> str:
    """MLFLOW_REGISTRY_URI, or else the address of the tracking store, which has the registry, too."""
    return given_registry() or tracking_uri(paths)


def registry_at(paths: Paths) -> tuple[str, str]:
    """(address of the registry without passwords, the environment variable that says so)."""
    return masked(registry_uri(paths)), "MLFLOW_REGISTRY_URI" if given_registry() else "MLFLOW_TRACKING_URI"


def is_server(uri: str) -> bool:
    """Whether an address is that of a tracking server, which stores artifacts itself."""
    return urlsplit(uri).scheme in ("http", "https")


def is_own_store(uri: str, paths: Paths) -> bool:
    """Whether an address, however it is spelt, is that of the project's own database."""
    if not uri.startswith("sqlite:///"):
        return False
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]).resolve() == _own_database(paths).resolve()


def runs_page(address: str, experiment_id: str) -> str:
    """The address of the page with the runs of an experiment, on an MLflow server or UI."""
    return f"{masked(address).rstrip('/')}/{RUNS_PAGE.format(experiment_id=experiment_id)}"


def run_page(address: str, experiment_id: str, run_id: str) -> str:
    """The address of the page of a run, on an MLflow server or UI."""
    return f"{masked(address).rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"


def version_page(address: str, model_name: str, version: str) -> str:
    """The address of the page of a registered version, on an MLflow server or UI."""
    return f"{masked(address).rstrip('/')}/#/models/{quote(model_name, safe='')}/versions/{version}"


def check_reachable(uri: str) -> None:
    """Check an address and connect to it once: MLflow itself would retry for minutes. Raises TrackingError."""
    try:
        address = urlsplit(uri)
        port = address.port or (443 if address.scheme == "https" else 80)
    except ValueError:
        address, port = urlsplit(""), 0
    if not port or re.fullmatch(r"[\w.-]+:\d+(/.*)?", uri) or (is_server(uri) and not address.hostname):
        raise TrackingError(
            "MLFLOW_TRACKING_URI is no address. Set it to one such as http://127.0.0.1:5000, or unset it to log to mlruns/."
        )
    if folder := _missing_folder(uri):
        raise TrackingError(f"MLFLOW_TRACKING_URI is {uri}, but the folder {folder} does not exist. Create it or correct the address.")
    if not is_server(uri):
        return
    if problem := _connection_problem(address.hostname or "", port, CONNECT_TIMEOUT_SECONDS):
        raise UnreachableError(
            f"MLflow's tracking server {masked(uri)} (MLFLOW_TRACKING_URI) cannot be reached: {problem}. "
            "Start it, or unset MLFLOW_TRACKING_URI to log to mlruns/."
        )
    _check_answer(uri)


def _check_answer(uri: str) -> None:
    """Raise TrackingError if the server is not MLflow or refuses this user. Servers on https are not asked: MLflow checks certificates."""
    parts = urlsplit(uri)
    if parts.scheme != "http":
        return
    site = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    kind = TrackingError
    request = urllib.request.Request(f"{site}/api/2.0/mlflow/experiments/get?experiment_id=0", headers=_credentials(parts))  # noqa: S310 (http)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS) as answer:  # noqa: S310
            problem = "" if _is_mlflows(answer.read()) else f"it did not answer as an MLflow server does. {remedy(404)}"
    except urllib.error.HTTPError as error:
        kind = UnreachableError if is_passing(error.code) else TrackingError
        problem = (
            "" if _is_mlflows(error.read()) and error.code not in REFUSED else f"it answered with status {error.code}. {remedy(error.code)}"
        )
    except (OSError, ValueError, http.client.HTTPException) as error:
        kind, problem = UnreachableError, f"incomplete answer: {error or type(error).__name__}. Try again, or unset MLFLOW_TRACKING_URI"
    if problem:
        raise kind(f"MLflow's tracking server {masked(uri)} (MLFLOW_TRACKING_URI) cannot be used: {problem}.")


def _is_mlflows(body: bytes) -> bool:
    """Whether an answer is an experiment or an error of MLflow."""
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and bool(answer.keys() & {"experiment", "error_code"})


def _credentials(parts: SplitResult) -> dict[str, str]:
    """The header with which MLflow's client would authenticate."""
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    user = unquote(parts.username or "") or os.environ.get("MLFLOW_TRACKING_USERNAME", "")
    password = unquote(parts.password or "") or os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"} if user else {}


def remedy(status: int) -> str:
    """What to do if a server answers with this HTTP status."""
    if status in REFUSED:
        return "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, or ask the administrator of the server"
    if not is_passing(status):
        return "Check that MLFLOW_TRACKING_URI is the complete address of an MLflow server, with its path"
    return "Try again when the server is available"


def is_passing(status: int) -> bool:
    """Whether an answer with this HTTP status means: not now."""
    return status >= 500 or status in (408, 429)


def answers_now(uri: str) -> bool:
    """Whether the server accepts connections, within a second. True for a store that is not a server."""
    address = urlsplit(uri)
    if not is_server(uri) or not address.hostname:
        return True
    return not _connection_problem(address.hostname, address.port or (443 if address.scheme == "https" else 80), 1.0)


def _missing_folder(uri: str) -> str:
    """The missing folder of a database other than the project's own, which MLflow would create; else empty."""
    if uri != given_uri() or not uri.startswith("sqlite:///"):
        return ""
    folder = Path(uri.removeprefix("sqlite:///").partition("?")[0]).absolute().parent
    return "" if folder.is_dir() or folder.name == "mlruns" else str(folder)


def _connection_problem(host: str, port: int, timeout_seconds: float) -> str:
    try:
        socket.create_connection((host, port), timeout_seconds).close()
    except (OSError, UnicodeError) as error:
        return str(error)
    return ""


def _own_database(paths: Paths) -> Path:
    return paths.mlruns / "mlflow.db"
