"""A whole run, and the way back, on the servers that teams run: MLflow on PostgreSQL and an S3 server, also with logins and behind a path."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from mlflow.tracking import MlflowClient

from pipeline.registry.history import read_history
from pipeline.registry.story import earlier_champion
from tests.mlflow_servers import BUCKET, MlflowServer, object_store, postgres, postgres_tools
from tests.real_project import SMALL, Project, create_project
from tests.sample_images import write_class_folders
from tests.threshold_project import ROOT, ThresholdProject

MISSING = [name for name in ("psycopg2", "flask_wtf") if find_spec(name) is None]
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(postgres_tools() is None, reason="no PostgreSQL here: MLflow on it was not tested"),
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} not installed: MLflow on PostgreSQL was not tested"),
]
ADMIN = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "a long password"}
READER = {"MLFLOW_TRACKING_USERNAME": "reader", "MLFLOW_TRACKING_PASSWORD": "another password"}


class Team(NamedTuple):
    """The server's address and the environment variables with which a member of the team uses it."""

    url: str
    login: Mapping[str, str]


@pytest.fixture(scope="module")
def stores() -> Iterator[dict[str, str]]:
    """The address of a database, and the environment variables of the object store."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, object_store() as variables:  # PostgreSQL's own user must be able to enter
        Path(folder).chmod(0o755)
        with postgres(Path(folder) / "postgres") as database:
            yield {"database": database, **variables}


@pytest.fixture(scope="module", params=["without logins", "with logins, behind a path"])
def team(request: pytest.FixtureRequest, stores: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    home = tmp_path_factory.mktemp("server")
    variables = {name: value for name, value in stores.items() if name != "database"}
    if request.param == "without logins":
        with MlflowServer(home, stores["database"], f"s3://{BUCKET}/plain", **variables) as server:
            yield Team(server.url, {})
        return
    secret = {"MLFLOW_FLASK_SERVER_SECRET_KEY": "a key", "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN["MLFLOW_TRACKING_PASSWORD"]}
    store, logins = f"sqlite:///{home}/mlflow.db", ("--app-name", "basic-auth")
    with MlflowServer(home, store, f"s3://{BUCKET}/private", *logins, prefix="/ml", **variables, **secret) as server:
        made = requests.post(
            f"{server.url}/api/2.0/mlflow/users/create",
            json={"username": READER["MLFLOW_TRACKING_USERNAME"], "password": READER["MLFLOW_TRACKING_PASSWORD"]},
            auth=(ADMIN["MLFLOW_TRACKING_USERNAME"], ADMIN["MLFLOW_TRACKING_PASSWORD"]),
            timeout=30,
        )
        assert made.status_code == 200, made.text
        yield Team(server.url, ADMIN)


@pytest.fixture(scope="module")
def project(team: Team, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that uses the server, after two runs that differ in their seed."""
    home = tmp_path_factory.mktemp("team ü")
    write_class_folders(home / "photographs", per_class=16)
    project = create_project(home, SMALL | {"ingest": {"source": str(home / "photographs")}})
    project.env |= {"MLFLOW_TRACKING_URI": team.url, **team.login}
    for seed in (1, 2):
        text = (project.root / "params.yaml").read_text(encoding="utf-8")
        (project.root / "params.yaml").write_text(text.replace("\nseed: 1", f"\nseed: {seed}"), encoding="utf-8")
        done = project.run("pipeline", "run")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"photographs version {seed}" in done.stdout
    return project


@pytest.fixture
def client(team: Team, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    for name, value in team.login.items():
        monkeypatch.setenv(name, value)
    return MlflowClient(team.url)


def aliases(client: MlflowClient) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model("photographs").aliases.items()}


def register_apart(root: Path, threshold: float, env: Mapping[str, str]) -> Callable[[], "subprocess.Popen[str]"]:
    """What starts the stage `register` on the network of a threshold, in a process of its own."""
    ThresholdProject(root).write_stages(threshold)
    script = "import pathlib, sys, tests.threshold_project as t; t.ThresholdProject(pathlib.Path(sys.argv[1])).run_register()"
    command = [sys.executable, "-c", script, str(root)]
    return lambda: subprocess.Popen(command, cwd=ROOT, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_run_is_one_row_with_its_files_and_another_run_does_nothing(project: Project, client: MlflowClient) -> None:
    experiment = client.get_experiment_by_name("image-classifier")
    assert experiment is not None
    rows = client.search_runs([experiment.experiment_id], "tags.kind = 'pipeline'")
    assert [row.info.status for row in rows] == ["FINISHED"] * 2
    assert {file.path for file in client.list_artifacts(rows[0].info.run_id, "evaluate")} >= {"evaluate/report.html"}

    again = said(project.run("pipeline", "run"))

    assert "version 2" in again
    assert len(client.search_runs([experiment.experiment_id], "tags.kind = 'pipeline'")) == 2
    assert [version.version for version in client.search_model_versions("name = 'photographs'")] in (["1", "2"], ["2", "1"])


def test_a_person_promotes_and_goes_back(project: Project, client: MlflowClient) -> None:
    first = aliases(client)["champion"]
    other = {"1": "2", "2": "1"}[first]

    assert f"photographs version {other} is champion now, instead of version {first}" in said(
        project.run("pipeline", "promote", other, "--reason", "agreed")
    )
    assert aliases(client)["previous"] == first
    assert f"photographs version {first} is champion now, instead of version {other}" in said(
        project.run("pipeline", "rollback", "--reason", "no")
    )
    assert aliases(client)["champion"] == first


def test_the_history_is_whole_and_names_who(project: Project, team: Team) -> None:
    assert "is whole" in said(project.run("pipeline", "history", "--verify"))
    events = json.loads(said(project.run("pipeline", "history", "--json")))["events"]

    assert [event["action"] for event in events][-2:] == ["promote", "rollback"]
    assert all(event["mark"] == "" for event in events)
    if team.login:
        assert all(event["who"].startswith("admin (") for event in events)


def test_a_model_is_traced(project: Project) -> None:
    page = said(project.run("pipeline", "trace", "champion"))

    assert "NOT RECORDED" not in page
    assert "photographs version" in page


def test_who_may_only_read_moves_nothing(project: Project, team: Team, client: MlflowClient) -> None:
    if not team.login:
        pytest.skip("this server has no logins")
    before = client.get_registered_model("photographs")
    other = {"1": "2", "2": "1"}[aliases(client)["champion"]]
    project.env |= READER

    try:
        history = project.run("pipeline", "history")
        refused = project.run("pipeline", "promote", other, "--reason", "mine")
        project.env |= {"MLFLOW_TRACKING_PASSWORD": "wrong"}
        unknown = project.run("pipeline", "history")
    finally:
        project.env |= ADMIN

    assert "rollback: no" in said(history)
    for done, status in ((refused, "403"), (unknown, "401")):
        assert done.returncode == 2
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
        assert f"status {status}" in line
    after = client.get_registered_model("photographs")
    assert (after.aliases, after.tags) == (before.aliases, before.tags)


def test_two_people_register_at_once(team: Team, client: MlflowClient, tmp_path: Path) -> None:
    """The champion gets 51 of 1,000 images wrong, the first person's model 25, the second one's none."""
    env = {**os.environ, "MLFLOW_TRACKING_URI": team.url, "MLFLOW_EXPERIMENT_NAME": "two people", **team.login}
    first, *both = [register_apart(tmp_path / str(threshold), threshold, env) for threshold in (0.45, 0.475, 0.5)]

    said = [first().communicate()[0]]
    said += [process.communicate()[0] for process in [start() for start in both]]

    model = client.get_registered_model("flowers")
    versions = {version.version: json.loads(version.tags["decision"]) for version in client.search_model_versions("name = 'flowers'")}
    assert sorted(versions) == ["1", "2", "3"], said
    best = next(number for number, decision in versions.items() if decision["accuracy"] == 1.0)
    assert {alias: str(model.aliases[alias]) for alias in ("champion", "anchor")} == {"champion": best, "anchor": best}, said
    history = read_history(model.tags)
    assert (history.faults, history.unfinished) == ((), [])
    assert str(model.aliases["previous"]) == earlier_champion(history, {alias: str(version) for alias, version in model.aliases.items()})
