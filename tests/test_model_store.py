"""Where registered models live: beneath the project's own mlruns/, whatever folder made the store and wherever the project goes.

Every case ends with the champion loaded through MLflow alone, in a process that knows nothing of this project, and its prediction compared.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import TrackingError
from pipeline.paths import Paths
from pipeline.registry.local import registry_problem
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.run_log import ModelVersion
from pipeline.tracking.tracking_server import tracking_uri
from tests.sample_images import draw

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

MAKE_MODEL = """
import sys, keras
inputs = keras.Input((8, 8, 1), dtype="uint8")
outputs = keras.layers.Dense(2, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(seed=int(sys.argv[2])))(
    keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs)))
keras.Model(inputs, outputs).save(sys.argv[1])
"""
ASK = """
import json, sys
import mlflow, pandas as pd
image = open(sys.argv[1], "rb").read()
answers = {}
for root in sys.argv[2:]:
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlruns/mlflow.db")
    try:
        model = mlflow.pyfunc.load_model("models:/it's 100% pets ü@champion")
        answers[root] = float(model.predict(pd.DataFrame({"image": [image]}))["probabilities"][0]["cat"])
    except Exception as error:
        answers[root] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
"""
NAME = "it's 100% pets ü"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, `1.keras` and `2.keras`, their spec, and an image."""
    folder = tmp_path_factory.mktemp("models")
    for seed in ("1", "2"):
        subprocess.run([sys.executable, "-c", MAKE_MODEL, str(folder / f"{seed}.keras"), seed], check=True, capture_output=True)
    spec = {"height": 8, "width": 8, "channels": 1, "resize": "pad", "class_names": ["cat", "dog"]}
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    draw("circle", np.random.default_rng(0)).save(folder / "image.png")
    return folder


def register_champion(root: Path, models: Path, seed: str = "1") -> None:
    """What `train` and `register` do in the workspace `root`."""
    log = MlflowLog.connect(Paths(root))
    run = log.start_run("run", {"kind": "pipeline"})
    kept = root / "model.keras"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(models / f"{seed}.keras", kept)
    log.log_model(run, [kept, models / "spec.json"])
    log.promote(log.register(NAME, run, {"model_sha256": seed}), {"champion": seed})
    run.finish()


def database(root: Path) -> sqlite3.Connection:
    return sqlite3.connect(root / "mlruns" / "mlflow.db")


def make_old(root: Path, plain: bool = True) -> None:
    """Turn a store into one of earlier versions: its models in experiment 0, laid out beneath `mlruns/0`, recorded as plain paths or URIs."""
    old = root / "mlruns" / "0"
    location = str(old) if plain else old.as_uri()
    with closing(database(root)) as connection, connection:
        connection.execute("update experiments set artifact_location = ? where experiment_id = 0", (location,))
        for (model_id,) in connection.execute("select model_id from logged_models").fetchall():
            (old / "models").mkdir(parents=True, exist_ok=True)
            (root / "mlruns" / "artifacts" / "models" / model_id).rename(old / "models" / model_id)
            at = f"{location}/models/{model_id}/artifacts"
            connection.execute("update logged_models set artifact_location = ?, experiment_id = 0 where model_id = ?", (at, model_id))
            connection.execute("update model_versions set storage_location = ? where source = ?", (at, f"models:/{model_id}"))


Case = Callable[[Path, Path, Path], tuple[Path, str]]


def moved(base: Path, folder: Path, models: Path) -> tuple[Path, str]:
    register_champion(base, models)
    base.rename(folder / "moved")
    MlflowLog.connect(Paths(folder / "moved"))
    return folder / "moved", "1"


def copied_and_the_original_deleted(base: Path, folder: Path, models: Path) -> tuple[Path, str]:
    register_champion(base, models)
    shutil.copytree(base, folder / "copy")
    shutil.rmtree(base)
    MlflowLog.connect(Paths(folder / "copy"))
    return folder / "copy", "1"


def moved_then_retrained(base: Path, folder: Path, models: Path) -> tuple[Path, str]:
    register_champion(base, models)
    base.rename(folder / "moved")
    register_champion(folder / "moved", models, "2")
    assert not base.exists()
    return folder / "moved", "2"


def copied_then_retrained(base: Path, folder: Path, models: Path) -> tuple[Path, str]:
    register_champion(base, models)
    shutil.copytree(base, folder / "copy")
    before = sorted(base.rglob("*"))
    register_champion(folder / "copy", models, "2")
    assert sorted(base.rglob("*")) == before
    return folder / "copy", "2"


def first_run_ever_in_an_experiment(base: Path, folder: Path, models: Path) -> tuple[Path, str]:
    workspace = base / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc"
    workspace.mkdir(parents=True)
    os.chdir(workspace)
    register_champion(workspace, models)
    os.chdir(folder)
    shutil.rmtree(base / ".dvc")
    return base, "1"


def first_run_ever_in_the_queue_then_an_ordinary_one(base: Path, folder: Path, models: Path) -> tuple[Path, str]:
    workspace = base / ".dvc" / "tmp" / "exps" / "tmpqueue"
    workspace.mkdir(parents=True)
    os.chdir(workspace)
    register_champion(workspace, models)
    os.chdir(folder)
    register_champion(base, models, "2")
    shutil.rmtree(base / ".dvc")
    return base, "2"


def first_command_in_a_sub_folder(base: Path, folder: Path, models: Path) -> tuple[Path, str]:
    (base / "docs").mkdir(parents=True)
    os.chdir(base / "docs")
    register_champion(base, models)
    os.chdir(folder)
    assert list((base / "docs").iterdir()) == []
    return base, "1"


def old_store_moved(base: Path, folder: Path, models: Path) -> tuple[Path, str]:
    register_champion(base, models)
    make_old(base)
    return moved_as_it_is(base, folder)


def old_store_with_uris_moved(base: Path, folder: Path, models: Path) -> tuple[Path, str]:
    register_champion(base, models)
    make_old(base, plain=False)
    return moved_as_it_is(base, folder)


def moved_as_it_is(base: Path, folder: Path) -> tuple[Path, str]:
    base.rename(folder / "moved")
    MlflowLog.connect(Paths(folder / "moved"))
    return folder / "moved", "1"


def old_store_copied_before_its_models_were_made(base: Path, folder: Path, models: Path) -> tuple[Path, str]:
    """The copy's models lie in the original: they are copied, and the original keeps its own."""
    register_champion(base, models)
    make_old(base)
    shutil.copytree(base, folder / "copy")
    shutil.rmtree(folder / "copy" / "mlruns" / "0")
    MlflowLog.connect(Paths(folder / "copy"))
    assert len(list((base / "mlruns" / "0" / "models").iterdir())) == 1
    shutil.rmtree(base)
    return folder / "copy", "1"


def old_store_made_in_a_sub_folder(base: Path, folder: Path, models: Path) -> tuple[Path, str]:
    register_champion(base, models)
    make_old(base)
    (base / "docs" / "mlruns").mkdir(parents=True)
    (base / "mlruns" / "0").rename(base / "docs" / "mlruns" / "0")
    with closing(database(base)) as connection, connection:
        for table, column in (
            ("experiments", "artifact_location"),
            ("logged_models", "artifact_location"),
            ("model_versions", "storage_location"),
        ):
            connection.execute(f"update {table} set {column} = replace({column}, ?, ?)", (f"{base}/mlruns/0", f"{base}/docs/mlruns/0"))
    return moved_as_it_is(base, folder)


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        moved,
        copied_and_the_original_deleted,
        moved_then_retrained,
        copied_then_retrained,
        first_run_ever_in_an_experiment,
        first_run_ever_in_the_queue_then_an_ordinary_one,
        first_command_in_a_sub_folder,
        old_store_moved,
        old_store_with_uris_moved,
        old_store_copied_before_its_models_were_made,
        old_store_made_in_a_sub_folder,
    )
}


@pytest.fixture(scope="module")
def made(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """(where the project is in the end, the model that should be champion there) of every case."""
    before = Path.cwd()
    found = {}
    for name, case in CASES.items():
        folder = tmp_path_factory.mktemp(f"a folder ü {name}")
        os.chdir(folder)
        try:
            found[name] = case(folder / "project", folder, models)
        finally:
            os.chdir(before)
    return found


@pytest.fixture(scope="module")
def answers(made: dict[str, tuple[Path, str]], models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the champion of every case says of the image, asked by a process that knows MLflow only."""
    expected = [str(models / "direct 1"), str(models / "direct 2")]
    for seed, root in zip("12", expected, strict=True):
        register_champion(Path(root), models, seed)
    roots = [*expected, *(str(root) for root, _ in made.values())]
    env = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", ASK, str(models / "image.png"), *roots],
        cwd=tmp_path_factory.mktemp("elsewhere"), env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return {"1": found[expected[0]], "2": found[expected[1]], **{name: found[str(root)] for name, (root, _) in made.items()}}


@pytest.mark.parametrize("name", CASES)
def test_the_champion_is_loaded_by_mlflow_alone(name: str, made: dict[str, tuple[Path, str]], answers: dict[str, object]) -> None:
    assert isinstance(answers[name], float), answers[name]
    assert answers["1"] != answers["2"]
    assert answers[name] == answers[made[name][1]]


@pytest.mark.parametrize("name", CASES)
def test_no_path_of_the_store_leads_out_of_the_project(name: str, made: dict[str, tuple[Path, str]]) -> None:
    root = made[name][0]
    here = (root / "mlruns").as_uri() + "/"
    with closing(database(root)) as connection:
        found = [
            str(row[0])
            for table, column in (
                ("experiments", "artifact_location"),
                ("runs", "artifact_uri"),
                ("logged_models", "artifact_location"),
                ("model_versions", "storage_location"),
            )
            for row in connection.execute(f"select {column} from {table}").fetchall()
        ]
        experiments = {str(row[0]) for row in connection.execute("select experiment_id from logged_models").fetchall()}

    assert [path for path in found if not path.startswith(here)] == []
    assert experiments == {MlflowLog.connect(Paths(root)).experiment_id}
    assert sorted(path.name for path in root.parent.glob("*/mlruns/artifacts/models/*")) != []


def test_the_own_store_given_by_its_address_is_the_own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(Paths(tmp_path)))
    monkeypatch.chdir(tmp_path)
    run = MlflowLog.connect(Paths(tmp_path)).start_run("run", {})
    file = tmp_path / "notes.txt"
    file.write_text("hello", encoding="utf-8")

    run.log_file(file)

    assert [path.name for path in (tmp_path / "mlruns" / "artifacts").rglob("notes.txt")] == ["notes.txt"]


def test_an_experiment_that_somebody_keeps_elsewhere_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "nas" / "mlruns" / "artifacts-of-mine"
    log = MlflowLog.connect(Paths(tmp_path / "project"))
    kept = log._client.create_experiment("mine", elsewhere.as_uri())

    MlflowLog.connect(Paths(tmp_path / "project"))

    assert log._client.get_experiment(kept).artifact_location == elsewhere.as_uri()


def decide(root: Path, model: str, champion: str | None) -> None:
    """What `register` would write of a model and of the champion that there is."""
    file = Paths(root).stage("register") / "decision.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    now = {"model_sha256": champion} if champion else None
    values = {"model_name": NAME, "model_sha256": model, "promoted": model == champion, "reason": "", "champion": now}
    file.write_text(json.dumps(values), encoding="utf-8")


def test_the_check_reads_from_the_database_whether_the_registry_is_as_decided(made: dict[str, tuple[Path, str]], tmp_path: Path) -> None:
    root = made["moved_then_retrained"][0]
    differs = "version 2 is champion, which data/register/decision.json does not say"
    cases = {("2", "2"): "", ("1", "2"): "", ("1", "1"): differs, ("2", None): differs, ("3", "2"): None}
    for (model, champion), expected in cases.items():
        decide(root, model, champion)
        assert registry_problem(Paths(root)) == expected

    decide(tmp_path, "1", "1")
    assert registry_problem(Paths(tmp_path)) is None  # a fresh clone
    decide(root, "2", "2")
    copy = shutil.copytree(root, tmp_path / "copy")
    assert "was made in another folder" in str(registry_problem(Paths(copy)))
    MlflowLog.connect(Paths(copy))
    shutil.rmtree(copy / "mlruns" / "artifacts")
    assert "the files of version 2, the champion, are gone" in str(registry_problem(Paths(copy)))


def test_a_model_whose_files_are_gone_gets_them_back(models: Path, tmp_path: Path) -> None:
    register_champion(tmp_path, models)
    log, champion = champion_of(tmp_path)
    assert log.has_files(champion)
    shutil.rmtree(tmp_path / "mlruns" / "artifacts" / "models")
    assert not log.has_files(champion)

    log.log_model(log.find_runs({"kind": "pipeline"})[0], [tmp_path / "model.keras", models / "spec.json"])

    assert log.has_files(champion)
    assert len(list((tmp_path / "mlruns" / "artifacts" / "models").iterdir())) == 1


def champion_of(root: Path) -> tuple[MlflowLog, ModelVersion]:
    log = MlflowLog.connect(Paths(root))
    registered = log.registered(NAME)
    assert registered is not None
    assert registered.champion is not None
    return log, registered.champion


def test_a_champion_is_asked_by_its_own_code_whatever_todays_does(models: Path, tmp_path: Path) -> None:
    register_champion(tmp_path, models)
    (code,) = (tmp_path / "mlruns" / "artifacts" / "models").glob("*/artifacts/code/pipeline/serving/served_model.py")
    text = code.read_text(encoding="utf-8")
    code.write_text(
        text.replace('"label": [self._class_names[i] for i in best]', '"label": [f"{i} by its own code" for i in best]'), encoding="utf-8"
    )
    image = (models / "image.png").read_bytes()

    log, champion = champion_of(tmp_path)
    answers = list(log.predict(champion, iter([[image, image], [image]])))

    assert [len(batch) for batch in answers] == [2, 1]
    assert all(label.endswith("by its own code") for batch in answers for label in batch)


def test_a_champion_whose_files_are_gone_is_one_line(models: Path, tmp_path: Path) -> None:
    register_champion(tmp_path, models)
    shutil.rmtree(tmp_path / "mlruns" / "artifacts" / "models")

    log, champion = champion_of(tmp_path)
    with pytest.raises(TrackingError, match=r"it's 100% pets ü version 1 cannot be loaded: ") as caught:
        list(log.predict(champion, iter([[b"image"]])))

    assert "\n" not in str(caught.value)
