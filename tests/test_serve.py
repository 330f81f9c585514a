"""A schedule that fires, on a server that comes and goes with the command."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
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
from pipeline.unattended.project_name import project_name
from tests.dummy_project import (
    BIN,
    ROOT,
    call_pipeline,
    copy_project,
    environment,
    free_port,
    start_pipeline,
    started_by,
    wait_for,
    write_graph,
)

MONDAYS = "0 6 * * 1"
ZONE = ("--timezone", "Europe/Berlin")


def entry(cron: str, *, active: bool = True) -> DeploymentSchedule:
    return DeploymentSchedule(schedule=CronSchedule(cron=cron, timezone="UTC"), active=active)


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(template, tmp_path_factory.mktemp("serve") / "project")


@pytest.fixture
def usual_port_taken() -> Iterator[None]:
    with socket.socket() as listener:
        with contextlib.suppress(OSError):  # another program has it
            listener.bind(("127.0.0.1", 4200))
            listener.listen()
        yield


@pytest.mark.usefixtures("usual_port_taken")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cron", "every monday"], '--cron "every monday": not a cron schedule. Expected minute, hour, day, month and weekday'),
        (["--cron", "0 6 * * 1 0"], '--cron "0 6 * * 1 0": not a cron schedule.'),
        (["--cron", "0 0 30 2 *"], '--cron "0 0 30 2 *": never fires: there is no such day.'),
        (["--cron", MONDAYS, "--timezone", "Mars/Base"], "--timezone Mars/Base: not a time zone."),
        (["--cron", MONDAYS, *ZONE, "--port", "4200"], "--port 4200: taken by another program."),
        ([], 'serve: when is it to run? --cron "0 6 * * 1" is Mondays at 6, --watch is when images arrive; both are possible.'),
    ],
)
def test_a_wrong_schedule_is_one_line(project: Path, arguments: list[str], message: str) -> None:
    code, output = call_pipeline(project, "serve", *arguments)

    assert code == 2
    assert output.startswith(f"error: {message}")
    assert len(output.splitlines()) == 1


def announced(serving: "subprocess.Popen[str]") -> list[str]:
    """What it says as it begins."""
    assert serving.stdout is not None
    lines = [serving.stdout.readline() for _ in range(5)]
    assert lines[-1] == "Ctrl-C stops it.\n", lines
    return lines


@pytest.mark.usefixtures("usual_port_taken")
def test_it_says_when_it_will_run_keeps_projects_apart_and_leaves_nothing_when_stopped(project: Path, tmp_path: Path) -> None:
    """Two projects on one server: stopping one pauses its own schedule only, and each is served once."""
    other = copy_project(project, tmp_path / "project")
    serving = start_pipeline(project, "serve", "--cron", MONDAYS, *ZONE)
    running = [serving]
    try:
        lines = announced(serving)
        api = f"{lines[2].split()[-1]}/api"
        running.append(start_pipeline(other, "serve", "--cron", MONDAYS, *ZONE, PREFECT_API_URL=api))
        announced(running[1])
        again = call_pipeline(project, "serve", "--cron", "0 7 * * 1", *ZONE, PREFECT_API_URL=api)
        running[1].send_signal(signal.SIGINT)
        running[1].communicate(timeout=60)
        paused = paused_deployments(api)
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)

    assert lines[0] == f'Scheduled "{MONDAYS}" (Europe/Berlin).\n'
    assert len(re.findall(r"Mon \d{4}-\d\d-\d\d 06:00 CES?T", lines[1])) == 3
    assert re.fullmatch(r"  Prefect UI  http://127\.0\.0\.1:\d+\n", lines[2])
    assert ":4200" not in lines[2]
    refusal = f"This project's schedule is already being served, by PID {serving.pid}. Stop it first, with Ctrl-C or SIGTERM."
    assert again == (2, f"error: {refusal}\n")
    assert paused == {project_name(project): False, project_name(other): True}
    assert [process.returncode for process in running] == [130, 130]
    assert started_by(project) == started_by(other) == []


def paused_deployments(api: str) -> dict[str, bool]:
    """Whether each deployment of a server is paused."""
    request = urllib.request.Request(f"{api}/deployments/filter", b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return {deployment["name"]: deployment["paused"] for deployment in json.load(answer)}


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


@pytest.mark.slow
def test_new_files_start_a_run_once_they_have_settled_and_so_does_an_event(template: Path, tmp_path: Path) -> None:
    """The second way is the one of docs/scheduling.md."""
    root = copy_project(template, tmp_path / "project")
    write_graph(root, ingest="mkdir -p data/ingest; ls -R source > data/ingest/out")
    (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text(encoding="utf-8").replace("- source/image", "- source"), encoding="utf-8")
    out, port = root / "data" / "register" / "out", free_port()
    process = start_pipeline(root, "serve", "--watch", "--settle", "0.05", "--port", str(port))
    try:
        first = wait_for(out.exists, 200)
        time.sleep(5)
        (root / "source" / "cat" / "new.png").write_bytes(b"a new picture")
        second = wait_for(lambda: out.exists() and "new.png" in out.read_text(encoding="utf-8"), 200)
        api = f"http://127.0.0.1:{port}/api"
        script = documented_automation().replace("flowers-1a2b3c4d", project_name(root))
        command = [str(BIN / "prefect"), "event", "emit", "images.arrived", "--resource-id", "flowers"]
        for asked in ([sys.executable, "-c", script], command):
            subprocess.run(asked, cwd=root, env=environment(root, PREFECT_API_URL=api), check=True, capture_output=True)
        third = wait_for(lambda: "Unchanged" in states_of_runs(api), 200)
        states = states_of_runs(api)
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)

    assert (first, second, third) == (True, True, True), output
    assert states == ["Completed", "Completed", "Unchanged"]
    assert output.count("The source has changed and settled: starting the run ") == 2
    assert "new files   a run starts 0.05 min after the last change in the source" in output


def documented_automation() -> str:
    """The script of docs/scheduling.md."""
    text = (ROOT / "docs" / "scheduling.md").read_text(encoding="utf-8")
    return text.split("```python\n")[1].split("```")[0]


def states_of_runs(api: str) -> list[str]:
    """The states of the flow runs of a server, the oldest first."""
    body = json.dumps({"sort": "EXPECTED_START_TIME_ASC"}).encode()
    request = urllib.request.Request(f"{api}/flow_runs/filter", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return [run["state_name"] for run in json.load(answer)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"paused": True}, "the schedule is paused in Prefect, so nothing is started."),
        ({"schedules": []}, "the schedule is switched off in Prefect, so nothing is started."),
        ({"schedules": [entry(MONDAYS, active=False)]}, "the schedule is switched off in Prefect, so nothing is started."),
        ({"schedules": [entry("0 7 * * 1")]}, "the schedule has been changed in Prefect, and runs follow that one."),
    ],
)
def test_a_schedule_that_somebody_stopped_is_noticed(changed: dict[str, Any], said: str) -> None:
    deployment = DeploymentResponse(name="flowers", flow_id=uuid4(), **{"paused": False, "schedules": [entry(MONDAYS)], **changed})

    fault = fault_of(deployment, CronSchedule(cron=MONDAYS, timezone="UTC"))
    assert bool(fault_of(deployment, None)) == bool(changed.get("paused"))

    assert fault.startswith(said)
    assert bool(fault) == bool(said)
