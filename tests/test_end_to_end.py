"""The whole, as a person uses it: a copy of the project, a folder of colour photographs of mixed sizes, the commands of the README.

The tests share one project and run in the order in which they stand here.
"""

import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.paths import STAGES
from tests.real_project import BIN, SMALL, Project, baseline_command, create_project, executed
from tests.sample_images import write_class_folders

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    home = tmp_path_factory.mktemp("end to end ü")
    write_class_folders(home / "photographs", per_class=24)
    return create_project(home, SMALL | {"ingest": {"source": str(home / "photographs")}})


@pytest.fixture(scope="module")
def first_run(project: Project) -> subprocess.CompletedProcess[str]:
    """`pipeline run` from a folder elsewhere in the project, with nothing activated."""
    done = project.run("pipeline", "run", cwd=project.root / "docs")
    assert done.returncode == 0, done.stdout + done.stderr
    project.shell(baseline_command(done.stdout), cwd=project.root / "docs")
    return done


def test_a_misspelt_parameter_stops_before_anything_is_spent(project: Project) -> None:
    text = (project.root / "params.yaml").read_text(encoding="utf-8")
    (project.root / "params.yaml").write_text(text.replace("learning_rate:", "learning_rte:"), encoding="utf-8")

    done = project.run("pipeline", "run")
    (project.root / "params.yaml").write_text(text, encoding="utf-8")

    assert done.returncode == 2
    assert "train.learning_rte is not a parameter. Did you mean learning_rate?" in done.stderr
    assert not (project.root / "data" / "ingest").exists()


def test_one_command_ends_with_a_verdict(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    metrics = json.loads((project.root / "data" / "evaluate" / "metrics.json").read_text(encoding="utf-8"))

    assert f"{metrics['test_accuracy']:.4f}" in first_run.stdout
    assert "report.html" in first_run.stdout
    assert "pipeline ui" in first_run.stdout
    assert "photographs version 1" in first_run.stdout


def test_the_command_that_it_ends_with_commits_all_that_it_wrote(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    recorded = {"data/splits.csv", "data/classes.json", "data/known_images.csv"}

    assert project.shell("git status --porcelain") == ""
    assert recorded < set(project.shell("git show --name-only --format= HEAD").splitlines())


def test_afterwards_everything_is_up_to_date_whichever_way_it_is_run(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    assert "up to date" in project.dvc("status")
    assert executed(project.dvc("repro")) == []
    again = project.run("pipeline", "run")
    assert again.returncode == 0
    assert executed(again.stdout + again.stderr) == []


def test_one_row_in_mlflow_is_one_pipeline_run_with_its_folds_beneath(
    project: Project, first_run: subprocess.CompletedProcess[str]
) -> None:
    client = project.mlflow()
    runs = client.search_runs(["1"])
    rows = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    folds = [run for run in runs if "mlflow.parentRunId" in run.data.tags]

    (row,) = rows
    assert {run.data.tags["mlflow.parentRunId"] for run in folds} == {row.info.run_id}
    assert sorted(run.data.tags["fold"] for run in folds) == ["0", "1"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {"test_accuracy", "cv_accuracy_mean", "cv_accuracy_std", "validation_accuracy", "train_accuracy"} <= set(row.data.metrics)
    assert row.data.params["train.epochs"] == "12"
    assert {"mlflow.source.git.commit", "git_dirty", "dvc_lock_digest", "device", "data_digest"} <= set(row.data.tags)
    assert [given.dataset.name for given in (row.inputs.dataset_inputs if row.inputs else [])] == ["photographs"]
    assert {item.path for item in client.list_artifacts(row.info.run_id)} >= {"train", "evaluate", "preprocess"}


def test_the_model_is_registered_under_the_name_of_the_images(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    version = project.mlflow().get_model_version_by_alias("photographs", "champion")

    assert str(version.version) == "1"
    assert json.loads(version.tags["decision"])["promoted"] is True


def test_running_everything_again_by_force_changes_no_byte(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    before = (project.root / "dvc.lock").read_bytes()

    output = project.dvc("repro", "--force")

    assert executed(output) == list(STAGES)
    assert (project.root / "dvc.lock").read_bytes() == before
    assert len(project.mlflow().search_model_versions("name = 'photographs'")) == 1


def cached(project: Project) -> list[Path]:
    """The files in DVC's cache, without its lists of folders."""
    return [file for file in (project.root / ".dvc" / "cache" / "files" / "md5").rglob("*") if file.is_file() and file.suffix != ".dir"]


def test_outputs_share_the_space_of_the_cache(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    if "reflink" in project.dvc("doctor").partition("Cache types: ")[2].splitlines()[0]:
        pytest.skip("shared space cannot be seen from outside on this file system")
    numbers = {file.stat().st_ino for file in cached(project)}

    for name in ("ingest/report.json", "preprocess/train/images.npy", "train/model.keras"):
        assert (project.root / "data" / name).stat().st_ino in numbers


def test_an_experiment_runs_what_its_parameter_concerns_and_moves_no_alias(
    project: Project, first_run: subprocess.CompletedProcess[str]
) -> None:
    output = project.dvc("exp", "run", "-n", "hot-cat", "-S", "train.learning_rate=0.2")

    assert executed(output) == ["train", "cross_validate", "evaluate", "register"]
    assert "train.learning_rate" in project.dvc("params", "diff")
    assert "accuracy" in project.dvc("metrics", "diff", "--all")
    assert "hot-cat" in project.dvc("exp", "show", "--csv")
    assert str(project.mlflow().get_model_version_by_alias("photographs", "champion").version) == "1"
    experiment = project.mlflow().search_model_versions("name = 'photographs'")
    assert sorted(str(version.version) for version in experiment) == ["1", "2"]


def test_an_edited_report_and_reader_of_sources_fit_nothing_again(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    for file, comment in (("reports/templates/report.html.j2", "{# edited #}"), ("sources/by_folders.py", "# edited")):
        with (project.root / "pipeline" / file).open("a", encoding="utf-8") as code:
            code.write(f"{comment}\n")

    assert executed(project.dvc("repro")) == ["ingest", "preprocess", "evaluate", "register"]


def test_parameters_set_back_are_restored_not_computed(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    subprocess.run(["git", "checkout", "-q", "--", "."], cwd=project.root, check=True)

    done = project.run("pipeline", "run")

    assert done.returncode == 0, done.stdout + done.stderr
    # the page of changes was of another decision; DVC has no run cache for a stage with an output that is in git alone
    assert executed(done.stdout + done.stderr) == ["register"]
    assert subprocess.run(["git", "status", "--short"], cwd=project.root, check=True, capture_output=True, text=True).stdout == ""
    assert "up to date" in project.dvc("status")


def test_a_relabelled_image_runs_everything_again(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    folder = project.root.parent / "photographs"
    first, second = folder / "circle" / "circle 001.jpg", folder / "cross" / "cross 001.jpg"
    shutil.move(first, folder / "kept")
    shutil.move(second, first)
    shutil.move(folder / "kept", second)

    changed = project.run("dvc", "status", activated=True).stdout
    shutil.move(first, folder / "kept")
    shutil.move(second, first)
    shutil.move(folder / "kept", second)

    assert "photographs" in changed
    assert "up to date" in project.dvc("status")


def test_pictures_can_be_looked_at_with_no_network(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    project.dvc("plots", "show")
    page = (project.root / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    report = (project.root / "data" / "evaluate" / "report.html").read_text(encoding="utf-8")

    assert page.count("<img") >= 4
    assert 'src="http' not in report


def test_what_was_made_goes_to_a_remote_and_comes_back(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    model = project.root / "data" / "train" / "model.keras"
    content = model.read_bytes()
    project.dvc("remote", "add", "-f", "-d", "--local", "storage", "../remote")
    project.dvc("push", "--run-cache")
    shutil.rmtree(project.root / ".dvc" / "cache")
    model.unlink()

    project.dvc("pull")

    assert model.read_bytes() == content
    assert "up to date" in project.dvc("status")


def test_the_champion_answers_a_posted_image(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = project.env | {"MLFLOW_TRACKING_URI": f"sqlite:///{project.root / 'mlruns' / 'mlflow.db'}"}
    command = [str(BIN / "mlflow"), "models", "serve", "-m", "models:/photographs@champion", "--env-manager", "local", "--port", str(port)]
    env["PATH"] = f"{BIN}{os.pathsep}{env['PATH']}"
    server = subprocess.Popen(
        command, cwd=project.root, env=env, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        image = (project.root.parent / "photographs" / "circle" / "circle 002.jpg").read_bytes()
        body = json.dumps({"dataframe_split": {"columns": ["image"], "data": [[base64.b64encode(image).decode()]]}}).encode()
        answer = _post(f"http://127.0.0.1:{port}/invocations", body, server)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)

    (prediction,) = answer["predictions"]
    assert prediction["label"] in ("circle", "cross", "square")
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def _post(url: str, body: bytes, server: "subprocess.Popen[bytes]") -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                result: dict[str, Any] = json.loads(answer.read())
                return result
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    raise AssertionError("the model server did not answer")


def test_an_emptied_registry_gets_its_model_back(project: Project, first_run: subprocess.CompletedProcess[str]) -> None:
    shutil.rmtree(project.root / "mlruns")

    done = project.run("pipeline", "run")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "photographs version 1" in done.stdout
    with closing(sqlite3.connect(project.root / "mlruns" / "mlflow.db")) as database:  # MLflow's client still holds the file that is gone
        tags = database.execute("select key, value from tags where key in ('restored', 'fold')").fetchall()
    assert sorted(tags) == [("fold", "0"), ("fold", "1"), ("restored", "true")]
    assert "up to date" in project.dvc("status")


def test_no_stage_has_written_to_the_cache_that_its_outputs_are_links_to(
    project: Project, first_run: subprocess.CompletedProcess[str]
) -> None:
    damaged = [file for file in cached(project) if hashlib.md5(file.read_bytes()).hexdigest() != file.parent.name + file.name]

    assert len(cached(project)) > len(STAGES)
    assert damaged == []
