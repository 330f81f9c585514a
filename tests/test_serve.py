"""A schedule that fires, on a server that comes and goes with the command."""

import contextlib
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dummy_project import create_project, free_port, run_pipeline, start_pipeline, started_by, wait_for


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("serve") / "project")


@pytest.fixture
def usual_port_taken() -> Iterator[None]:
    with socket.socket() as listener, contextlib.suppress(OSError):  # or else another program has it
        listener.bind(("127.0.0.1", 4200))
        listener.listen()
        yield
        return
    yield


@pytest.mark.usefixtures("usual_port_taken")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cron", "every monday"], 'error: --cron "every monday": not a cron schedule. Expected minute, hour, day, month and weekday'),
        (["--cron", "0 6 * * 1 0"], 'error: --cron "0 6 * * 1 0": not a cron schedule.'),
        (["--cron", "0 0 30 2 *"], 'error: --cron "0 0 30 2 *": never fires, as Prefect finds no such day.'),
        (["--cron", "0 6 * * 1", "--port", "70000"], "error: --port 70000: not a port."),
        (["--cron", "0 6 * * 1", "--timezone", "Mars/Base"], "error: --timezone Mars/Base: not a time zone."),
        (["--cron", "0 6 * * 1", "--port", "4200"], "error: --port 4200: taken by another program."),
    ],
)
def test_a_wrong_schedule_is_one_line(project: Path, arguments: list[str], message: str) -> None:
    code, output = run_pipeline(project, "serve", *arguments)

    assert code == 2
    assert output.startswith(message)
    assert len(output.splitlines()) == 1


@pytest.mark.usefixtures("usual_port_taken")
def test_it_says_when_it_will_run_and_leaves_nothing_when_stopped(project: Path) -> None:
    process = start_pipeline(project, "serve", "--cron", "0 6 * * 1", "--timezone", "Europe/Berlin")
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(4)]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert lines[0] == 'Scheduled "0 6 * * 1" (Europe/Berlin).\n'
    assert len(re.findall(r"Mon \d{4}-\d\d-\d\d 06:00 CES?T", lines[1])) == 3
    assert re.fullmatch(r"  Prefect UI  http://127\.0\.0\.1:\d+\n", lines[2])
    assert ":4200" not in lines[2]
    assert process.returncode == 130
    assert started_by(project) == []


@pytest.mark.slow
def test_the_schedule_starts_a_run_by_itself(project: Path) -> None:
    process = start_pipeline(project, "serve", "--cron", "* * * * *", "--port", str(free_port()))
    try:
        assert wait_for((project / "data" / "register" / "out").exists, 150)
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)

    assert "Task run 'register' - register works" in output
    assert process.returncode == 143
    assert started_by(project) == []
