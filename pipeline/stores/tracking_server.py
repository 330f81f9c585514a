"""Where MLflow's store is, and whether it answers; without loading MLflow."""

import os
import re
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
    try:
        address = urlsplit(uri)
        port = address.port or (443 if address.scheme == "https" else 80)
    except ValueError:
        address, port = urlsplit(""), 0
    if not port or re.fullmatch(r"[\w.-]+:\d+(/.*)?", uri) or (address.scheme in ("http", "https") and not address.hostname):
        raise TrackingError(
            "MLFLOW_TRACKING_URI is no address. Set it to one such as http://127.0.0.1:5000, or unset it to log to mlruns/."
        )
    if address.scheme not in ("http", "https"):
        return
    try:
        socket.create_connection((address.hostname or "", port), CONNECT_TIMEOUT_SECONDS).close()
    except OSError as error:
        raise TrackingError(
            f"MLflow's tracking server {uri} (MLFLOW_TRACKING_URI) cannot be reached: {error}. "
            "Start it, or unset MLFLOW_TRACKING_URI to log to mlruns/."
        ) from None
