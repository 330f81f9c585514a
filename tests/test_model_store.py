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

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import TrackingError
from pipeline.paths import Paths
from pipeline.registry.local import registry_problem
from pipeline.registry.state import registry_state
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.run_log import ModelVersion
from tests.sample_images import draw

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

NAME = "it's 100% pets ü"
PATH_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
ASK = """
import json, sys
import mlflow, pandas as pd
name, image, *roots = sys.argv[1:]
answers = {}
for root in roots:
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlruns/mlflow.db")
    try:
        model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
        answers[root] = float(model.predict(pd.DataFrame({"image": [open(image, "rb").read()]}))["probabilities"][0]["cat"])
    except Exception as error:
        answers[root] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
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


def write_model(folder: Path, seed: int) -> float:
    """Write model.keras and spec.json; returns the probability of `cat` that the model gives to image.png beside the folder."""
    import keras

    from pipeline.serving.served_model import load

    inputs = keras.Input((8, 8, 1), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    outputs = keras.layers.Dense(2, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(seed=seed))(flat)
    folder.mkdir()
    keras.Model(inputs, outputs).save(folder / "model.keras")
    spec = {"height": 8, "width": 8, "channels": 1, "resize": "pad", "class_names": ["cat", "dog"]}
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    image = (folder.parent / "image.png").read_bytes()
    return float(load(folder).predict(pd.DataFrame({"image": [image]}))["probabilities"][0]["cat"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image, two models for it in the folders `1` and `2`, and what they say of it in expected.json."""
    folder = tmp_path_factory.mktemp("models")
    draw("circle", np.random.default_rng(0)).save(folder / "image.png")
    expected = {seed: write_model(folder / seed, int(seed)) for seed in "12"}
    assert abs(expected["1"] - expected["2"]) > 0.001
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    return folder


def register_champion(root: Path, models: Path, seed: str = "1") -> Path:
    """What `train` and `register` do in the workspace `root`."""
    log = MlflowLog.connect(Paths(root))
    run = log.start_run("run", {"kind": "pipeline"})
    log.log_model(run, [models / seed / "model.keras", models / seed / "spec.json"])
    log.promote(log.register(NAME, run, {"model_sha256": seed}), {"champion": seed})
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


def connected(root: Path) -> Path:
    MlflowLog.connect(Paths(root))
    return root


def made_in_a_sub_folder(base: Path, models: Path) -> Path:
    return base


def moved(base: Path, models: Path) -> Path:
    return connected(base.rename(base.with_name("moved")))


def copied_and_the_original_deleted(base: Path, models: Path) -> Path:
    copy = shutil.copytree(base, base.with_name("copy"))
    shutil.rmtree(base)
    return connected(copy)


def moved_then_retrained(base: Path, models: Path) -> Path:
    root = register_champion(base.rename(base.with_name("moved")), models, "2")
    assert not base.exists()
    return root


def copied_then_retrained(base: Path, models: Path) -> Path:
    copy = shutil.copytree(base, base.with_name("copy"))
    before = sorted(base.rglob("*"))
    register_champion(copy, models, "2")
    assert sorted(base.rglob("*")) == before
    return copy


def first_run_ever_in_an_experiment_then_an_ordinary_one(base: Path, models: Path) -> Path:
    root = base.with_name("fresh")
    workspace = root / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc"
    workspace.mkdir(parents=True)
    with working_in(workspace):
        register_champion(workspace, models)
    shutil.rmtree(root / ".dvc")
    return register_champion(root, models, "2")


def make_old(root: Path, folder: str = "mlruns/0", plain: bool = True) -> None:
    """Turn a store into one of earlier versions: its models in experiment 0, kept in `folder`, recorded as plain paths or URIs."""
    old = root / folder / "models"
    old.parent.mkdir(parents=True)
    (root / "mlruns" / "artifacts" / "models").rename(old)
    before, after = (root / "mlruns" / "artifacts" / "models").as_uri(), str(old) if plain else old.as_uri()
    replace_paths(root, before, after)
    with closing(database(root)) as connection, connection:
        connection.execute("update experiments set artifact_location = ? where experiment_id = 0", (after.removesuffix("/models"),))
        connection.execute("update logged_models set experiment_id = 0")


def old_store_moved(base: Path, models: Path) -> Path:
    make_old(base)
    return moved(base, models)


def old_store_with_uris_moved(base: Path, models: Path) -> Path:
    make_old(base, plain=False)
    return moved(base, models)


def old_store_made_in_a_sub_folder_moved(base: Path, models: Path) -> Path:
    make_old(base, "docs/mlruns/0")
    return moved(base, models)


def old_store_copied_before_its_models_were_made(base: Path, models: Path) -> Path:
    """The copy's models are in the original: they are copied, and the original keeps its own."""
    make_old(base)
    copy = shutil.copytree(base, base.with_name("copy"))
    shutil.rmtree(copy / "mlruns" / "0")
    connected(copy)
    assert len(list((base / "mlruns" / "0" / "models").iterdir())) == 1
    shutil.rmtree(base)
    return copy


CASES: dict[Callable[[Path, Path], Path], str] = {
    made_in_a_sub_folder: "1",
    moved: "1",
    copied_and_the_original_deleted: "1",
    moved_then_retrained: "2",
    copied_then_retrained: "2",
    first_run_ever_in_an_experiment_then_an_ordinary_one: "2",
    old_store_moved: "1",
    old_store_with_uris_moved: "1",
    old_store_made_in_a_sub_folder_moved: "1",
    old_store_copied_before_its_models_were_made: "1",
}
"""What happens to a project, by the model that should be champion in the end."""


@pytest.fixture(scope="module")
def made(registered: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where the project is in the end, for each case."""
    return {
        case.__name__: case(copy_to(tmp_path_factory.mktemp(f"a folder ü {case.__name__}") / "project", registered), models)
        for case in CASES
    }


@pytest.fixture(scope="module")
def answers(made: dict[str, Path], models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the champion of each case says of the image, asked by a process that knows MLflow only."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", ASK, NAME, str(models / "image.png"), *map(str, made.values())],
        cwd=tmp_path_factory.mktemp("elsewhere"), env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return {name: found[str(root)] for name, root in made.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_champion_is_loaded_by_mlflow_alone_and_no_path_of_the_store_leads_out_of_the_project(
    case: Callable[[Path, Path], Path], made: dict[str, Path], answers: dict[str, object], models: Path
) -> None:
    expected = json.loads((models / "expected.json").read_text(encoding="utf-8"))
    assert answers[case.__name__] == pytest.approx(expected[CASES[case]], abs=1e-6)

    root = made[case.__name__]
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

    copy = shutil.copytree(retrained, tmp_path / "copy")
    assert "was made in another folder" in str(registry_problem(decide(copy, "1", "2")))
    connected(copy)
    assert registry_problem(Paths(copy)) == ""


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
    (code,) = (project / "mlruns" / "artifacts" / "models").glob("*/artifacts/code/pipeline/serving/served_model.py")
    code.write_text(OWN_CODE, encoding="utf-8")
    log, champion = champion_of(project)

    answers = list(log.predict(champion, iter([[b"1", b"22"], [b"333"]])))

    assert answers == [[f"{count} bytes seen by its own code" for count in counts] for counts in ((1, 2), (3,))]
