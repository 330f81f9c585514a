"""Where MLflow's store is, and whether it answers; without loading MLflow."""

import os
import socket
from urllib.parse import urlsplit

from pipeline.errors import TrackingError
from pipeline.paths import Paths

CONNECT_TIMEOUT_SECONDS = 5


def tracking_uri(paths: Paths) -> str:
    """MLFLOW_TRACKING_URI, or the project's own database as an absolute address."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.mlruns / 'mlflow.db'}"


def check_reachable(uri: str) -> None:
    """Ask a server's port once: MLflow itself would try for minutes. Raises TrackingError."""
    address = urlsplit(uri)
    if address.scheme not in ("http", "https") or not address.hostname:
        return
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname, port), CONNECT_TIMEOUT_SECONDS).close()
    except OSError as error:
        raise TrackingError(
            f"MLflow's tracking server {uri} (MLFLOW_TRACKING_URI) cannot be reached: {error}. "
            "Start it, or unset MLFLOW_TRACKING_URI to log to mlruns/."
        ) from None
