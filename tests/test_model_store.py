"""Where registered models are kept: in the project's own mlruns/, whichever folder created the store and wherever the project goes.

Every case ends with the champion loaded through MLflow alone, in a process that knows nothing of this project, and its prediction compared.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from pipeline.errors import TrackingError
from pipeline.paths import Paths
from pipeline.registry.local import registry_problem
from pipeline.registry.state import registry_state
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.run_log import ModelVersion

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

NAME = "it's 100% pets ü"
PATH_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
STRANGER = """
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
import keras, mlflow, numpy as np, pandas as pd
name, folder = sys.argv[1:]
pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 1), np.uint8)
image = keras.utils.array_to_img(pixels, scale=False)
image.save(f"{folder}/image.png")
expected = {}
for seed in (1, 2):
    inputs = keras.Input((8, 8, 1), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    outputs = keras.layers.Dense(2, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(seed=seed))(flat)
    model = keras.Model(inputs, outputs)
    model.save(f"{folder}/{seed}/model.keras")
    expected[seed] = float(model(pixels[None])[0][0])
print(json.dumps(expected), file=answers, flush=True)
found = {}
for root in json.loads(sys.stdin.readline()):
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlruns/mlflow.db")
    try:
        model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
        frame = pd.DataFrame({"image": [open(f"{folder}/image.png", "rb").read()]})
        found[root] = float(model.predict(frame)["probabilities"][0]["cat"])
    except Exception as error:
        found[root] = f"{type(error).__name__}: {error}"
print(json.dumps(found), file=answers, flush=True)
"""
OWN_CODE = """
import pandas as pd
def _load_pyfunc(path): return Model()
class Model:
    def predict(self, frame): return pd.DataFrame({"label": [f"{len(image)} bytes seen by its own code" for image in frame["image"]]})
print("noise on standard output")
"""


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A process that knows nothing of this project, and its folder: it makes the models, and later loads the champions by MLflow alone."""
    folder = tmp_path_factory.mktemp("models")
    spec = {"height": 8, "width": 8, "channels": 1, "resize": "pad", "class_names": ["cat", "dog"]}
    for seed in "12":
        (folder / seed).mkdir()
        (folder / seed / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    env = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    command = [sys.executable, "-P", "-W", "ignore", "-c", STRANGER, NAME, str(folder)]
    with subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process, folder
        process.kill()


@pytest.fixture(scope="module")
def expected(stranger: tuple["subprocess.Popen[str]", Path]) -> dict[str, float]:
    """What the models 1 and 2 say of the image."""
    assert stranger[0].stdout is not None
    found: dict[str, float] = json.loads(stranger[0].stdout.readline())
    assert abs(found["1"] - found["2"]) > 0.001
    return found


@pytest.fixture(scope="module")
def models(stranger: tuple["subprocess.Popen[str]", Path], expected: dict[str, float]) -> Path:
    """The folder with model and spec in `1` and `2`."""
    return stranger[1]


def register_champion(root: Path, models: Path, seed: str = "1") -> Path:
    """What `train` and `register` do in the workspace `root`."""
    log = MlflowLog.connect(Paths(root))
    run = log.start_run("run", {"kind": "pipeline"})
    log.log_model(run, [models / seed / "model.keras", models / seed / "spec.json"])
    log.set_alias(NAME, "champion", log.register(NAME, run, {"model_sha256": seed}).version)
    run.finish()
    return root


def database(root: Path) -> sqlite3.Connection:
    return sqlite3.connect(root / "mlruns" / "mlflow.db")


def replace_paths(root: Path, before: str, after: str) -> None:
    with closing(database(root)) as connection, connection:
        for table, column in PATH_COLUMNS:
            connection.execute(f"update {table} set {column} = replace({column}, ?, ?)", (before, after))


@pytest.fixture(scope="module")
def registered(empty_store: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the champion 1, made by commands given in its sub-folder docs/."""
    root = Path(shutil.copytree(empty_store, tmp_path_factory.mktemp("registered") / "project"))
    (root / "docs").mkdir()
    with working_in(root / "docs"):
        register_champion(root, models)
        assert list(Path().iterdir()) == []
    return root


def copy_to(root: Path, registered: Path) -> Path:
    """The same project, as if it had been made in `root`."""
    shutil.copytree(registered, root)
    replace_paths(root, registered.as_uri(), root.as_uri())
    return root


@pytest.fixture
def project(registered: Path, tmp_path: Path) -> Path:
    return copy_to(tmp_path / "project", registered)


@contextmanager
def nothing_changes_outside_of(root: Path) -> Iterator[None]:
    before = [path for path in sorted(root.parent.rglob("*")) if not path.is_relative_to(root)]
    yield
    assert [path for path in sorted(root.parent.rglob("*")) if not path.is_relative_to(root)] == before


def connect(root: Path, models: Path) -> Path:
    with nothing_changes_outside_of(root):
        MlflowLog.connect(Paths(root))
    return root


def retrain(root: Path, models: Path) -> Path:
    """A run that makes model 2 the champion."""
    with nothing_changes_outside_of(root):
        return register_champion(root, models, "2")


def move(root: Path, models: Path) -> Path:
    return root.rename(root.with_name("moved"))


def copy(root: Path, models: Path) -> Path:
    return Path(shutil.copytree(root, root.with_name("copy")))


def copy_without_models(root: Path, models: Path) -> Path:
    return Path(shutil.copytree(root, root.with_name("copy"), ignore=lambda folder, _: ["models"] if folder.endswith("/mlruns/0") else []))


def delete_the_original(root: Path, models: Path) -> Path:
    shutil.rmtree(root.with_name("project"))
    return root


def start_anew_in_an_experiment(root: Path, models: Path) -> Path:
    """The first run ever of a project, in the workspace of a DVC experiment, which is deleted at its end."""
    fresh = root.with_name("fresh")
    workspace = fresh / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc"
    workspace.mkdir(parents=True)
    with working_in(workspace):
        register_champion(workspace, models)
    shutil.rmtree(fresh / ".dvc")
    return fresh


def make_old(folder: str = "mlruns/0", plain: bool = True) -> Callable[[Path, Path], Path]:
    """Turn a store into one of earlier versions: its models in experiment 0, kept in `folder`, recorded as plain paths or URIs."""

    def step(root: Path, models: Path) -> Path:
        now, old = root / "mlruns" / "artifacts" / "models", root / folder / "models"
        old.parent.mkdir(parents=True)
        now.rename(old)
        recorded = str(old) if plain else old.as_uri()
        replace_paths(root, now.as_uri(), recorded)
        with closing(database(root)) as connection, connection:
            connection.execute("update experiments set artifact_location = ? where experiment_id = 0", (recorded.removesuffix("/models"),))
            connection.execute("update logged_models set experiment_id = 0")
        return root

    return step


CASES: dict[str, tuple[list[Callable[[Path, Path], Path]], str]] = {
    "made in a sub-folder": ([], "1"),
    "moved": ([move], "1"),
    "copied, the original deleted": ([copy, delete_the_original], "1"),
    "moved, then retrained": ([move, retrain], "2"),
    "copied, then retrained": ([copy, retrain], "2"),
    "first run ever in an experiment, then an ordinary one": ([start_anew_in_an_experiment, retrain], "2"),
    "old store, moved": ([make_old(), move], "1"),
    "old store with URIs, moved": ([make_old(plain=False), move], "1"),
    "old store made in a sub-folder, moved": ([make_old("docs/mlruns/0"), move], "1"),
    "old store copied before its models were made": ([make_old(), copy_without_models, connect, delete_the_original], "1"),
}
"""What happens to a project that has the champion 1, and the model that should be champion in the end."""


@pytest.fixture(scope="module")
def made(registered: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where the project is in the end, for each case."""
    found = {}
    for case, (steps, _) in CASES.items():
        root = copy_to(tmp_path_factory.mktemp("a folder ü") / "project", registered)
        for step in (*steps, connect):
            root = step(root, models)
        found[case] = root
    return found


@pytest.fixture(scope="module")
def answers(made: dict[str, Path], stranger: tuple["subprocess.Popen[str]", Path]) -> dict[str, object]:
    """What the champion of each case says of the image."""
    output, _ = stranger[0].communicate(json.dumps([str(root) for root in made.values()]) + "\n", timeout=300)
    found: dict[str, object] = json.loads(output)
    return {case: found[str(root)] for case, root in made.items()}


@pytest.mark.parametrize("case", CASES)
def test_the_champion_is_loaded_by_mlflow_alone_and_no_path_of_the_store_leads_out_of_the_project(
    case: str, made: dict[str, Path], answers: dict[str, object], expected: dict[str, float]
) -> None:
    assert answers[case] == pytest.approx(expected[CASES[case][1]], abs=1e-6)

    root = made[case]
    with closing(database(root)) as connection:
        found = [str(row[0]) for table, column in PATH_COLUMNS for row in connection.execute(f"select {column} from {table}").fetchall()]
        logged = connection.execute("select artifact_location, experiment_id from logged_models").fetchall()
    assert [path for path in found if not path.startswith((root / "mlruns").as_uri() + "/")] == []
    assert all((Path(unquote(urlsplit(location).path)) / "MLmodel").is_file() for location, _ in logged)
    assert {str(experiment) for _, experiment in logged} == {MlflowLog.connect(Paths(root)).experiment_id}


def decide(root: Path, model: str, champion: str | None) -> Paths:
    """What `register` would write of a model and of the champion that there is."""
    paths = Paths(root)
    now = {"model_sha256": champion} if champion else None
    values = {"model_name": NAME, "model_sha256": model, "promoted": model == champion, "reason": "", "champion": now}
    paths.stage("register").mkdir(parents=True, exist_ok=True)
    (paths.stage("register") / "decision.json").write_text(json.dumps(values), encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def retrained(registered: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose champion is version 2."""
    return register_champion(copy_to(tmp_path_factory.mktemp("retrained") / "project", registered), models, "2")


DIFFERS = "version 2 is champion, which differs from data/register/decision.json"


@pytest.mark.parametrize(
    ("model", "champion", "problem", "state"),
    [
        ("2", "2", "", (True, "2", "champion: ")),
        ("1", "2", "", (True, "1", "not promoted: ")),
        ("1", "1", DIFFERS, (False, "1", "not promoted: ")),
        ("2", None, DIFFERS, (False, "2", "champion: ")),
        ("3", "2", None, (False, None, "the registry does not have this model")),
    ],
)
def test_the_registry_is_compared_with_the_decision(
    retrained: Path, model: str, champion: str | None, problem: str | None, state: tuple[bool, str | None, str]
) -> None:
    paths = decide(retrained, model, champion)

    found = registry_state(paths)

    assert registry_problem(paths) == problem
    assert found is not None
    assert (found.is_current, found.version) == state[:2]
    assert found.verdict.startswith(state[2])
    assert found.verdict.endswith("; champion is version 2") == found.verdict.startswith("not promoted")


def test_a_registry_that_does_not_have_the_model_yet_or_was_made_in_another_folder_is_named(retrained: Path, tmp_path: Path) -> None:
    assert registry_problem(decide(tmp_path / "clone", "1", "1")) is None

    moved = shutil.copytree(retrained, tmp_path / "moved")
    assert "was made in another folder" in str(registry_problem(decide(moved, "1", "2")))
    MlflowLog.connect(Paths(moved))
    assert registry_problem(Paths(moved)) == ""


def champion_of(root: Path) -> tuple[MlflowLog, ModelVersion]:
    log = MlflowLog.connect(Paths(root))
    registered = log.registered(NAME)
    assert registered is not None
    assert registered.champion is not None
    return log, registered.champion


def test_a_champion_without_files_is_named_everywhere_until_it_gets_them_back(empty_store: Path, models: Path, tmp_path: Path) -> None:
    # not a copy of another project: MLflow keeps in memory where the files of a model id are
    project = register_champion(shutil.copytree(empty_store, tmp_path / "project"), models)
    log, champion = champion_of(project)
    (run,) = log.find_runs({"kind": "pipeline"})
    log.register(NAME, run, {"model_sha256": "2"})
    assert log.has_files(champion)

    shutil.rmtree(project / "mlruns" / "artifacts" / "models")

    assert not log.has_files(champion)
    assert registry_problem(decide(project, "2", "1")) == "the files of version 1, the champion, are gone; it cannot be loaded"
    state = registry_state(Paths(project))
    assert state is not None
    assert not state.is_current
    assert "WARNING: the files of version 1 are gone" in state.verdict
    with pytest.raises(TrackingError, match=r"^it's 100% pets ü version 1 cannot be loaded: .*$") as caught:
        list(log.predict(champion, iter([[b"image"]])))
    assert "\n" not in str(caught.value)

    log.log_model(run, [models / "1" / "model.keras", models / "1" / "spec.json"])

    assert log.has_files(champion)
    assert len(list((project / "mlruns" / "artifacts" / "models").iterdir())) == 1


def test_a_champion_is_asked_by_its_own_code_whatever_todays_does(project: Path) -> None:
    (code,) = (project / "mlruns" / "artifacts" / "models").glob("*/artifacts/code/*/serving/served_model.py")
    code.write_text(OWN_CODE, encoding="utf-8")
    log, champion = champion_of(project)

    answers = list(log.predict(champion, iter([[b"1", b"22"], [b"333"]])))

    assert answers == [[f"{count} bytes seen by its own code" for count in counts] for counts in ((1, 2), (3,))]
