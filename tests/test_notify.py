"""One line to a person: what is sent when, to a command and to a webhook, and that a failure of either changes nothing."""

import http.server
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.paths import Paths
from pipeline.unattended.notify import COMMAND, WEBHOOK, check_notify, look_at_notify, notify
from pipeline.unattended.project_name import project_name
from pipeline.workspace.surroundings import Finding

WRITE = "import os, sys; open('told', 'a').write(os.environ['PIPELINE_OUTCOME'] + ' ' + sys.stdin.read())"


@pytest.fixture
def received() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a webhook, and what it gets."""
    bodies: list[dict[str, Any]] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", bodies
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.chdir(tmp_path)
    for name in (COMMAND, WEBHOOK):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "flowers").mkdir()
    return Paths(tmp_path / "flowers")


def test_a_command_gets_a_line_on_failure_on_recovery_and_when_something_was_done(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMMAND, f"{sys.executable} -c '{WRITE.replace(chr(39), chr(34))}'")
    problems: list[str] = []

    notify(paths, "nothing", "Not worth a run: nothing has changed.", "", problems.append)
    notify(paths, "failed", "train: no GPU\nhere.", "http://me:secret@127.0.0.1:4200/runs/1", problems.append)
    notify(paths, "nothing", "Not worth a run: nothing has changed.", "", problems.append)
    notify(paths, "nothing", "Not worth a run: nothing has changed.", "", problems.append)
    notify(paths, "retrained", "Updated: train. Champion: accuracy 0.9.", "pipeline ui", problems.append)

    assert problems == []
    assert (tmp_path / "told").read_text(encoding="utf-8").splitlines() == [
        "failed flowers: FAILED. train: no GPU here. http://…@127.0.0.1:4200/runs/1",
        "nothing flowers: works again, nothing to do. Not worth a run: nothing has changed.",
        "retrained flowers: retrained. Updated: train. Champion: accuracy 0.9. pipeline ui",
    ]


def test_a_webhook_gets_json_with_the_line(
    paths: Paths, received: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, bodies = received
    monkeypatch.setenv(WEBHOOK, address)

    notify(paths, "retrained", "Updated: train", "", print)

    line = "flowers: retrained. Updated: train."
    assert bodies == [{"text": line, "outcome": "retrained", "project": project_name(paths.root)}]


def test_without_the_variables_nothing_is_sent_nor_kept(paths: Paths) -> None:
    notify(paths, "failed", "train: no GPU here", "", print)

    assert list(paths.root.iterdir()) == []


def test_what_cannot_be_sent_is_one_line(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMAND, f"{sys.executable} -c 'import sys; sys.exit(\"no mail server\")'")
    monkeypatch.setenv(WEBHOOK, "http://127.0.0.1:9/hook")
    problems: list[str] = []

    notify(paths, "failed", "train: no GPU here", "", problems.append)

    assert problems[0] == f"The notification was not sent: {COMMAND} ended with exit code 1: no mail server"
    assert problems[1].startswith("The notification was not sent: <urlopen error [Errno 111]")


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        (WEBHOOK, "hooks.example.org/1", f"{WEBHOOK} is no address of a webhook: expected http:// or https://, found hooks.example.org/1."),
        (COMMAND, "mail -s 'x", f'{COMMAND} is no command: "mail -s \'x". Check its quotes.'),
        (COMMAND, "no-such-program x", f"{COMMAND}: there is no program 'no-such-program'. Write its whole path."),
    ],
)
def test_a_setting_of_no_use_is_refused_before_a_run(name: str, value: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError) as refused:
        check_notify()

    assert str(refused.value) == fault
    assert look_at_notify() == Finding("notify", "a run would stop", fault)


def test_the_check_names_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not look_at_notify().found

    monkeypatch.setenv(WEBHOOK, "https://hooks.example.org/secret")

    assert look_at_notify() == Finding("notify", WEBHOOK)
