"""A tracking server that is killed and started again at random moments, while a run works, registers, promotes and goes back.

A command ends with 0, or with 2 and a line that says why; run again until it ends with 0, all is there once.
"""

import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from pipeline.registry.history import read_history
from tests.mlflow_servers import MlflowServer
from tests.real_project import BIN, SMALL, Project, create_project
from tests.sample_images import write_class_folders

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(3000)]
RESTLESS = 2
"""Tries of a command during which the server is killed again and again; after them it stays up."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    with MlflowServer(tmp_path, f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "artifacts")) as server:
        yield server


@pytest.fixture
def project(server: MlflowServer, tmp_path: Path) -> Project:
    write_class_folders(tmp_path / "photographs", per_class=16)
    project = create_project(tmp_path, SMALL | {"ingest": {"source": str(tmp_path / "photographs")}})
    project.env |= {"MLFLOW_TRACKING_URI": server.url}
    return project


def run_beside_restarts(project: Project, server: MlflowServer, moments: random.Random, *command: str) -> list[str]:
    """The outputs of a command that was run until it ended with 0, the last one first."""
    outputs: list[str] = []
    for number in range(RESTLESS + 2):
        file = project.root.parent / "output"
        with file.open("wb") as output:
            started = [str(BIN / command[0]), *command[1:]]
            process = subprocess.Popen(started, cwd=project.root, env=project.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            while number < RESTLESS and process.poll() is None:
                ended_at = time.monotonic() + moments.uniform(0, 15)
                while process.poll() is None and time.monotonic() < ended_at:
                    time.sleep(0.1)
                server.kill()
                time.sleep(moments.uniform(0, 5))
                server.start()
            code = process.wait()
        outputs.insert(0, file.read_text(encoding="utf-8", errors="replace"))
        if code == 0:
            return outputs
        assert code == 2, outputs[0]
        assert "error: " in outputs[0]
        assert "Traceback" not in outputs[0]
    raise AssertionError(f"{command} did not end with 0, though the server was up: {outputs[0]}")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_server_that_is_killed_again_and_again_loses_and_doubles_nothing(project: Project, server: MlflowServer, seed: int) -> None:
    moments = random.Random(seed)
    for model_seed in (1, 2):
        text = (project.root / "params.yaml").read_text(encoding="utf-8")
        (project.root / "params.yaml").write_text(text.replace("\nseed: 1", f"\nseed: {model_seed}"), encoding="utf-8")
        assert f"photographs version {model_seed}" in run_beside_restarts(project, server, moments, "pipeline", "run")[0]
    client = MlflowClient(server.url)
    gate = read_history(client.get_registered_model("photographs").tags)
    champion = str(client.get_registered_model("photographs").aliases["champion"])
    other = {"1": "2", "2": "1"}[champion]
    run_beside_restarts(project, server, moments, "pipeline", "promote", other, "--reason", "agreed")
    run_beside_restarts(project, server, moments, "pipeline", "rollback", "--to", champion, "--reason", "no")

    model = client.get_registered_model("photographs")
    history = read_history(model.tags)
    assert (history.faults, history.unfinished) == ((), [])
    moves = [(line.action, line.alias, line.target) for line in history.carried_out]
    assert moves[len(gate.carried_out) :] == [("promote", "champion", other), ("rollback", "champion", champion)]
    assert str(model.aliases["champion"]) == champion
    versions = client.search_model_versions("name = 'photographs'")
    assert len({version.tags["model_sha256"] for version in versions}) == len(versions) == 2
    assert all("decision" in version.tags for version in versions)
    experiment = client.get_experiment_by_name("image-classifier")
    assert experiment is not None
    rows = client.search_runs([experiment.experiment_id], "tags.kind = 'pipeline'")
    assert [row.info.status for row in rows] == ["FINISHED"] * 2
    for row in rows:
        folds = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{row.info.run_id}'")
        assert sorted(fold.data.tags["fold"] for fold in folds) == ["0", "1"]
