"""Whatever is killed in whichever stage, the next run goes on, ends with the same bytes, and leaves no run that never ends.

Each row is a fault, each column a stage of a graph of shell commands: what orchestrates them is tested, not the fits. A stage has written half of
its output when the fault strikes.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.paths import STAGES
from tests.dummy_project import (
    BIN,
    ROOT,
    environment,
    run_pipeline,
    start_pipeline,
    wait_for,
)
from tests.prefect_servers import Server
from tests.struck_project import kill_all, outputs, prepare

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

MONDAYS = "0 6 * * 1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def wanted(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run leaves that nothing disturbs."""
    root = prepare(template, tmp_path_factory.mktemp("wanted") / "project")
    code, output = run_pipeline(root, "run")
    assert code == 0, output
    return outputs(root)


@contextlib.contextmanager
def serving(root: Path, server: Server) -> Iterator["subprocess.Popen[str]"]:
    process = start_pipeline(root, "serve", "--cron", MONDAYS, "--timezone", "UTC", PREFECT_API_URL=server.api)
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline()]
        while lines[-1] not in ("Ctrl-C stops it.\n", ""):
            lines.append(process.stdout.readline())
        assert lines[-1], lines
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)


def strike_in(stage: str, root: Path, server: Server) -> None:
    """Start a run, and return once it is in the middle of the stage."""
    (root / "hit").write_text(stage, encoding="utf-8")
    server.start_run()
    assert wait_for((root / "struck").exists, 240)


def ended_as(server: Server, count: int) -> list[str]:
    """The states of this many runs, once the last has ended."""
    done = ("Completed", "Unchanged", "Failed", "Crashed", "Cancelled")
    assert wait_for(lambda: len(states := server.states()) >= count and states[-1] in done, 300), server.states()
    return server.states()


@pytest.mark.parametrize("stage", STAGES)
def test_after_everything_was_killed_the_next_run_goes_on(
    stage: str, template: Path, tmp_path: Path, wanted: dict[str, bytes], own_server: Server
) -> None:
    root = prepare(template, tmp_path / "project")
    with serving(root, own_server):
        strike_in(stage, root, own_server)
        kill_all(root)
        own_server.kill()
    own_server.start()

    with serving(root, own_server):
        assert own_server.states() == ["Crashed"]
        own_server.start_run()
        states = ended_as(own_server, 2)

    assert states == ["Crashed", "Completed"]
    assert outputs(root) == wanted
    assert run_pipeline(root, "run", "--if-worth-it", PREFECT_API_URL=own_server.api)[0] == 0
    assert own_server.states() == ["Crashed", "Completed", "Unchanged"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_is_closed_and_the_schedule_goes_on(
    stage: str, template: Path, tmp_path: Path, wanted: dict[str, bytes], own_server: Server
) -> None:
    root = prepare(template, tmp_path / "project")
    with serving(root, own_server):
        strike_in(stage, root, own_server)
        (note,) = (root / ".checkpoints").glob("run-*.json")
        os.kill(json.loads(note.read_text(encoding="utf-8"))["pid"], signal.SIGKILL)
        assert wait_for(lambda: own_server.states() == ["Crashed"], 60), own_server.states()
        own_server.start_run()
        states = ended_as(own_server, 2)

    assert states == ["Crashed", "Completed"]
    assert outputs(root) == wanted


@pytest.mark.parametrize("stage", STAGES)
def test_a_restart_of_prefects_server_costs_a_run_at_most(
    stage: str, template: Path, tmp_path: Path, wanted: dict[str, bytes], own_server: Server
) -> None:
    root = prepare(template, tmp_path / "project")
    with serving(root, own_server):
        strike_in(stage, root, own_server)
        own_server.kill()
        time.sleep(2)
        own_server.start()
        (root / "go on").touch()
        ended_as(own_server, 1)
        own_server.start_run()
        states = ended_as(own_server, 2)

    assert states[-1] in ("Completed", "Unchanged")
    assert "Running" not in states
    assert outputs(root) == wanted


def test_a_killed_worker_and_server_do_not_hold_up_the_next_run(
    template: Path, tmp_path: Path, wanted: dict[str, bytes], own_server: Server
) -> None:
    """Prefect's own limit of runs would: the killed one is counted for good once the server has been restarted."""
    root = prepare(template, tmp_path / "project")
    (root / "pipeline").symlink_to(ROOT / "pipeline")
    shutil.copy(ROOT / "prefect.yaml", root)
    ask_prefect(root, own_server, "work-pool", "create", "--type", "process", "pool")
    ask_prefect(root, own_server, "--no-prompt", "deploy", "--name", "weekly", "--pool", "pool")
    with working(root, own_server):
        strike_in("train", root, own_server)
        kill_all(root)
        own_server.kill()
    own_server.start()

    with working(root, own_server):
        own_server.start_run()
        states = ended_as(own_server, 2)

    assert states == ["Crashed", "Completed"]
    assert outputs(root) == wanted


def ask_prefect(root: Path, server: Server, *arguments: str) -> None:
    subprocess.run([str(BIN / "prefect"), *arguments], cwd=root, env=environment(root, PREFECT_API_URL=server.api), check=True)


@contextlib.contextmanager
def working(root: Path, server: Server) -> Iterator[None]:
    """A worker of the work pool."""
    command = [str(BIN / "prefect"), "worker", "start", "--pool", "pool"]
    worker = subprocess.Popen(command, cwd=root, env=environment(root, PREFECT_API_URL=server.api))
    try:
        yield
    finally:
        worker.terminate()
        try:
            worker.wait(timeout=60)
        except subprocess.TimeoutExpired:  # on a busy machine Prefect's worker can miss the signal, and wait for a server that is gone
            worker.kill()
            worker.wait()


def test_twenty_starts_at_random_moments_corrupt_nothing(template: Path, tmp_path: Path, wanted: dict[str, bytes], server: Server) -> None:
    root = prepare(template, tmp_path / "project")
    moments = random.Random(1)
    starts = []
    for number in range(20):
        command = ["dvc", "repro", "-q"] if number % 5 == 4 else ["pipeline", "run", "--lock-timeout", str(moments.choice([0, 5, 300]))]
        path = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        starts.append(
            subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                cwd=root,
                env=environment(root, PREFECT_API_URL=server.api) | path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        time.sleep(moments.uniform(0, 3))
    ends = [(str(start.args), start.communicate(timeout=600)[0], start.returncode) for start in starts]
    runs = [(output.splitlines()[-1], code) for command, output, code in ends if "pipeline" in command]
    unknown = [output[-4000:] for _, output, code in ends if code not in (0, 2, 255)]  # 255: dvc repro, of a lock that is held

    assert run_pipeline(root, "run", PREFECT_API_URL=server.api)[0] == 0
    assert outputs(root) == wanted
    assert "\n\n".join(unknown) == ""
    assert {code for _, code in runs} <= {0, 2}
    assert [line for line, code in runs if code == 2 and " (PID " not in line] == [], "each names who holds the lock"
    assert 0 in {code for _, code in runs}
