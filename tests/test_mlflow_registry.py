"""Aliases, tags and versions on a real MLflow store, and a history that lives there."""

import shutil
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from pipeline.paths import Paths
from pipeline.pedigree.history_page import as_text
from pipeline.registry.history import LONGEST_REASON, read_history
from pipeline.registry.moves import move
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.tracking_server import tracking_uri

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's and SQLAlchemy's own


@pytest.fixture
def log(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowLog:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return MlflowLog.connect(Paths(Path(shutil.copytree(empty_store, tmp_path / "project"))))


@pytest.fixture
def client(log: MlflowLog, tmp_path: Path) -> MlflowClient:
    """Pets with three versions, and an empty registered model."""
    client = MlflowClient(tracking_uri(Paths(tmp_path / "project")))
    for name in ("pets", "ant's"):
        client.create_registered_model(name)
    for _ in range(3):
        client.create_model_version("pets", str(tmp_path), tags={"model_sha256": "a"})
    return client


def test_versions_and_names_are_read(log: MlflowLog, client: MlflowClient) -> None:
    assert log.model_names() == ["ant's", "pets"]
    assert [version.version for version in log.all_versions("pets")] == ["1", "2", "3"]
    assert log.all_versions("ant's") == []
    found = log.version("pets", "2")
    assert found is not None
    assert found.tags == {"model_sha256": "a"}
    assert log.version("pets", "9") is None


def test_a_history_is_written_read_and_seen_in_mlflow(log: MlflowLog, client: MlflowClient) -> None:
    one, two, three = log.all_versions("pets")
    move(log, one, "champion", action="gate", why="first")
    move(log, two, "champion", action="gate", why="ü" * LONGEST_REASON)
    move(log, three, "champion", action="promote", why="as agreed")
    move(log, two, "champion", action="rollback", why="bad labels")
    client.set_registered_model_alias("pets", "champion", "3")

    registered = log.registered("pets")

    assert registered is not None
    history = read_history(registered.tags)
    assert (history.faults, len(history.lines)) == ((), 4)
    assert registered.aliases == {"champion": "3", "previous": "1"}
    assert "moved by hand in MLflow" in as_text(registered, history).splitlines()[3]
    tags = client.get_registered_model("pets").tags
    assert [key[:13] for key in sorted(tags) if key.startswith("history 0")] == [f"history {number:05d}" for number in range(1, 5)]
    assert max(map(len, tags.values())) < 5000


def test_the_alias_previous_is_removed_when_there_is_none(log: MlflowLog, client: MlflowClient) -> None:
    one, two, _ = log.all_versions("pets")
    move(log, one, "champion", action="gate", why="first")
    move(log, two, "champion", action="gate", why="better")
    move(log, one, "champion", action="rollback", why="bad labels")

    registered = log.registered("pets")

    assert registered is not None
    assert registered.aliases == {"champion": "1"}
