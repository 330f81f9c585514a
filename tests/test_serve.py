"""A schedule that fires, on a server that comes and goes with the command."""

import contextlib
import json
import re
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule

from pipeline.retraining.deployment import fault_of
from pipeline.retraining.project_name import project_name
from tests.dummy_project import copy_project, create_project, free_port, run_pipeline, start_pipeline, started_by, wait_for


def entry(cron: str, *, active: bool = True) -> DeploymentSchedule:
    return DeploymentSchedule(schedule=CronSchedule(cron=cron, timezone="UTC"), active=active)


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
        (["--cron", "0 6 * * 1", "--port", "70000"], "error: argument --port: expected a port from 1 to 65535; found '70000'."),
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


def test_projects_on_one_database_keep_their_schedules_apart(project: Path, tmp_path: Path) -> None:
    """Stopping one pauses its own schedule only; a second `serve` of the same project is refused."""
    home, ports = str(tmp_path / "home"), [free_port(), free_port()]
    roots = [project, copy_project(project, tmp_path / "project")]
    running = [
        start_pipeline(root, "serve", "--cron", "0 6 * * 1", "--port", str(port), PREFECT_HOME=home)
        for root, port in zip(roots, ports, strict=True)
    ]
    try:
        for process in running:
            lines = [process.stdout.readline() for _ in range(5)] if process.stdout else []
            assert lines[-1] == "Ctrl-C stops it.\n", lines
        again = run_pipeline(project, "serve", "--cron", "0 7 * * 1", PREFECT_HOME=home)
        running[0].send_signal(signal.SIGINT)
        running[0].communicate(timeout=60)
        paused = paused_deployments(ports[1])
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)

    assert again == (
        2,
        f"error: This project's schedule is being served already, by PID {running[0].pid}. Stop that first: its Ctrl-C or SIGTERM.\n",
    )
    assert paused == {project_name(roots[0]): True, project_name(roots[1]): False}


def paused_deployments(port: int) -> dict[str, bool]:
    """Whether each deployment of a server is paused."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/deployments/filter", b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return {deployment["name"]: deployment["paused"] for deployment in json.load(answer)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"paused": True}, "the schedule is paused in Prefect, so nothing is started."),
        ({"schedules": []}, "the schedule is switched off in Prefect, so nothing is started."),
        ({"schedules": [entry("0 6 * * 1", active=False)]}, "the schedule is switched off in Prefect, so nothing is started."),
        ({"schedules": [entry("0 7 * * 1")]}, "the schedule has been changed in Prefect, and runs start by that one."),
    ],
)
def test_a_schedule_that_somebody_stopped_is_noticed(changed: dict[str, Any], said: str) -> None:
    deployment = DeploymentResponse(name="flowers", flow_id=uuid4(), **{"paused": False, "schedules": [entry("0 6 * * 1")], **changed})

    fault = fault_of(deployment, CronSchedule(cron="0 6 * * 1", timezone="UTC"))

    assert fault.startswith(said)
    assert bool(fault) == bool(said)
