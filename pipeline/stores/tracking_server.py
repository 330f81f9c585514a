"""Where MLflow's store is, and whether it answers; without loading MLflow."""

import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import TrackingError
from pipeline.network import masked
from pipeline.paths import Paths

CONNECT_TIMEOUT_SECONDS = 5
RUNS_PAGE = "#/experiments/{experiment_id}/runs?workflowType=machine_learning"
"""The page of MLflow's UI that lists runs: its start page is one for language models."""


def tracking_uri(paths: Paths) -> str:
    """MLFLOW_TRACKING_URI, or the project's own database as an absolute address."""
    return given_uri() or f"sqlite:///{_own_database(paths)}"


def given_uri() -> str:
    """MLFLOW_TRACKING_URI without blanks around it; empty where it is not set."""
    return os.environ.get("MLFLOW_TRACKING_URI", "").strip()


def is_server(uri: str) -> bool:
    """Whether an address is that of a tracking server, which keeps artifacts itself."""
    return urlsplit(uri).scheme in ("http", "https")


def is_own_store(uri: str, paths: Paths) -> bool:
    """Whether an address, however it is written, is that of the project's own database."""
    if not uri.startswith("sqlite:///"):
        return False
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]).resolve() == _own_database(paths).resolve()


def runs_page(address: str, experiment_id: str) -> str:
    """The page with the runs of an experiment, of the MLflow server or UI at an address."""
    return f"{masked(address).rstrip('/')}/{RUNS_PAGE.format(experiment_id=experiment_id)}"


def check_reachable(uri: str) -> None:
    """Ask a server's port once: MLflow itself would try for minutes. Raises TrackingError."""
    try:
        address = urlsplit(uri)
        port = address.port or (443 if address.scheme == "https" else 80)
    except ValueError:
        address, port = urlsplit(""), 0
    if not port or re.fullmatch(r"[\w.-]+:\d+(/.*)?", uri) or (is_server(uri) and not address.hostname):
        raise TrackingError(
            "MLFLOW_TRACKING_URI is no address. Set it to one such as http://127.0.0.1:5000, or unset it to log to mlruns/."
        )
    if not is_server(uri):
        return
    if problem := _connection_problem(address.hostname or "", port, CONNECT_TIMEOUT_SECONDS):
        raise TrackingError(
            f"MLflow's tracking server {masked(uri)} (MLFLOW_TRACKING_URI) cannot be reached: {problem}. "
            "Start it, or unset MLFLOW_TRACKING_URI to log to mlruns/."
        )


def answers_now(uri: str) -> bool:
    """Whether something listens where the server should be; a second at most. True for what is no server."""
    address = urlsplit(uri)
    if not is_server(uri) or not address.hostname:
        return True
    return not _connection_problem(address.hostname, address.port or (443 if address.scheme == "https" else 80), 1.0)


def _connection_problem(host: str, port: int, timeout_seconds: float) -> str:
    try:
        socket.create_connection((host, port), timeout_seconds).close()
    except (OSError, UnicodeError) as error:
        return str(error)
    return ""


def _own_database(paths: Paths) -> Path:
    return paths.mlruns / "mlflow.db"
