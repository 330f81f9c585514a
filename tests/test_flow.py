"""The flow on a real DVC project and a real Prefect server: what each task reports, how failures and signals end a run.

The commands run as processes, as a person starts them; one server is shared, as its start takes 3 s.
"""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.paths import Paths
from pipeline.retraining.flow import refuse_foreign_code
from pipeline.retraining.project_name import project_name
from pipeline.workspace.dvc_repro import read_graph
from tests.dummy_project import (
    BIN,
    GRAPH,
    copy_project,
    environment,
    free_port,
    has_ended,
    run_pipeline,
    set_seed,
    start_pipeline,
    started_by,
    wait_for,
    write_graph,
)

SLOW = "python slow_stage.py"


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


def last_run(api: str) -> tuple[str, dict[str, str]]:
    """(state of the last flow run, state of each of its tasks), once the server has taken note of both."""
    run = ask(api, "flow_runs/filter", sort="START_TIME_DESC", limit=1)[0]

    def states() -> dict[str, str]:
        tasks = ask(api, "task_runs/filter", task_runs={"flow_run_id": {"any_": [run["id"]]}}, sort="EXPECTED_START_TIME_ASC")
        return {task["name"]: task["state_name"] for task in tasks}

    wait_for(lambda: states() and "Running" not in states().values(), 20)
    return run["state_name"], states()


def start_slow_stage(project: Path, api: str) -> "tuple[subprocess.Popen[str], int]":
    """A run that has come to a stage of 60 s, and that stage's pid."""
    write_graph(project, train=SLOW)
    process = start_pipeline(project, "run", PREFECT_API_URL=api)
    pid_file = project / "stage.pid"
    if not wait_for(lambda: pid_file.exists() and pid_file.read_text(), 120):
        process.kill()
        pytest.fail(process.communicate()[0])
    return process, int(pid_file.read_text())


@pytest.fixture(scope="module")
def finished(template: Path, api: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project that the flow has brought up to date, and what it printed."""
    root = copy_project(template, tmp_path_factory.mktemp("finished") / "project")
    code, output = run_pipeline(root, "run", PREFECT_API_URL=api)
    assert code == 0, output
    return root, output


def test_a_first_run_runs_every_stage_and_streams_its_output(finished: tuple[Path, str], api: str) -> None:
    root, output = finished

    assert last_run(api) == ("Completed", dict.fromkeys(read_graph(Paths(root)), "Ran"))
    assert "Task run 'train' - train works" in output
    assert "git add" not in output
    assert "dvc push" not in output


def test_the_summary_is_published_for_people(finished: tuple[Path, str], api: str) -> None:
    artifact = ask(api, "artifacts/filter", sort="CREATED_DESC", limit=1)[0]

    assert artifact["key"] == f"{project_name(finished[0])}-summary"
    assert "| cross_validate | Ran | " in artifact["data"]
    assert artifact["description"].endswith(
        " image-classifier project: Updated: ingest, preprocess, train, cross_validate, evaluate, register"
    )


def test_a_run_is_named_by_time_and_folder(finished: tuple[Path, str]) -> None:
    assert re.search(r"Beginning flow run '\d{4}-\d\d-\d\d \d\d:\d\d image-classifier project'", finished[1])


def test_a_second_run_does_nothing(finished: tuple[Path, str], api: str) -> None:
    code, _ = run_pipeline(finished[0], "run", PREFECT_API_URL=api)

    assert code == 0
    assert last_run(api) == ("Unchanged", dict.fromkeys(GRAPH, "Unchanged"))


def test_a_changed_parameter_runs_what_reads_it_and_changed_back_restores_it(finished: tuple[Path, str], api: str) -> None:
    root, _ = finished
    expected = dict.fromkeys(GRAPH, "Unchanged")

    set_seed(root, 7)
    run_pipeline(root, "run", PREFECT_API_URL=api)
    assert last_run(api) == ("Completed", {**expected, "train": "Ran"})

    set_seed(root, 1)
    run_pipeline(root, "run", PREFECT_API_URL=api)
    assert last_run(api) == ("Completed", {**expected, "train": "Restored"})


def test_a_stage_that_fails_ends_the_flow_with_its_own_message(project: Path, api: str) -> None:
    write_graph(project, train="echo 'error: train.device: no GPU here. Set it to cpu.' >&2; exit 2")

    code, output = run_pipeline(project, "run", PREFECT_API_URL=api)

    assert code == 2
    assert output.splitlines()[-1] == "error: train: train.device: no GPU here. Set it to cpu."
    assert output.count("no GPU here. Set it to cpu.") == 2  # the other one is the command that DVC names
    assert "Traceback" not in output
    assert last_run(api) == ("Failed", {"ingest": "Ran", "preprocess": "Ran", "train": "Failed"})


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
    state, tasks = last_run(api)
    assert (state, tasks["train"]) == ("Cancelled", "Cancelled")


def test_a_killed_flow_takes_its_stage_along(project: Path, api: str) -> None:
    process, stage = start_slow_stage(project, api)

    process.kill()
    process.communicate()

    assert wait_for(lambda: has_ended(stage), 5)  # 0.2 s on an idle machine
    assert wait_for(lambda: started_by(project) == [], 10)


def test_without_a_server_it_starts_one_and_leaves_nothing(project: Path) -> None:
    code, output = run_pipeline(project, "run")

    assert code == 0
    assert "Finished in state Completed('Updated: ingest, preprocess, train, cross_validate, evaluate, register')" in output
    assert "View at" not in output
    assert "Traceback" not in output
    assert started_by(project) == []


def test_a_server_that_does_not_answer_is_one_line(project: Path) -> None:
    code, output = run_pipeline(project, "run", PREFECT_API_URL="http://127.0.0.1:9/api")

    assert code == 2
    assert output.startswith("error: The Prefect server at http://127.0.0.1:9/api does not answer: ")
    assert output.endswith(
        "The address is set by the variable PREFECT_API_URL. Correct it or start that server; to run without one, unset PREFECT_API_URL.\n"
    )
    assert len(output.splitlines()) == 1


def test_the_order_and_the_edges_are_those_of_dvc_yaml(project: Path) -> None:
    assert read_graph(Paths(project)) == {
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
