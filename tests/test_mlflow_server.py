"""What a tracking server may answer when it is not well: an error of a server is never taken for "nothing there"."""

import errno
import json
import re
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.errors import ModelError, TrackingError, UnreachableError
from pipeline.network import masked
from pipeline.paths import Paths
from pipeline.tracking.mlflow_client import GuardedClient, failure_of_model, guarded
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.run_owner import this_process
from pipeline.tracking.tracking_server import check_reachable, is_own_store, runs_page

pytestmark = pytest.mark.filterwarnings("ignore")

Answer = tuple[int, bytes]
BREAKS_OFF = (0, b"")
"""The connection is closed without an answer."""
MODEL = {"registered_model": {"name": "pets", "aliases": [{"alias": "champion", "version": "2"}]}}
VERSION = {"model_version": {"name": "pets", "version": "2", "creation_timestamp": 1}}
NOT_THERE = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered Model with name=pets not found"}).encode()
PETS = {"/registered-models/get": (200, json.dumps(MODEL).encode()), "/model-versions/get": (200, json.dumps(VERSION).encode())}


class Server(ThreadingHTTPServer):
    """A server on loopback that answers as a test says: by the end of the path, a status and a body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answers = self.server.answers
        status, body = next((answers[end] for end in answers if path.endswith(end)), (404, b"not found"))
        if (status, body) == BREAKS_OFF:
            self.connection.close()
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as server:
        yield server
        server.shutdown()


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, as if it had just started."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    running.answers.clear()
    running.asked.clear()
    return running


@pytest.fixture
def log(server: Server, tmp_path: Path) -> MlflowLog:
    return MlflowLog(GuardedClient(server.url), "1", this_process("", Paths(tmp_path), shares_locks=False))


def test_a_champion_is_read_from_the_server(server: Server, log: MlflowLog) -> None:
    server.answers.update(PETS)

    found = log.registered("pets")

    assert found is not None
    assert found.champion is not None
    assert found.champion.version == "2"


def test_only_the_servers_own_word_means_that_a_model_does_not_exist(server: Server, log: MlflowLog) -> None:
    server.answers["/registered-models/get"] = (404, NOT_THERE)

    assert log.registered("pets") is None
    assert log.find_version("pets", {"model_sha256": "a"}) is None


@pytest.mark.parametrize(
    "answer",
    [
        (503, b"<html>Service Unavailable</html>"),
        (503, b"{}"),
        (500, json.dumps({"error_code": "INTERNAL_ERROR", "message": "oops"}).encode()),
        (403, b"forbidden"),
        (403, json.dumps({"error_code": "PERMISSION_DENIED", "message": "no"}).encode()),
        (401, b"who are you?"),
        (429, b"slow down"),
        (404, b"<html>no such page</html>"),  # of a proxy
        (404, json.dumps({"detail": "Not Found"}).encode()),
        (302, b""),
        (200, b"<html>please log in</html>"),
        (200, b'{"registered_model": {"name": "pe'),
        (200, b"{}"),
        (200, b""),
        (200, b"[]"),
        BREAKS_OFF,
    ],
)
def test_any_other_answer_is_an_error(server: Server, log: MlflowLog, answer: Answer) -> None:
    for endpoint in PETS:
        server.answers.update({**PETS, endpoint: answer})
        with pytest.raises(TrackingError) as caught:
            log.registered("pets")
        assert "\n" not in str(caught.value)


def test_a_failed_search_is_no_empty_one(server: Server, log: MlflowLog) -> None:
    server.answers.update({**PETS, "/model-versions/search": (503, b"")})

    with pytest.raises(TrackingError):
        log.find_version("pets", {"model_sha256": "a"})


@pytest.mark.parametrize("status", [503, 403, 429])
def test_versions_that_cannot_be_read_are_an_error(server: Server, log: MlflowLog, status: int) -> None:
    server.answers.update({**PETS, "/model-versions/get": (status, b""), "/model-versions/search": (status, b"")})

    for ask in (lambda: log.version("pets", "2"), lambda: log.all_versions("pets"), lambda: log.set_alias("pets", "anchor", "2")):
        with pytest.raises(TrackingError):
            ask()


def test_a_server_that_is_down_is_not_asked_at_every_epoch_and_gets_what_waited_at_the_end(server: Server) -> None:
    server.answers["/runs/log-batch"] = (503, b"")
    run = MlflowRun(GuardedClient(server.url), "0" * 32)
    for epoch in range(1, 50):
        run.log_metrics({"loss": 1.0}, step=epoch)
    assert len(server.asked) == 1
    server.answers["/runs/log-batch"] = (200, b"{}")

    run.settle()

    assert len(server.asked) == 50


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            f"No space left on device: the folder of temporary files, {tempfile.gettempdir()}.",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a/b.csv"), "No such file or directory: a/b.csv."),
    ],
)
def test_a_fault_of_this_machine_is_not_blamed_on_the_server(error: OSError, said: str) -> None:
    with pytest.raises(TrackingError) as caught, guarded("http://127.0.0.1:1", "log_artifact"):
        raise error

    assert str(caught.value) == f"A file on this machine could not be read or written, for MLflow's log_artifact: {said}"


REFUSED = (
    "mlflow.exceptions.MlflowException: API request to http://h:1/api/2.0/mlflow/logged-models/m-1 failed with exception HTTPConnectionPool(host='h', "
    "port=1): Max retries exceeded with url: /api (Caused by NewConnectionError(\"HTTPConnection(host='h', port=1): Failed to establish a new "
    'connection: [Errno 111] Connection refused"))'
)


@pytest.mark.parametrize(
    ("last_words", "kind", "said"),
    [
        (REFUSED, UnreachableError, r"^MLflow's tracking server http://h:1 failed \(load the model\): Connection refused\.$"),
        (
            "E: API request to endpoint /x failed with error code 503 != 200. Response body: ''",
            UnreachableError,
            "answered with status 503",
        ),
        ("E: API request to endpoint /x failed with error code 403 != 200. Response body: ''", TrackingError, "answered with status 403"),
        ("E: API request to endpoint /x failed with error code 404 != 200. Response body: ''", ModelError, "404"),
        ("ValueError: File not found: filepath=model.keras", ModelError, "^ValueError: File not found: filepath=model.keras$"),
    ],
)
def test_a_store_that_fails_while_a_model_is_loaded_says_nothing_about_the_model(last_words: str, kind: type[Exception], said: str) -> None:
    error = failure_of_model(last_words, "http://h:1")

    assert type(error) is kind
    assert re.search(said, str(error))


def test_a_password_is_never_printed() -> None:
    assert masked("http://u:secret@host:5000/x and ftp://a:b@c") == "http://…@host:5000/x and ftp://…@c"
    assert runs_page("http://u:secret@host:5000/ml/", "7") == "http://…@host:5000/ml/#/experiments/7/runs?workflowType=machine_learning"
    with pytest.raises(TrackingError) as caught:
        check_reachable("http://u:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:port", "http://127.0.0.1:99999", "http://", "https:///path", "http://[::1"])
def test_an_address_that_is_none_is_one_line(address: str) -> None:
    with pytest.raises(TrackingError, match="MLFLOW_TRACKING_URI"):
        check_reachable(address)


def test_the_own_database_is_known_however_its_address_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = Paths(tmp_path)

    assert is_own_store(f"sqlite:///{tmp_path}/mlruns/mlflow.db", paths)
    assert is_own_store("sqlite:///mlruns/mlflow.db", paths)
    assert is_own_store(f"sqlite:///{tmp_path}/docs/../mlruns/mlflow.db?timeout=5", paths)
    assert not is_own_store("sqlite:////srv/mlflow.db", paths)
    assert not is_own_store("http://127.0.0.1:5000", paths)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, b"who are you?"), "status 401. Set MLFLOW_TRACKING_USERNAME"),
        ((403, b"no"), "status 403. Set MLFLOW_TRACKING_USERNAME"),
        ((404, b"<html>no such page</html>"), "status 404. Check that MLFLOW_TRACKING_URI is the complete address of an MLflow server"),
        ((503, b""), "status 503. Try again"),
        ((200, b"<html>please log in</html>"), "it did not answer as an MLflow server does"),
        ((200, b"{}"), "it did not answer as an MLflow server does"),
        (BREAKS_OFF, "incomplete answer"),
    ],
)
def test_a_server_that_is_no_mlflow_is_named_before_anything_starts(server: Server, answer: Answer, said: str) -> None:
    server.answers["/experiments/get"] = answer

    with pytest.raises(TrackingError) as caught:
        check_reachable(server.url)

    assert said in str(caught.value)


def test_a_server_that_answers_as_mlflow_does_is_accepted(server: Server) -> None:
    for answer in ((200, b'{"experiment": {}}'), (404, NOT_THERE)):
        server.answers["/experiments/get"] = answer
        check_reachable(server.url)


def test_a_database_in_a_missing_folder_is_not_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/nowhere/x.db")

    with pytest.raises(TrackingError, match=r"nowhere does not exist. Create it"):
        check_reachable(f"sqlite:///{tmp_path}/nowhere/x.db")


def test_another_registry_is_named_as_such(server: Server, log: MlflowLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"{server.url}/registry")

    with pytest.raises(TrackingError, match=rf"MLflow's registry {server.url}/registry \(MLFLOW_REGISTRY_URI\) failed"):
        log.registered("pets")
