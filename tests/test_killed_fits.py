"""Whenever `train` or `cross_validate` is killed, the same command resumes in the same MLflow run and ends with the same bytes."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from tests.sample_images import write_class_folders
from tests.test_killed_stages import make_project, outputs, start

KILLS_AT_ONCE = 4
KILLS_AT_WORK = 7
PARAMS = {
    "name": "resnet",
    "epochs": "40",
    "min_steps": "0",
    "batch_size": "16",
    "early_stopping_epochs": "0",
    "folds": "3",
    "width": "0.25",
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the stages up to cross-validation have run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    root = make_project(folder / "project", write_class_folders(folder / "flowers", per_class=100))
    params = (root / "params.yaml").read_text(encoding="utf-8")
    for name, value in PARAMS.items():
        params = re.sub(rf"^  {name}: \S+", f"  {name}: {value}", params, flags=re.MULTILINE)
    (root / "params.yaml").write_text(params, encoding="utf-8")
    for stage in ("ingest", "preprocess"):
        assert start(root, stage).wait() == 0
    shutil.copytree(root, folder / "before")
    for stage in ("train", "cross_validate"):
        assert start(root, stage).wait() == 0
    return folder


def kill(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to a stage that is still at work."""
    assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_saved(root: Path) -> float:
    """When a checkpoint was written last."""
    return max((path.stat().st_mtime for path in (root / ".checkpoints" / "fits").glob("*/*.npz")), default=0.0)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("stage", "kind"), [("train", "pipeline"), ("cross_validate", "cross_validation")])
def test_a_fit_killed_again_and_again_ends_with_the_same_bytes_in_one_run(stage: str, kind: str, undisturbed: Path, tmp_path: Path) -> None:
    root = shutil.copytree(undisturbed / "before", tmp_path / "project")
    if stage == "cross_validate":  # it reads what `train` has chosen
        shutil.copytree(undisturbed / "project" / "data" / "train", root / "data" / "train")
    generator = random.Random(11)
    moments = ["start"] * KILLS_AT_ONCE + ["work"] * KILLS_AT_WORK
    generator.shuffle(moments)
    for moment in moments:
        before, process = last_saved(root), start(root, stage)
        if moment == "start":
            time.sleep(generator.uniform(0.3, 8))
        while moment == "work" and last_saved(root) == before and process.poll() is None:
            time.sleep(0.02)
        time.sleep(generator.uniform(0, 0.5))
        kill(process)

    assert start(root, stage).wait() == 0

    name = f"data/{stage}"
    wanted = {path: content for path, content in outputs(undisturbed / "project").items() if path.startswith(name)}
    assert {path: content for path, content in outputs(root).items() if path.startswith(name)} == wanted
    client = MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'image-classifier'")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs if run.data.tags["kind"] == kind] == ["FINISHED"]
    assert len(runs) == (1 if stage == "train" else 4)
    for run in runs:
        for metric in run.data.metrics:
            steps = [entry.step for entry in client.get_metric_history(run.info.run_id, metric)]
            assert len(steps) == len(set(steps)), metric
    fitted = [run for run in runs if "learning_rate" in run.data.metrics]
    assert all([entry.step for entry in client.get_metric_history(run.info.run_id, "loss")][:40] == [*range(1, 41)] for run in fitted)
    assert not list((root / ".checkpoints" / "fits").glob("*/*.npz"))
