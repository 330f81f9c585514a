"""The flow on a real DVC project and a real Prefect server: what each task reports, how failures and signals end a run.

The commands run as processes, as a person starts them. One server is shared, as its start takes 3 s, and the graphs are as small as
they can be: each stage costs a start of DVC.
"""

import contextlib
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.paths import STAGES, Paths
from pipeline.retraining.flow import refuse_foreign_code
from pipeline.unattended.project_name import project_name
from pipeline.workspace.dvc_graph import read_graph
from tests.dummy_project import (
    BIN,
    ROOT,
    copy_project,
    environment,
    free_port,
    has_ended,
    run_pipeline,
    start_pipeline,
    started_by,
    wait_for,
    write_graph,
)

SLOW = "python slow_stage.py"
TWO_STAGES = """\
stages:
  ingest: {cmd: "cp source/image ingested", deps: [source/image], outs: [ingested]}
  train: {cmd: "cp ingested trained", deps: [ingested], params: [seed], outs: [trained]}
"""
RUN_WITH_SEEDS = """\
# Runs the flow once for each seed given, all in one process, as Prefect takes seconds to import
import re, sys
from pathlib import Path
from pipeline.paths import Paths
from pipeline.retraining.serve import run_once
for seed in sys.argv[1:]:
    params = Path("params.yaml")
    params.write_text(re.sub("^seed: .*", f"seed: {seed}", params.read_text("utf-8"), flags=re.MULTILINE), "utf-8")
    run_once(Paths(Path.cwd()), 60)
"""
RETRIED = """\
# Runs the flow as a schedule does, which tries again what may pass; it ends with the name of the run's last state
from pathlib import Path
from pipeline.paths import Paths
from pipeline.retraining.prefect_home import prepare_prefect
prepare_prefect(Path.cwd())
from pipeline.retraining.flow import retrain
print(retrain(retries=2, retry_seconds=0, return_state=True).name)
"""
DOWN_ONCE = "test -e asked || { touch asked; echo 'error: the server is down.' >&2; exit 75; }"
WITH_BAR = """\
import sys, time
from pipeline.progress import Progress
with Progress("train", 40, "steps") as progress:
    for step in range(40):
        time.sleep(0.05)
        progress.advance(1)
    progress.note("epoch 1/1: loss 0.5")
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("server")
    port = free_port()
    with (home / "log").open("wb") as log:
        command = [str(BIN / "prefect"), "server", "start", "--port", str(port), "--no-ui"]
        server = subprocess.Popen(command, cwd=home, env=environment(home), stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/api"
    try:
        assert wait_for(lambda: answers(f"{url}/health"), 90)
        yield url
    finally:
        server.terminate()
        server.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def ask(api: str, what: str, **body: object) -> Any:
    request = urllib.request.Request(f"{api}/{what}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def last_runs(api: str, count: int) -> list[tuple[str, dict[str, str]]]:
    """(state, state of each task) of the last flow runs, in their order, once the server has taken note of all."""

    def tasks(run: dict[str, Any]) -> dict[str, str]:
        found = ask(api, "task_runs/filter", task_runs={"flow_run_id": {"any_": [run["id"]]}}, sort="EXPECTED_START_TIME_ASC")
        return {task["name"]: task["state_name"] for task in found}

    runs = ask(api, "flow_runs/filter", sort="START_TIME_DESC", limit=count)[::-1]
    wait_for(lambda: all(states and "Running" not in states.values() for states in map(tasks, runs)), 20)
    return [(run["state_name"], tasks(run)) for run in runs]


@pytest.fixture(scope="module")
def first_run(template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    """A project that `pipeline run` has brought up to date, without a server; its exit code and what it printed."""
    root = copy_project(template, tmp_path_factory.mktemp("finished") / "project")
    return root, *run_pipeline(root, "run")


def test_a_first_run_runs_every_stage_and_streams_its_output(first_run: tuple[Path, int, str]) -> None:
    _, code, output = first_run

    assert code == 0, output
    assert re.findall(r"Task run '(\w+)' - Finished in state Ran\(", output) == list(STAGES)
    assert "Task run 'train' - train works" in output
    assert f"Finished in state Completed('Updated: {', '.join(STAGES)}')" in output
    assert re.search(r"Beginning flow run '\d{4}-\d\d-\d\d \d\d:\d\d image-classifier project'", output)


def test_hints_of_the_tools_are_left_out_of_the_output(first_run: tuple[Path, int, str]) -> None:
    assert [hint for hint in ("git add", "dvc push", "View at", "Traceback") if hint in first_run[2]] == []


def test_without_a_server_it_starts_one_and_leaves_nothing(first_run: tuple[Path, int, str]) -> None:
    assert started_by(first_run[0]) == []


def run_with_seeds(project: Path, *seeds: int, stderr: int = subprocess.PIPE, **more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", RUN_WITH_SEEDS, *map(str, seeds)]
    return subprocess.Popen(command, cwd=project, env=environment(project, **more), stderr=stderr, text=True)


@pytest.fixture(scope="module")
def runs(template: Path, api: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, dict[str, str]]]]:
    """A project of two stages, and how each of four runs went: the first, another, one with another seed, one with the first seed."""
    root = copy_project(template, tmp_path_factory.mktemp("runs") / "project")
    (root / "dvc.yaml").write_text(TWO_STAGES, encoding="utf-8")
    process = run_with_seeds(root, 1, 1, 7, 1, PREFECT_API_URL=api)
    output = process.communicate(timeout=240)[1]
    assert process.returncode == 0, output
    return root, last_runs(api, 4)


def test_a_run_does_only_what_a_change_concerns(runs: tuple[Path, list[tuple[str, dict[str, str]]]]) -> None:
    assert runs[1] == [
        ("Completed", {"ingest": "Ran", "train": "Ran"}),
        ("Unchanged", {"ingest": "Unchanged", "train": "Unchanged"}),
        ("Completed", {"ingest": "Unchanged", "train": "Ran"}),
        ("Completed", {"ingest": "Unchanged", "train": "Restored"}),
    ]


def test_the_summary_is_published_for_people(runs: tuple[Path, object], api: str) -> None:
    artifact = ask(api, "artifacts/filter", sort="CREATED_DESC", limit=1)[0]

    assert artifact["key"] == f"{project_name(runs[0])}-summary"
    assert "| train | Restored | " in artifact["data"]
    assert artifact["description"].endswith(" image-classifier project: Updated: train")


def test_a_stage_that_fails_ends_the_flow_with_its_own_message(project: Path, api: str) -> None:
    write_graph(project, preprocess="echo 'error: train.device: no GPU here. Set it to cpu.' >&2; exit 2")

    code, output = run_pipeline(project, "run", PREFECT_API_URL=api)

    assert code == 2
    assert output.splitlines()[-1] == "error: preprocess: train.device: no GPU here. Set it to cpu."
    assert output.count("no GPU here. Set it to cpu.") == 2  # the other one is the command that DVC names
    assert "Traceback" not in output
    assert last_runs(api, 1) == [("Failed", {"ingest": "Ran", "preprocess": "Failed"})]


def start_slow_stage(project: Path, api: str) -> "tuple[subprocess.Popen[str], int]":
    """A run that has come to a stage of 60 s, and that stage's pid."""
    write_graph(project, ingest=SLOW)
    process = start_pipeline(project, "run", PREFECT_API_URL=api)
    pid_file = project / "stage.pid"
    if not wait_for(lambda: pid_file.exists() and pid_file.read_text(), 120):
        process.kill()
        pytest.fail(process.communicate()[0])
    return process, int(pid_file.read_text())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_stop_the_stage_even_if_given_twice(project: Path, api: str, number: signal.Signals, code: int) -> None:
    process, stage = start_slow_stage(project, api)

    os.killpg(process.pid, number)
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == code
    assert output.splitlines()[-1] == f"pipeline run: stopped by {number.name}"
    assert has_ended(stage)
    assert started_by(project) == []
    assert last_runs(api, 1) == [("Cancelled", {"ingest": "Cancelled"})]


def test_a_killed_flow_takes_its_stage_along(project: Path, api: str) -> None:
    process, stage = start_slow_stage(project, api)

    process.kill()
    process.communicate()

    assert wait_for(lambda: has_ended(stage), 30)  # 0.2 s on an idle machine
    assert wait_for(lambda: started_by(project) == [], 30)


def test_the_next_run_closes_the_killed_one_in_prefect(project: Path, api: str) -> None:
    process, _ = start_slow_stage(project, api)
    process.kill()
    process.communicate()
    write_graph(project)

    code, output = run_pipeline(project, "run", PREFECT_API_URL=api)

    killed, later = ask(api, "flow_runs/filter", sort="START_TIME_DESC", limit=2)[::-1]
    assert code == 0, output
    assert (killed["state_name"], later["state_name"]) == ("Crashed", "Completed")
    assert killed["state"]["message"].startswith("The process of this run was killed")
    assert f"The run {killed['name']} was killed, or could not say how it ended: it is closed as Crashed" in output


def test_a_second_run_is_skipped_and_names_the_first(project: Path, api: str) -> None:
    process, stage = start_slow_stage(project, api)
    try:
        code, output = run_pipeline(project, "run", "--lock-timeout", "1", PREFECT_API_URL=api)
        states = [state for state, _ in last_runs(api, 1)]
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)

    assert code == 2
    assert re.search(
        rf"^error: the run .* image-classifier my prøject \(PID {process.pid}, since .*\) is at work in .*; waited 1 s\.", output, re.M
    )
    assert states == ["Skipped"]
    assert has_ended(stage)


def test_a_stage_that_takes_too_long_is_ended_with_all_its_processes(project: Path, api: str) -> None:
    write_graph(project, ingest=f"sh -c '{SLOW}'")

    code, output = run_pipeline(project, "run", "--stage-timeout", "12", PREFECT_API_URL=api)

    assert code == 2
    assert output.splitlines()[-1].startswith("error: ingest: still running after 12 s (--stage-timeout), so it was ended, with all its")
    assert has_ended(int((project / "stage.pid").read_text(encoding="utf-8")))
    assert started_by(project) == []


def test_a_failure_that_may_pass_is_tried_again_on_a_schedule_only(project: Path, api: str) -> None:
    write_graph(project, ingest=f"{DOWN_ONCE}; mkdir -p data/ingest; cat source/image > data/ingest/out")

    by_hand = run_pipeline(project, "run", PREFECT_API_URL=api)
    (project / "asked").unlink()
    scheduled = subprocess.run(
        [sys.executable, "-c", RETRIED], cwd=project, env=environment(project, PREFECT_API_URL=api), capture_output=True, text=True
    )

    assert by_hand[0] == 2
    assert by_hand[1].splitlines()[-1] == "error: ingest: the server is down."
    assert scheduled.stdout.splitlines()[-1] == "Completed", scheduled.stderr
    assert "ingest: the server is down. This may pass: trying again in 0 s (1 of 2)" in scheduled.stderr


def test_a_run_that_is_not_worth_it_says_why_and_starts_no_stage(first_run: tuple[Path, int, str], api: str) -> None:
    why = "Not worth a run: nothing has changed since the last run: neither images, parameters nor code."

    code, output = run_pipeline(first_run[0], "run", "--if-worth-it", PREFECT_API_URL=api)

    assert code == 0, output
    assert why in output.splitlines()
    assert last_runs(api, 1) == [("Unchanged", {})]
    assert ask(api, "flow_runs/filter", sort="START_TIME_DESC", limit=1)[0]["state"]["message"] == why


def test_a_run_on_a_terminal_has_short_lines_a_bar_and_no_escape_codes(project: Path, api: str) -> None:
    (project / "with_bar.py").write_text(WITH_BAR, encoding="utf-8")
    with_bar = f"PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} with_bar.py"
    (project / "dvc.yaml").write_text(f"stages: {{train: {{cmd: {json.dumps(with_bar)}}}}}\n", encoding="utf-8")

    ours, theirs = pty.openpty()
    process = run_with_seeds(project, 1, stderr=theirs, COLUMNS="80", NO_COLOR="1", PREFECT_API_URL=api)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO once nobody writes to it
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)

    text = shown.decode()
    lines = [line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").splitlines()]
    assert process.wait(timeout=60) == 0, text
    assert "train           epoch 1/1: loss 0.5" in lines
    assert any(re.fullmatch(r"train           done, \d+\.\d s", line) for line in lines)
    assert re.search(r"train            +\d+%\|.*\| \d+/40 steps, ", text)
    assert [part for part in ("\x1b", "Task run", "::progress") if part in text] == []
    assert max(map(len, lines)) < 80


def test_the_order_and_the_edges_are_those_of_dvc_yaml(template: Path) -> None:
    assert read_graph(Paths(template)) == {
        "ingest": [],
        "preprocess": ["ingest"],
        "train": ["preprocess"],
        "cross_validate": ["preprocess"],
        "evaluate": ["cross_validate", "train"],
        "register": ["evaluate"],
    }


def test_a_worker_with_the_code_of_another_project_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "pipeline" / "__main__.py"
    own.parent.mkdir()
    own.write_text("# the project's own\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=rf"^This is the code of .*, but the run is for {tmp_path}, which has its own\. Start the worker"):
        refuse_foreign_code(Paths(tmp_path))
