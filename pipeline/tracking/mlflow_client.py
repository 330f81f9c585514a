"""MLflow's client with every failure as a TrackingError: only the server's own answer "does not exist" means that something is missing.

MLflow raises its own exceptions, those of SQLAlchemy, requests, boto3 and the system, and KeyError for an incomplete answer. While a store does not
answer, calls fail at once and the store is retried only now and then, so that a fit does not wait for it.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException, RestException
from mlflow.tracking import MlflowClient

from pipeline.errors import FULL_DISK, ModelError, TrackingError, UnreachableError
from pipeline.network import masked
from pipeline.tracking.tracking_server import answers_now, given_registry, is_passing, is_server, remedy

SECONDS_BETWEEN_TRIES = 30.0
FULL_DISK_BYTES = 1 << 20
WHILE_DOWN = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
STATUS = r"(?<=failed with error code )\d{3}(?= !=)|(?<=too many )\d{3}(?= error responses)|\b\d{3}(?= (Client|Server) Error)"
"""The status of an answer, in the messages of MLflow and of requests."""
OF_THE_STORE = (
    "API request to|Max retries exceeded|RemoteDisconnected|Connection aborted|Could not connect to|IncompleteRead|database is locked"
)
"""Words of MLflow, requests, boto3 and SQLite for a store that did not answer."""
CALLER_ERRORS = ("INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST")


class NotThereError(TrackingError):
    """The store has answered that the requested object does not exist."""


class AlreadyThereError(TrackingError):
    """The store has answered that the object to create exists already."""


class GuardedClient:
    """An MlflowClient with the same methods. A failing method raises TrackingError, NotThereError or AlreadyThereError."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        with guarded(uri, "open"):
            self._client = MlflowClient(uri)
        self._failure: TrackingError | None = None
        self._next_try = 0.0
        self.has_warned = False  # one warning for all runs

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if self._failure and (time.monotonic() < self._next_try or not answers_now(self.uri)):
                raise self._failure
            try:
                with _environment(WHILE_DOWN if self._failure else {}), guarded(self.uri, name):
                    answer = method(*arguments, **named)
            except (NotThereError, AlreadyThereError):
                self._failure = None
                raise
            except TrackingError as failure:
                if not _is_callers(failure.__cause__):
                    self._failure, self._next_try = failure, time.monotonic() + SECONDS_BETWEEN_TRIES
                raise
            self._failure = None
            return answer

        return call

    def try_again(self) -> None:
        """Let the next call ask the store, even if it failed just now."""
        self._next_try = 0.0


@contextmanager
def guarded(uri: str, action: str) -> Iterator[None]:
    """Turn any exception of the block into a TrackingError that names the store and the action."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        raise _tracking_error(error, uri, action) from error


def failure_of_model(last_words: str, uri: str) -> TrackingError:
    """The error for the last words of another process that has loaded a model from the store: a ModelError, unless it is the store that failed."""
    status = re.search(STATUS, last_words)
    if (status and status[0] != "404") or (not status and re.search(OF_THE_STORE, last_words)):
        return _tracking_error(Exception(last_words), uri, "load the model")
    return ModelError(first_line(Exception(last_words)))


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without passwords."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return masked(lines[0]) if lines else type(error).__name__


def _tracking_error(error: Exception, uri: str, action: str) -> TrackingError:
    code = _error_code(error)
    if code == "RESOURCE_DOES_NOT_EXIST":
        return NotThereError(f"MLflow at {masked(uri)} has no such object ({action}): {first_line(error)}")
    if code == "RESOURCE_ALREADY_EXISTS":
        return AlreadyThereError(f"MLflow at {masked(uri)} already has this object ({action}): {first_line(error)}")
    if full := _full_disk(uri):
        return TrackingError(
            f"The disk is full: MLflow's store in {full} cannot be written. Free some space, then run the same command again."
        )
    if is_server(uri) and isinstance(error, OSError) and (error.filename or error.errno in FULL_DISK):
        file = error.filename or f"the folder of temporary files, {tempfile.gettempdir()}"
        return TrackingError(f"A file on this machine could not be read or written, for MLflow's {action}: {error.strerror}: {file}.")
    where = f"MLflow's tracking server {masked(uri)}" if is_server(uri) else f"MLflow's store {masked(uri)}"
    registry = given_registry()
    if registry and ("registered_model" in action or "model_version" in action):
        where = f"MLflow's registry {masked(registry)} (MLFLOW_REGISTRY_URI)"
    kind = UnreachableError if _may_pass(error) else TrackingError
    return kind(f"{where} failed ({action}): {_reason(error)}.")


def _may_pass(error: Exception) -> bool:
    """Whether the store did not answer, or answered that it cannot now."""
    text = first_line(error)
    if status := re.search(STATUS, text):
        return is_passing(int(status[0]))
    words = ("[Errno", "timed out", "RemoteDisconnected", "Connection aborted", "IncompleteRead", "database is locked")
    return any(word in text for word in words) and not isinstance(error, PermissionError | FileNotFoundError)


def _reason(error: Exception) -> str:
    """Why a call failed, shorter than the messages of requests."""
    text = first_line(error)
    if "unsupported URI" in text:
        return "MLFLOW_TRACKING_URI names no kind of store that there is. Write http://HOST:PORT, https://… or sqlite:///FILE"
    if refused := re.findall(r"\[Errno -?\d+\] ([^'\")\]]+)", text):
        return str(refused[-1])
    if "timed out" in text.lower() and "HTTP" in text:
        return f"no answer in time. {remedy(503)}"
    if "RemoteDisconnected" in text or "Connection aborted" in text or "IncompleteRead" in text:
        return "it closed the connection before the answer was complete. Try again"
    if status := re.search(STATUS, text):
        return f"it answered with status {status[0]}. {remedy(int(status[0]))}"
    if "not in a valid JSON format" in text:
        return f"it did not answer as an MLflow server does. {remedy(404)}"
    return text[:300].rstrip(".")


def _error_code(error: BaseException | None) -> str:
    """MLflow's own error code. A status 404 of another program, such as a proxy, is not an answer of MLflow."""
    if isinstance(error, RestException):
        return str(error.json.get("error_code", ""))
    if isinstance(error, MlflowException) and "API request to endpoint" not in str(error):
        return str(error.error_code)
    return ""


def _is_callers(error: BaseException | None) -> bool:
    """Whether the store has answered that the request was wrong."""
    return _error_code(error) in CALLER_ERRORS


def _full_disk(uri: str) -> str:
    """The folder of a local store if its disk is full, else empty."""
    folder = Path(uri.removeprefix("sqlite:///")).parent
    if is_server(uri) or not folder.is_dir() or shutil.disk_usage(folder).free > FULL_DISK_BYTES:
        return ""
    return str(folder)


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the block: MLflow reads them at each request."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
