"""Whatever is killed in whichever stage, the next run goes on, ends with the same bytes, and leaves no run that never ends.

Each row is a fault, each column a stage of a graph of shell commands: what orchestrates them is tested, not the fits. A stage has written half of
its output when the fault strikes.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.paths import STAGES
from tests.dummy_project import (
    BIN,
    GRAPH,
    copy_project,
    environment,
    free_port,
    run_pipeline,
    start_pipeline,
    started_by,
    wait_for,
    write_graph,
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

STAGE = """\
# Writes half of its output; the stage that is to be hit then waits to be killed, once, or for a minute
import os, pathlib, sys, time
name, *deps = sys.argv[1:]
text = "".join(pathlib.Path(dep).read_text() for dep in deps) + name
out = pathlib.Path("data", name, "out")
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(text[: len(text) // 2])
hit = pathlib.Path("hit")
if hit.exists() and hit.read_text() == name:
    hit.unlink()
    pathlib.Path("struck").write_text(str(os.getpid()))
    for _ in range(300):
        if pathlib.Path("go on").exists():
            break
        time.sleep(0.2)
out.write_text(text)
"""
MONDAYS = "0 6 * * 1"


class Server:
    """A Prefect server of one's own, on one port and one database, that can be killed and started again."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.start()

    def start(self) -> None:
        with (self.home / "log").open("ab") as log:
            command = [str(BIN / "prefect"), "server", "start", "--port", str(self.port), "--no-ui"]
            self.process = subprocess.Popen(command, cwd=self.home, env=environment(self.home), stdout=log, stderr=log)
        assert wait_for(self.answers, 120)

    def kill(self) -> None:
        for child in psutil.Process(self.process.pid).children(recursive=True):
            child.kill()
        self.process.kill()
        self.process.wait()

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.api}/health", timeout=2):
                return True
        except OSError:
            return False

    def ask(self, what: str, **body: object) -> Any:
        """Its answer; while its database is locked it says 503, and its own clients ask again, too."""
        request = urllib.request.Request(f"{self.api}/{what}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                time.sleep(1)

    def start_run(self) -> None:
        """Ask for a run of the one deployment, as its schedule does."""
        (deployment,) = self.ask("deployments/filter")
        self.ask(f"deployments/{deployment['id']}/create_flow_run", parameters={"retry_seconds": 1})

    def states(self) -> list[str]:
        """The states of the runs that have begun, the oldest first."""
        runs = self.ask("flow_runs/filter", sort="START_TIME_ASC")
        return [run["state_name"] for run in runs if run["start_time"]]


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


def prepare(template: Path, root: Path) -> Path:
    copy_project(template, root)
    (root / "stage.py").write_text(STAGE, encoding="utf-8")
    write_graph(root, **{name: f"python stage.py {name} {' '.join(deps)}" for name, deps in GRAPH.items()})
    return root


def outputs(root: Path) -> dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in ("dvc.lock", *(f"data/{stage}/out" for stage in STAGES))}


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


def kill_all(root: Path) -> None:
    """As a power cut does, for all that works in the project."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd() == str(root):
                process.kill()
    assert wait_for(lambda: started_by(root) == [], 30)


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
