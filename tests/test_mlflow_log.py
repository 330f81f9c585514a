"""The tracker on MLflow, on a real SQLite store: created once, found again, moved with its project."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from pipeline.errors import TrackingError
from pipeline.paths import Paths
from pipeline.processes import one_at_a_time
from pipeline.tracking.mlflow_client import GuardedClient
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.run_log import Dataset
from pipeline.tracking.tracking_server import tracking_uri

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's and SQLAlchemy's own


@pytest.fixture(autouse=True)
def no_tracking_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path, empty_store: Path) -> Path:
    return Path(shutil.copytree(empty_store, tmp_path / "a project with ümläut %20"))


@pytest.fixture
def log(root: Path) -> MlflowLog:
    return MlflowLog.connect(Paths(root))


def client(root: Path) -> MlflowClient:
    return MlflowClient(tracking_uri(Paths(root)))


def status(root: Path, run: MlflowRun) -> str:
    return str(client(root).get_run(run.id).info.status)


def test_parameters_metrics_files_and_data_set_are_logged_and_found_after_a_move(root: Path, log: MlflowLog, tmp_path: Path) -> None:
    run = log.start_run("first", {"kind": "pipeline"})
    file = root / "notes.txt"
    file.write_text("hello", encoding="utf-8")

    run.log_params({"train.learning_rate": 0.3})
    run.log_metrics({"loss": 2.0}, step=1)
    run.log_metrics({"loss": 1.5}, step=2)
    run.log_file(file, "train")
    run.log_dataset(Dataset("flowers", "data/flowers", "f" * 64))
    run.finish()

    logged = client(root).get_run(run.id)
    assert logged.info.status == "FINISHED"
    assert logged.data.params == {"train.learning_rate": "0.3"}
    assert [(m.step, m.value) for m in client(root).get_metric_history(run.id, "loss")] == [(1, 2.0), (2, 1.5)]
    assert next((root / "mlruns" / "artifacts").rglob("notes.txt")).read_text() == "hello"
    assert logged.inputs is not None
    assert [(d.dataset.name, d.dataset.digest) for d in logged.inputs.dataset_inputs] == [("flowers", "f" * 36)]

    moved = root.rename(tmp_path / "moved")
    MlflowLog.connect(Paths(moved))
    assert Path(client(moved).download_artifacts(run.id, "train/notes.txt", str(tmp_path))).read_text() == "hello"
    assert str(root) not in client(moved).get_run(run.id).info.artifact_uri


def test_a_run_is_found_by_its_tags_newest_first(log: MlflowLog) -> None:
    first, second, other = (log.start_run("run", {"model_sha256": digest}) for digest in ("a", "a", "b"))

    assert [run.id for run in log.find_runs({"model_sha256": "a"})] == [second.id, first.id]
    log.delete(second)
    assert [run.id for run in log.find_runs({"model_sha256": "a"})] == [first.id]
    assert other.tags["model_sha256"] == "b"


def test_folds_change_their_parent(log: MlflowLog) -> None:
    before, after = log.start_run("cross-validation", {}), log.start_run("training", {})
    fold = log.start_run("fold 0", {}, before)

    log.adopt(fold, after)

    assert log.children(before) == []
    assert [run.id for run in log.children(after)] == [fold.id]


def test_the_database_is_written_ahead(root: Path) -> None:
    with closing(sqlite3.connect(root / "mlruns" / "mlflow.db")) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


def test_processes_that_create_the_store_at_once_do_not_break_it(tmp_path: Path) -> None:
    code = """if True:
        import os, sys
        from pathlib import Path
        from pipeline.paths import Paths
        from pipeline.tracking.mlflow_log import MlflowLog
        os.fork()
        MlflowLog.connect(Paths(Path(sys.argv[1]))).start_run("run", {}).finish()
        while True:
            try:
                assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
            except ChildProcessError:
                break
    """

    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], check=True, timeout=200)

    assert len(MlflowLog.connect(Paths(tmp_path)).find_runs({})) == 2


def test_a_run_is_closed_at_the_next_start_only_where_its_process_is_known_to_have_ended(root: Path, log: MlflowLog) -> None:
    alive, ended, elsewhere = (log.start_run(name, {}) for name in ("alive", "ended", "on another machine of the same name"))
    gone = subprocess.Popen(["true"])
    gone.wait()
    system, pid, started = alive.tags["owner"].split("/")
    ended.set_tags({"owner": f"{system}/{gone.pid}/{started}"})
    elsewhere.set_tags({"owner": f"another-start-of-a-system/{pid}/{started}"})

    log.start_run("next", {})

    assert [status(root, run) for run in (alive, ended, elsewhere)] == ["RUNNING", "KILLED", "RUNNING"]


def test_a_run_of_before_a_restart_is_closed_where_the_lock_of_its_stage_is_free(root: Path) -> None:
    paths = Paths(root)
    before = MlflowLog.connect(paths, "train").start_run("before the restart", {})
    before.set_tags({"owner": "an-earlier-start/1/2"})

    with one_at_a_time("train", paths.root, paths.scratch):
        MlflowLog.connect(paths, "cross_validate").start_run("next", {})
        assert status(root, before) == "RUNNING"
    MlflowLog.connect(paths, "cross_validate").start_run("next", {})
    assert status(root, before) == "KILLED"


def test_an_unreachable_tracking_server_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    with pytest.raises(TrackingError, match=r"http://127.0.0.1:9 \(MLFLOW_TRACKING_URI\) cannot be reached") as caught:
        MlflowLog.connect(Paths(tmp_path))

    assert "\n" not in str(caught.value)


class Frail(GuardedClient):
    """A store that does not take the first `failures` entries."""

    def __init__(self, root: Path, failures: int) -> None:
        super().__init__(tracking_uri(Paths(root)))
        self.failures = failures

    def __getattr__(self, name: str) -> Any:
        if name == "log_batch" and self.failures > 0:
            self.failures -= 1
            raise TrackingError("no route to host.")
        return super().__getattr__(name)


def test_a_store_that_fails_in_a_fit_costs_a_warning_and_the_entries_are_offered_again(
    root: Path, log: MlflowLog, capsys: pytest.CaptureFixture[str]
) -> None:
    run = log.start_run("run", {})
    frail = MlflowRun(Frail(root, 2), run.id)

    for epoch in (1, 2, 3):
        frail.log_metrics({"loss": 1 / epoch}, step=epoch)
    frail.finish()

    assert [m.step for m in client(root).get_metric_history(run.id, "loss")] == [1, 2, 3]
    assert capsys.readouterr().err.count("no route to host") == 1


def test_what_a_run_or_one_of_its_folds_owes_at_the_end_is_an_error(root: Path, log: MlflowLog) -> None:
    frail = Frail(root, 1000)
    parent = log.start_run("run", {})
    fold = MlflowRun(frail, log.start_run("fold 0", {}, parent).id, parent=parent)
    owing = MlflowRun(frail, log.start_run("another", {}).id)
    for run in (fold, owing):
        run.log_metrics({"loss": 1.0}, step=1)

    fold.finish()

    for run in (parent, owing):
        with pytest.raises(TrackingError, match=r"is missing some entries.*no route to host.*run the same command again"):
            run.finish()


def test_an_experiment_that_was_deleted_is_named_with_the_way_back(root: Path) -> None:
    client(root).delete_experiment("1")

    with pytest.raises(TrackingError, match=r"'image-classifier' has been deleted.*mlflow experiments restore --experiment-id 1"):
        MlflowLog.connect(Paths(root))


def test_a_blank_address_or_experiment_and_an_inherited_run_id_count_as_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", " ")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "")
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)

    run = MlflowLog.connect(Paths(root)).start_run("run", {})

    assert client(root).get_run(run.id).info.experiment_id == "1"
    assert run.id != os.environ["MLFLOW_RUN_ID"]


def test_the_own_store_given_by_its_address_is_the_own_store(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(Paths(root)))
    monkeypatch.chdir(root)
    file = root / "notes.txt"
    file.write_text("hello", encoding="utf-8")

    MlflowLog.connect(Paths(root)).start_run("run", {}).log_file(file)

    assert len(list((root / "mlruns" / "artifacts").rglob("notes.txt"))) == 1


def test_an_experiment_that_somebody_keeps_elsewhere_is_left_alone(root: Path, tmp_path: Path) -> None:
    elsewhere = (tmp_path / "nas" / "mlruns" / "artifacts-of-mine").as_uri()
    kept = client(root).create_experiment("mine", elsewhere)

    MlflowLog.connect(Paths(root))

    assert client(root).get_experiment(kept).artifact_location == elsewhere


@pytest.mark.parametrize("name", ["it's", 'a "quoted" name', "100%", "Füße", 'it\'s "both" 50%'])
def test_a_model_of_any_name_is_found_and_promoted(root: Path, log: MlflowLog, name: str) -> None:
    run = log.start_run("run", {"dvc_experiment": name})
    model = client(root).create_logged_model("1", source_run_id=run.id)
    run.set_tags({"model_id": model.model_id})

    version = log.register(name, run, {"model_sha256": "abc", "said": name})
    log.set_alias(name, "champion", version.version)

    found, registered = log.find_version(name, {"model_sha256": "abc", "said": name}), log.registered(name)
    assert found is not None
    assert registered is not None
    assert registered.champion is not None
    assert found.version == registered.champion.version == "1"
    assert log.find_version(name, {"model_sha256": "other"}) is None
    assert log.registered("nothing of this name") is None
    assert [found.id for found in log.find_runs({"dvc_experiment": name})] == [run.id]


def test_a_version_keeps_tags_of_any_length_and_is_found_by_them(root: Path, log: MlflowLog) -> None:
    names = json.dumps([f"{number:05d} Animalia Arthropoda Insecta, wild\nand rare" for number in range(3000)])
    run = log.start_run("run", {})
    run.set_tags({"model_id": client(root).create_logged_model("1", source_run_id=run.id).model_id})
    assert len(names) > 100_000  # MLflow's limit

    log.register("insects", run, {"class_names": names, "decision": "first"})
    found = log.find_version("insects", {"class_names": names})
    assert found is not None
    assert found.tags["class_names"] == names
    assert log.find_version("insects", {"class_names": names[:-2]}) is None

    log.tag_version(found, {"decision": names[::-1]})
    log.tag_version(found, {"decision": "short again"})
    again = log.find_version("insects", {"class_names": names})
    assert again is not None
    assert again.tags["decision"] == "short again"


def test_a_description_is_no_longer_than_every_database_takes(root: Path, log: MlflowLog) -> None:
    run = log.start_run("run", {})
    run.set_tags({"model_id": client(root).create_logged_model("1", source_run_id=run.id).model_id})
    version = log.register("insects", run, {})

    log.describe_version(version, "x" * 6000)
    log.describe_model("insects", "y" * 5000)

    assert client(root).get_model_version("insects", "1").description == "x" * 4999 + "…"
    assert client(root).get_registered_model("insects").description == "y" * 5000
