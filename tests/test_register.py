"""A model becomes champion only through the gate, once, and never from within an experiment."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Config, Register, load_config
from pipeline.errors import TrackingError
from pipeline.paths import Paths
from pipeline.stages import register
from pipeline.stores.run_log import ModelVersion, Predictor
from tests.fakes import FakeTracker

ROOT = Path(__file__).parent.parent
OPEN_GATE = Register(model_name="auto", min_accuracy=0.0, margin=0.0)


@pytest.fixture(autouse=True)
def no_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)


@pytest.fixture
def config() -> Config:
    return load_config(ROOT / "params.yaml")


def make_workspace(root: Path, accuracy: float = 0.9, model: str = "weights", test_image: str = "i1") -> Paths:
    """What the stages before `register` leave behind, as far as it looks at them."""
    texts = {
        "ingest/report.json": "{}",
        "ingest/report.html": "",
        "ingest/findings.csv": "",
        "preprocess/spec.json": json.dumps(
            {"dataset_name": "flowers", "dataset_digest": "d1", "class_names": ["a", "b"], "data_counts": {}}
        ),
        "preprocess/augmented.png": "picture",
        "train/model.keras": model,
        "train/history.csv": "epoch,loss\n1,0.5\n",
        "train/metrics.json": "{}",
        "train/curves.png": "picture",
        "cross_validate/folds.csv": "fold,images,accuracy,loss\n0,10,0.9,0.3\n",
        "cross_validate/out_of_fold.parquet": "predictions",
        "cross_validate/metrics.json": json.dumps({"accuracy_mean": 0.9, "accuracy_std": 0.01}),
        "evaluate/metrics.json": json.dumps({"accuracy": accuracy, "per_class": {"a": {"support": 5}, "b": {"support": 5}}}),
    }
    for name, text in texts.items():
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / name).write_text(text, encoding="utf-8")
    pq.write_table(pa.table({"sha256": [test_image], "label": ["a"]}), root / "data" / "evaluate" / "predictions.parquet")
    return Paths(root)


def decision(paths: Paths) -> dict[str, object]:
    values: dict[str, object] = json.loads((paths.stage("register") / "decision.json").read_text(encoding="utf-8"))
    return values


@pytest.mark.parametrize(
    ("accuracy", "champion", "gate", "promoted"),
    [
        (0.90, None, OPEN_GATE, True),
        (0.50, None, OPEN_GATE, False),  # as good as always guessing the commonest class
        (0.90, None, Register(model_name="auto", min_accuracy=0.95, margin=0.0), False),
        (0.89, 0.90, OPEN_GATE, False),
        (0.90, 0.90, OPEN_GATE, True),
        (0.905, 0.90, Register(model_name="auto", min_accuracy=0.0, margin=0.01), False),
        (0.92, 0.90, Register(model_name="auto", min_accuracy=0.0, margin=0.01), True),
    ],
)
def test_the_gate(accuracy: float, champion: float | None, gate: Register, promoted: bool) -> None:
    passed, reason = register.pass_gate(accuracy, champion, 0.5, gate)

    assert passed is promoted
    assert f"{accuracy:.4f}" in reason


def test_the_first_model_is_registered_under_the_name_of_its_data_and_becomes_champion(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()

    report = register.run(config, make_workspace(tmp_path), tracker)

    assert (report["model"], report["version"], report["promoted"]) == ("flowers", "1", "true")
    assert tracker.champions["flowers"].version == "1"
    assert tracker.versions[0].tags["data_digest"] == "d1"


def test_registering_the_same_model_again_changes_nothing(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    paths = make_workspace(tmp_path)
    register.run(config, paths, tracker)
    first = (paths.stage("register") / "decision.json").read_bytes()

    register.run(config, paths, tracker)

    assert len(tracker.versions) == 1
    assert (paths.stage("register") / "decision.json").read_bytes() == first


def test_a_worse_model_is_registered_but_not_promoted(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 0.9, "good"), tracker)

    report = register.run(config, make_workspace(tmp_path, 0.8, "worse"), tracker)

    assert (report["version"], report["promoted"]) == ("2", "false")
    assert tracker.champions["flowers"].version == "1"


def test_a_model_promoted_but_killed_before_the_alias_moved_is_finished(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    paths = make_workspace(tmp_path)
    register.run(config, paths, tracker)
    tracker.champions.clear()
    tracker.versions[0] = replace(
        tracker.versions[0], tags={k: v for k, v in tracker.versions[0].tags.items() if k != "champion_since_decision"}
    )

    register.run(config, paths, tracker)

    assert tracker.champions["flowers"].version == "1"


def test_an_older_model_that_comes_back_does_not_take_the_alias_from_its_successor(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 0.8, "old"), tracker)
    register.run(config, make_workspace(tmp_path, 0.9, "new"), tracker)

    register.run(config, make_workspace(tmp_path, 0.8, "old"), tracker)

    assert tracker.champions["flowers"].version == "2"


def test_an_experiment_registers_a_candidate_and_moves_no_alias(tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = FakeTracker()
    paths = make_workspace(tmp_path)
    monkeypatch.setenv("DVC_EXP_NAME", "hot-cat")

    report = register.run(config, paths, tracker)

    assert (report["version"], report["promoted"]) == ("1", "false")
    assert tracker.champions == {}
    monkeypatch.delenv("DVC_EXP_NAME")
    assert register.run(config, paths, tracker)["promoted"] == "true"


class ScoresChampion(FakeTracker):
    """A registry whose champion can be asked, and always answers `a`."""

    def load_predictor(self, version: ModelVersion) -> Predictor:
        return lambda images: ["a"] * len(images)


class LostChampion(FakeTracker):
    """A registry whose champion's files are gone."""

    def load_predictor(self, version: ModelVersion) -> Predictor:
        raise TrackingError("flowers version 1 cannot be loaded: no such file")


def write_test_images(paths: Paths, labels: list[str]) -> None:
    folder = paths.stage("ingest") / "images.parquet"
    folder.mkdir()
    count = len(labels) + 1
    pq.write_table(pa.table({"bytes": [b"image"] * count}), folder / "00000.parquet")
    index = {"label": ["a", *labels], "split": [None, *["test"] * len(labels)]}  # the first image is left out
    pq.write_table(pa.table(index), paths.stage("ingest") / "index.parquet")


def test_a_champion_scored_on_other_images_is_scored_again_on_these(tmp_path: Path, config: Config) -> None:
    tracker = ScoresChampion()
    register.run(config, make_workspace(tmp_path, 0.9, "old", test_image="i1"), tracker)
    paths = make_workspace(tmp_path, 0.7, "new", test_image="i2")
    write_test_images(paths, ["a", "a", "b", "b", "b"])

    report = register.run(config, paths, tracker)

    assert report["promoted"] == "true"
    assert "0.7000 against the champion's 0.4000" in str(decision(paths)["reason"])


def test_a_champion_that_cannot_be_loaded_is_not_replaced_blindly(tmp_path: Path, config: Config) -> None:
    tracker = LostChampion()
    register.run(config, make_workspace(tmp_path, 0.9, "old", test_image="i1"), tracker)
    paths = make_workspace(tmp_path, 0.99, "new", test_image="i2")

    assert register.run(config, paths, tracker)["promoted"] == "false"
    assert "cannot be loaded" in str(decision(paths)["reason"])
