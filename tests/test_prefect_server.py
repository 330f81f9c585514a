"""Where Prefect's server comes from, and why it cannot be used: one line that names the setting, never a traceback."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.retraining.prefect_home import origin_of_address
from pipeline.retraining.prefect_server import cause_in, chosen_port
from tests.dummy_project import BIN, call_pipeline, copy_project, environment, run_pipeline

GONE = "http://127.0.0.1:9/api"
PROFILES = f'active = "old"\n\n[profiles.old]\nPREFECT_API_URL = "{GONE}"\n'
SET_BY_VARIABLE = (
    "The address is set by the variable PREFECT_API_URL. Correct it or start that server; to run without one, unset PREFECT_API_URL.\n"
)
TWO_SERVERS = """\
INFO:     Application startup
  File "sqlalchemy/engine/base.py", line 1, in execute
sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) table block_type already exists
[SQL: CREATE TABLE block_type]
ERROR:    Application startup failed. Exiting.
Server stopped!
"""
START = """\
import contextlib, sys
from pathlib import Path
from pipeline.paths import Paths
from pipeline.errors import ConfigError
from pipeline.retraining.prefect_home import prepare_prefect
prepare_prefect(Path.cwd())
from pipeline.retraining.prefect_server import RUN_ONLY, start_server, use_configured_server
assert not use_configured_server(Paths(Path.cwd()))
with contextlib.ExitStack() as running:
    start_server(Paths(Path.cwd()), 0, RUN_ONLY, running)
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(template, tmp_path_factory.mktemp("server") / "project")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def other_server() -> Iterator[str]:
    """The address of a server that is not Prefect's: it answers 404 to everything."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    thread.join()
    server.server_close()


def only_line(project: Path, **more: str) -> str:
    code, output = call_pipeline(project, "run", **more)
    assert code == 2, output
    assert len(output.splitlines()) == 1, output
    return output


def test_an_address_in_a_profile_is_told_with_profile_and_file_and_the_remedy_works(project: Path, tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text(PROFILES, encoding="utf-8")

    line = only_line(project, PREFECT_HOME=str(tmp_path))

    assert f"The address is set by the Prefect profile old in {tmp_path / 'profiles.toml'}." in line
    assert "run `prefect --profile old config unset -y PREFECT_API_URL`" in line
    command = [str(BIN / "prefect"), "--profile", "old", "config", "unset", "-y", "PREFECT_API_URL"]
    subprocess.run(command, env=environment(project, PREFECT_HOME=str(tmp_path)), check=True, capture_output=True)
    assert "PREFECT_API_URL" not in (tmp_path / "profiles.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text", "origin"),
    [
        (".env", f"PREFECT_API_URL={GONE}\n", "PREFECT_API_URL in "),
        ("prefect.toml", f'[api]\nurl = "{GONE}"\n', "api.url in "),
        ("pyproject.toml", f'[tool.prefect.api]\nurl = "{GONE}"\n', "tool.prefect.api.url in "),
    ],
)
def test_an_address_in_a_file_is_told_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, origin: str
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / name).write_text(text, encoding="utf-8")

    assert origin_of_address(tmp_path, "ephemeral", None) == (f"{origin}{tmp_path / name}", "remove that line")


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        (GONE, " does not answer: "),
        ("http://me:secret@127.0.0.1:9/api", " does not answer: "),
        ("other_server", " is not a Prefect API: it answered with status 404. The address of one usually ends in /api. "),
        *[
            (address, " has no usable address: expected http://HOST:PORT/api")
            for address in ("127.0.0.1:4200/api", "http://", "http://a:port/api")
        ],
    ],
)
def test_an_address_of_no_use_is_one_line_without_its_password(project: Path, other_server: str, address: str, fault: str) -> None:
    address = address.replace("other_server", other_server)

    line = only_line(project, PREFECT_API_URL=address)

    assert line.startswith(f"error: The Prefect server at {address.replace('me:secret', '…')}{fault}")
    assert line.endswith(SET_BY_VARIABLE)


def test_a_wrong_setting_of_prefect_is_one_line(project: Path) -> None:
    code, line = run_pipeline(project, "run", PREFECT_LOGGING_LEVEL="loud")

    assert (code, len(line.splitlines())) == (2, 1)
    assert line.startswith("error: Prefect's settings cannot be read: level: Input should be 'DEBUG', 'INFO', ")


def test_a_home_that_is_not_writable_is_named(project: Path) -> None:
    line = only_line(project, PREFECT_HOME="/proc/prefect")

    assert line == ("error: Prefect keeps its history in /proc/prefect, which is not writable. Set PREFECT_HOME to a writable folder.\n")


@pytest.mark.parametrize(("port", "fault"), [(70000, "not a port. Expected a number from 1 to 65535"), (0, ""), (None, "")])
def test_a_port_is_a_number_that_is_free(port: int | None, fault: str) -> None:
    if fault:
        with pytest.raises(ConfigError, match=f"^--port {port}: {fault}"):
            chosen_port(port)
    else:
        assert 0 < chosen_port(port) < 2**16


def test_a_server_that_does_not_start_is_told_by_its_error(project: Path, tmp_path: Path) -> None:
    (tmp_path / "prefect.db").write_text("this is no database", encoding="utf-8")

    line = only_line(project, PREFECT_HOME=str(tmp_path))

    assert line.startswith(
        "error: The Prefect server did not start: sqlalchemy.exc.DatabaseError: (sqlite3.DatabaseError) file is not a database."
    )
    assert f"Its database is in {tmp_path}; its log is {project}/.checkpoints/prefect-server.log." in line


def test_the_cause_is_the_last_error_and_not_the_last_line() -> None:
    assert cause_in(TWO_SERVERS) == "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) table block_type already exists"
    assert cause_in("Check out the dashboard at http://127.0.0.1:5205\n") == "Check out the dashboard at http://127.0.0.1:5205"
    assert cause_in("ERROR: [Errno 98] address already in use\nServer stopped!\n") == "[Errno 98] address already in use"
    assert cause_in("") == "it printed nothing"


def test_two_first_runs_at_once_both_get_a_server_whatever_proxy_is_set(project: Path, tmp_path: Path) -> None:
    """Without the lock both servers create the tables of one database, and one of them ends. An empty address counts as not set."""
    proxy = "http://127.0.0.1:9"
    env = environment(project, PREFECT_HOME=str(tmp_path), http_proxy=proxy, HTTP_PROXY=proxy, ALL_PROXY=proxy, PREFECT_API_URL=" ")
    roots = [project, copy_project(project, tmp_path / "other")]

    starts = [
        subprocess.Popen([sys.executable, "-c", START], cwd=root, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for root in roots
    ]

    assert [start.communicate(timeout=200)[0] for start in starts] == ["up\n", "up\n"]
