"""A model becomes champion only through the gate, once, and never from within an experiment; what is written is what is true now."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import TrackingError
from pipeline.params.reader import Config, load_config
from pipeline.paths import Paths
from pipeline.stages import register
from pipeline.tracking.run_log import ModelVersion, Registered
from tests.fakes import FakeTracker

ROOT = Path(__file__).parent.parent
LABELS = ["a"] * 5 + ["b"] * 5


@pytest.fixture(autouse=True)
def no_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)


@pytest.fixture
def config() -> Config:
    return load_config(ROOT / "params.yaml")


def make_workspace(
    root: Path, hits: int = 9, model: str = "weights", test_images: str = "i", classes: tuple[str, ...] = ("a", "b")
) -> Paths:
    """What the stages before `register` leave behind, as far as it looks at them: ten test images, of which the model gets `hits` right."""
    spec = {"dataset_name": "flowers", "dataset_digest": "d1", "class_names": list(classes), "data_counts": {}}
    texts = {
        "ingest/report.json": "{}",
        "ingest/report.html": "",
        "ingest/findings.csv": "",
        "preprocess/spec.json": json.dumps(spec),
        "preprocess/augmented.png": "picture",
        "train/model.keras": model,
        "train/history.csv": "epoch,loss\n1,0.5\n",
        "train/metrics.json": "{}",
        "cross_validate/folds.csv": "fold,images,accuracy,loss\n0,10,0.9,0.3\n",
        "cross_validate/out_of_fold.parquet": "predictions",
        "cross_validate/metrics.json": json.dumps({"cv_accuracy_mean": 0.9, "cv_accuracy_std": 0.01}),
        "evaluate/metrics.json": json.dumps({"test_accuracy": hits / 10}),
        "evaluate/uncertainty.json": json.dumps({"test_accuracy_low": 0.5, "test_accuracy_high": 1.0}),
    }
    for name, text in texts.items():
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / name).write_text(text, encoding="utf-8")
    (root / "params.yaml").write_text("seed: 1\n", encoding="utf-8")
    wrong = {"a": "b", "b": "a"}
    predicted = [label if i < hits else wrong[label] for i, label in enumerate(LABELS)]
    table = {"sha256": [f"{test_images}{i}" for i in range(10)], "label": LABELS, "predicted": predicted}
    pq.write_table(pa.table(table), root / "data" / "evaluate" / "predictions.parquet")
    return Paths(root)


def written(paths: Paths) -> dict[str, object]:
    values: dict[str, object] = json.loads((paths.stage("register") / "decision.json").read_text(encoding="utf-8"))
    return values


def write_test_images(paths: Paths) -> None:
    folder = paths.stage("ingest") / "images.parquet"
    folder.mkdir()
    pq.write_table(pa.table({"bytes": [b"image"] * 11}), folder / "00000.parquet")
    index = {"label": ["a", *LABELS], "split": [None, *["test"] * 10]}  # the first image is left out
    pq.write_table(pa.table(index), paths.stage("ingest") / "index.parquet")


def test_the_first_model_is_registered_under_the_name_of_its_data_and_becomes_champion(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()

    report = register.run(config, make_workspace(tmp_path), tracker)

    assert (report["model"], report["version"], report["promoted"]) == ("flowers", "1", "true")
    assert tracker.champions["flowers"].version == "1"
    assert tracker.versions[0].tags["data_digest"] == "d1"
    assert json.loads(tracker.versions[0].tags["class_names"]) == ["a", "b"]


def test_the_version_and_the_run_are_described_for_people(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path), tracker)

    text = tracker.descriptions["1"]
    assert text.startswith("**Promoted to champion:** accuracy 0.9000; there was no champion before.\n")
    assert "test accuracy **0.9000**, 95 % interval 0.5000 to 1.0000, on 10 images" in text
    assert tracker.runs[0].page in text
    assert tracker.runs[0].description == text
    assert "flowers: a, b" in tracker.descriptions["flowers"]


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
    register.run(config, make_workspace(tmp_path, 9, "good"), tracker)

    report = register.run(config, make_workspace(tmp_path, 8, "worse"), tracker)

    assert (report["version"], report["promoted"]) == ("2", "false")
    assert tracker.champions["flowers"].version == "1"


def test_an_equal_model_does_not_replace_the_champion(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 9, "first"), tracker)

    register.run(config, make_workspace(tmp_path, 9, "equal"), tracker)

    assert tracker.champions["flowers"].version == "1"


def test_a_model_promoted_but_killed_before_the_alias_moved_is_finished(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    paths = make_workspace(tmp_path)
    register.run(config, paths, tracker)
    tracker.champions.clear()
    tracker.model_tags.clear()

    register.run(config, paths, tracker)

    assert tracker.champions["flowers"].version == "1"


def test_a_promotion_that_was_never_carried_out_is_decided_anew_against_todays_champion(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 8, "killed before its alias"), tracker)
    tracker.champions.clear()
    tracker.model_tags.clear()
    register.run(config, make_workspace(tmp_path, 9, "better"), tracker)

    report = register.run(config, make_workspace(tmp_path, 8, "killed before its alias"), tracker)

    assert tracker.champions["flowers"].version == "2"
    assert report["promoted"] == "false"


def test_an_older_model_that_comes_back_says_that_another_is_champion_now(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 8, "old"), tracker)
    register.run(config, make_workspace(tmp_path, 9, "new"), tracker)

    report = register.run(config, paths := make_workspace(tmp_path, 8, "old"), tracker)

    assert tracker.champions["flowers"].version == "2"
    assert report["promoted"] == "false"
    assert written(paths)["promoted"] is False
    assert written(paths)["champion"] == {"model_sha256": tracker.versions[1].tags["model_sha256"]}
    assert written(paths)["reason"] == "accuracy 0.8000 against the champion's 0.9000, on the same images"


def test_an_alias_that_a_person_removed_stays_removed_and_that_is_said(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    paths = make_workspace(tmp_path)
    register.run(config, paths, tracker)
    tracker.champions.clear()

    report = register.run(config, paths, tracker)

    assert tracker.champions == {}
    assert report["promoted"] == "false"
    assert str(report["because"]).endswith("but the alias champion was removed by hand, and that stays")


def test_a_new_model_does_not_bring_back_an_alias_that_was_removed(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 8, "old"), tracker)
    old = tracker.champions.pop("flowers")

    report = register.run(config, paths := make_workspace(tmp_path, 9, "new"), tracker)
    assert tracker.champions == {}
    assert "it passes, but the alias champion, or the version that had it, was removed by hand: set it" in str(report["because"])

    tracker.champions["flowers"] = old  # set again by hand: from now on the gate decides
    register.run(config, paths, tracker)
    assert tracker.champions["flowers"].version == "2"


def test_an_alias_set_by_hand_is_told_as_such(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 9, "good"), tracker)
    register.run(config, paths := make_workspace(tmp_path, 8, "worse"), tracker)
    tracker.champions["flowers"] = tracker.versions[1]

    register.run(config, paths, tracker)

    assert written(paths)["promoted"] is True
    assert str(written(paths)["reason"]).startswith("the alias was set on it by hand; by the gate: accuracy 0.8000 against")


def test_an_experiment_registers_a_candidate_and_moves_no_alias(tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = FakeTracker()
    paths = make_workspace(tmp_path)
    monkeypatch.setenv("DVC_EXP_NAME", "hot-cat")

    report = register.run(config, paths, tracker)

    assert (report["version"], report["promoted"]) == ("1", "false")
    assert tracker.champions == {}
    monkeypatch.delenv("DVC_EXP_NAME")
    assert register.run(config, paths, tracker)["promoted"] == "true"


def test_an_empty_name_is_no_experiment(tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", " ")

    assert register.run(config, make_workspace(tmp_path), FakeTracker())["promoted"] == "true"


def test_a_champion_scored_on_other_images_is_scored_again_on_these(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 9, "old", test_images="i"), tracker)
    tracker.predictors["1"] = lambda images: ["a"] * len(images)
    paths = make_workspace(tmp_path, 7, "new", test_images="j")
    write_test_images(paths)

    report = register.run(config, paths, tracker)

    assert report["promoted"] == "true"
    assert "0.7000 against the champion's 0.5000" in str(report["because"])


def test_a_champion_that_cannot_be_loaded_stops_the_stage_and_nothing_is_registered(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 9, "old", test_images="i"), tracker)
    paths = make_workspace(tmp_path, 10, "new", test_images="j")
    write_test_images(paths)

    with pytest.raises(TrackingError, match=r"champion cannot be scored.*cannot be loaded.*Put its files back"):
        register.run(config, paths, tracker)

    assert (len(tracker.versions), tracker.champions["flowers"].version) == (1, "1")


@pytest.mark.parametrize("method", ["registered", "find_version"])
def test_a_registry_that_cannot_be_read_is_never_taken_for_an_empty_one(tmp_path: Path, config: Config, method: str) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 9, "good"), tracker)

    def fail(*_: object) -> Registered | ModelVersion | None:
        raise TrackingError("503")

    setattr(tracker, method, fail)
    with pytest.raises(TrackingError):
        register.run(config, make_workspace(tmp_path, 8, "worse"), tracker)

    assert (len(tracker.versions), tracker.champions["flowers"].version) == (1, "1")


def test_a_model_without_a_class_of_the_champion_does_not_replace_it(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 8, "old", classes=("a", "b", "fox")), tracker)

    report = register.run(config, paths := make_workspace(tmp_path, 10, "new"), tracker)
    assert report["promoted"] == "false"
    assert "the champion knows fox" in str(report["because"])

    spec = paths.stage("preprocess") / "spec.json"
    spec.write_text(json.dumps({**json.loads(spec.read_text(encoding="utf-8")), "removed_classes": ["fox"]}), encoding="utf-8")
    (paths.stage("train") / "model.keras").write_text("newer", encoding="utf-8")
    report = register.run(config, paths, tracker)
    assert report["promoted"] == "true"
    assert str(report["because"]).endswith("; it no longer knows fox, which the champion knows")


def test_a_version_that_an_older_project_registered_is_decided_anew(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    paths = make_workspace(tmp_path)
    register.run(config, paths, tracker)
    old = {"promoted": True, "reason": "accuracy 0.9000", "champion": None, "experiment": False, "accuracy": 0.9, "test_sha256": "t"}
    tracker.tag_version(tracker.versions[0], {"decision": json.dumps(old)})

    assert register.run(config, paths, tracker)["because"] == "accuracy 0.9000; it is the champion already"


def test_a_model_that_comes_back_is_compared_with_todays_champion_on_todays_images(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 9, "right", test_images="i"), tracker)
    tracker.predictors["1"] = lambda images: ["a"] * len(images)
    write_test_images(paths := make_workspace(tmp_path, 10, "of swapped labels", test_images="j"))
    register.run(config, paths, tracker)
    assert tracker.champions["flowers"].version == "2"
    tracker.predictors["2"] = lambda images: ["b"] * len(images)

    report = register.run(config, make_workspace(tmp_path, 9, "right", test_images="i"), tracker)

    assert tracker.champions["flowers"].version == "1"
    assert "0.9000 against the champion's 0.5000" in str(report["because"])


def test_another_gate_decides_anew(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    strict = config.model_copy(update={"register_": config.register_.model_copy(update={"min_accuracy": 0.95})})
    paths = make_workspace(tmp_path, 9)
    assert register.run(strict, paths, tracker)["promoted"] == "false"

    assert register.run(config, paths, tracker)["promoted"] == "true"


def test_a_champion_on_other_test_images_is_told_with_todays_numbers(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 9, "model", test_images="i"), tracker)

    report = register.run(config, make_workspace(tmp_path, 4, "model", test_images="j"), tracker)

    assert str(report["because"]).startswith("accuracy 0.4000; it is the champion already, though no better than always guessing")
    assert tracker.versions[0].tags["test_accuracy"] == "0.400000"
    assert tracker.champions["flowers"].version == "1"


def test_a_way_back_by_hand_stays(tmp_path: Path, config: Config) -> None:
    tracker = FakeTracker()
    register.run(config, make_workspace(tmp_path, 8, "old"), tracker)
    register.run(config, make_workspace(tmp_path, 9, "new"), tracker)
    tracker.champions["flowers"] = tracker.versions[0]

    for images in ("i", "j"):
        tracker.predictors["1"] = lambda batch: ["a"] * len(batch)
        paths = make_workspace(tmp_path, 9, "new", test_images=images)
        if images == "j":
            write_test_images(paths)
        report = register.run(config, paths, tracker)
        assert tracker.champions["flowers"].version == "1"
        assert str(report["because"]).endswith("but the alias champion was set on another version by hand, and that stays")
