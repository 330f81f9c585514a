"""`pipeline predict` finds the champion in the project's own database and computes it without MLflow and TensorFlow; never an old champion."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.conversion.record import ONNX_TAG
from pipeline.errors import ConfigError, TrackingError
from pipeline.files import sha256_file, write_bytes, write_json
from pipeline.models.network import to_bytes
from pipeline.paths import Paths
from pipeline.registry.servable import check_servable
from pipeline.serving import load
from pipeline.serving.own_registry import SCHEMA, look_up
from pipeline.serving.runtime import CHOICE
from pipeline.tracking.mlflow_log import MlflowLog
from tests.registered_model import NAME, REPORT, SPEC
from tests.test_fit import configure, fit, shapes

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

DECISION = {"model_name": NAME, "model_sha256": "", "promoted": True, "champion": None, "reason": ""}
ALONE = """
import sys, numpy as np
from pipeline.serving import load
print(load(project=sys.argv[1]).predict(np.zeros((8, 8), np.uint8))[0].label in ("rows", "A/b"))
print([name for name in ("tensorflow", "keras", "mlflow", "pandas", "sqlalchemy") if name in sys.modules])
"""


def log_version(paths: Paths, log: MlflowLog) -> str:
    run = log.start_run("run", {"kind": "pipeline"})
    files = [paths.stage("train") / "model.keras", paths.stage("preprocess") / "spec.json"]
    log.log_model(run, files)
    tags = {"model_sha256": sha256_file(files[0]), "spec_sha256": sha256_file(files[1]), ONNX_TAG: run.tags[ONNX_TAG]}
    version = log.register(NAME, run, tags)
    run.finish()
    return version.version


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Paths, MlflowLog]]:
    """A project with the versions 1, the champion, and 2."""
    paths = Paths(tmp_path_factory.mktemp("own") / "my prøject")
    images, labels = shapes()
    write_bytes(paths.stage("train") / "model.keras", to_bytes(fit(configure(), images, labels).keep()))
    write_json(paths.stage("preprocess") / "spec.json", SPEC)
    write_json(paths.stage("ingest") / "report.json", REPORT)
    write_json(paths.stage("register") / "decision.json", DECISION)
    for name in ("params.yaml", "dvc.yaml"):
        write_bytes(paths.root / name, (Path(__file__).parent.parent / name).read_bytes())
    (paths.stage("preprocess") / "train").mkdir()
    np.save(paths.stage("preprocess") / "train" / "images.npy", images)
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("MLFLOW_TRACKING_URI", raising=False)
        log = MlflowLog.connect(paths)
        numbers = [log_version(paths, log), log_version(paths, log)]
        log.set_alias(NAME, "champion", numbers[0])
        yield paths, log


Project = tuple[Paths, MlflowLog]


def test_the_champion_is_found_as_mlflow_finds_it_and_never_the_last_one(project: Project) -> None:
    paths, log = project
    for number in ("2", "1"):
        log.set_alias(NAME, "champion", number)

        found = look_up("champion", paths)

        version = log.version(NAME, number)
        assert found is not None
        assert version is not None
        assert (found.name, found.version, found.tags) == (NAME, number, version.tags)
        assert (found.files / "data" / "model" / "model.onnx").is_file()
        assert load(project=paths.root).version == number


@pytest.mark.parametrize("reference", ["2", "shapes/2", "shapes@champion", "models:/shapes/1", "v1"])
def test_a_version_is_found_by_each_kind_of_reference(project: Project, reference: str) -> None:
    found = look_up(reference, project[0])

    assert found is not None
    assert found.version == ("2" if "2" in reference else "1")


@pytest.mark.parametrize("reference", ["9", "challenger", "flowers/1", "", "a b", "0" * 32])
def test_what_is_not_there_is_left_to_mlflow_which_says_so(project: Project, reference: str) -> None:
    assert look_up(reference, project[0]) is None


def test_another_registry_is_left_to_mlflow(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, _ = project
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path / 'other.db'}")
    assert look_up("champion", paths) is None

    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{paths.mlruns / 'mlflow.db'}")
    assert look_up("champion", paths) is not None


def test_the_schema_is_that_of_the_installed_mlflow(project: Project) -> None:
    with closing(sqlite3.connect(project[0].mlruns / "mlflow.db")) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [(SCHEMA,)]


@pytest.mark.parametrize(
    "doubt",
    [
        "update alembic_version set version_num = 'later'",
        "update model_versions set current_stage = 'Deleted_Internal'",
        "update model_versions set status = 'PENDING_REGISTRATION'",
        "update model_versions set source = '/elsewhere'",
        "update model_versions set storage_location = 'file:///elsewhere/mlruns/artifacts'",
        "update model_versions set storage_location = 's3://bucket/x'",
        "drop table registered_model_aliases",
    ],
)
def test_what_is_in_doubt_is_left_to_mlflow(project: Project, tmp_path: Path, doubt: str) -> None:
    copy = Paths(tmp_path)
    copy.mlruns.mkdir()
    with closing(sqlite3.connect(project[0].mlruns / "mlflow.db")) as source, closing(sqlite3.connect(copy.mlruns / "mlflow.db")) as target:
        source.backup(target)
        target.execute(
            "update model_versions set storage_location = replace(storage_location, ?, ?)",
            (project[0].mlruns.as_uri(), copy.mlruns.as_uri()),
        )
        (location,) = target.execute("select storage_location from model_versions where version = 1").fetchone()
        write_bytes(copy.mlruns / location.removeprefix(copy.mlruns.as_uri() + "/") / "MLmodel", b"")
        target.commit()
        assert look_up("shapes/1", copy) is not None
        target.execute(doubt)
        target.commit()

    assert look_up("shapes@champion" if "drop" in doubt else "shapes/1", copy) is None


def test_another_registry_is_asked_by_mlflow(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    assert look_up("champion", project[0]) is None


def test_the_champion_answers_without_tensorflow_and_mlflow(project: Project) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    environment.pop("MLFLOW_TRACKING_URI", None)

    done = subprocess.run([sys.executable, "-c", ALONE, str(project[0].root)], env=environment, capture_output=True, text=True)

    assert done.stdout.split("\n")[:2] == ["True", "[]"], done.stderr[-2000:]


def test_both_runtimes_give_the_same_probabilities(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    images = list(shapes()[0][..., 0])
    answers = {}
    for runtime in ("", "onnxruntime", "tensorflow"):
        monkeypatch.setenv(CHOICE, runtime)
        model = load(project=project[0].root)
        answers[runtime] = np.stack([answer.probabilities for answer in model.predict(images)])
        assert type(model._served.runtime).__name__ == ("KerasRuntime" if runtime == "tensorflow" else "OnnxRuntime")

    assert np.array_equal(answers[""], answers["onnxruntime"])
    assert np.abs(answers[""] - answers["tensorflow"]).max() < 1e-5


def test_a_runtime_that_there_is_not_is_an_error(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOICE, "torch")
    with pytest.raises(
        (ConfigError, TrackingError), match=r"PIPELINE_RUNTIME is 'torch', which is no runtime. Set it to onnxruntime or tensorflow"
    ):
        load(project=project[0].root)


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "model.onnx").write_bytes(b"other"), "its model.onnx has the sha256 d9298a10d1b0…, but"),
        (lambda folder: (folder / "model.onnx").unlink(), "its files have no model.onnx, expected one"),
        (lambda folder: (folder / "onnx.json").write_text("{}", encoding="utf-8"), "cannot be loaded: model.onnx or what was recorded"),
    ],
)
def test_a_changed_onnx_file_is_not_used_and_gets_no_alias(project: Project, damage: Damage, words: str) -> None:
    paths, log = project
    found, version = look_up("1", paths), log.version(NAME, "1")
    assert found is not None
    assert version is not None
    folder = found.files / "data" / "model"
    kept = {name: (folder / name).read_bytes() for name in ("model.onnx", "onnx.json")}
    damage(folder)
    try:
        with pytest.raises(TrackingError, match=words):
            load("1", project=paths.root)
        if "recorded" not in words:
            with pytest.raises(TrackingError, match=words):
                check_servable(log, version)
    finally:
        for name, content in kept.items():
            write_bytes(folder / name, content)


def test_a_version_is_served_only_if_both_runtimes_agree(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    log = project[1]
    version = log.version(NAME, "1")
    assert version is not None

    assert check_servable(log, version) == "it loads and answers"
    monkeypatch.setattr(
        "pipeline.tracking.mlflow_registry.answer_apart",
        lambda uri, model, images, runtime="": [{"rows": 0.4 if runtime else 0.6, "A/b": 0.6 if runtime else 0.4}],
    )
    with pytest.raises(TrackingError, match=r"cannot serve.*on image 1 of 1 its model.onnx.* differ by 2.0e-01"):
        check_servable(log, version)
