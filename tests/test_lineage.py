"""One row in the log book is one pipeline run, found by the content of what it produced, with its folds beneath it."""

import contextlib
import json
from pathlib import Path

import pytest

from pipeline.errors import TrackingError
from pipeline.files import sha256_file
from pipeline.fitting.checkpoints import Checkpoints
from pipeline.params.reader import Config, load_config
from pipeline.paths import Paths
from pipeline.tracking.lineage import FIT_TAG, FOLDS_TAG, MODEL_TAG, finishing, open_cross_validation, open_run, pipeline_run, start_fold
from tests.fakes import FakeRun, FakeTracker

ROOT = Path(__file__).parent.parent


@pytest.fixture
def config() -> Config:
    return load_config(ROOT / "params.yaml")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """The files of a finished train and cross_validate, as far as the log book looks at them."""
    spec = {"dataset_name": "flowers", "dataset_digest": "d1", "class_names": ["a", "b"], "data_counts": {"images": 70, "leak": 2}}
    files = {
        "ingest/report.json": "{}",
        "ingest/report.html": "",
        "ingest/findings.csv": "",
        "preprocess/spec.json": json.dumps(spec),
        "preprocess/augmented.png": "picture",
        "train/model.keras": "weights",
        "train/history.csv": "epoch,loss,validation_accuracy\n1,0.5,0.8\n2,0.4,0.9\n",
        "train/metrics.json": json.dumps({"train_loss": 0.4}),
        "cross_validate/folds.csv": "fold,images,accuracy,loss\n0,10,0.9,0.3\n1,10,0.8,0.5\n",
        "cross_validate/out_of_fold.parquet": "predictions",
    }
    for name, text in files.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(text, encoding="utf-8")
    return Paths(tmp_path)


def digests(paths: Paths) -> tuple[str, str]:
    return sha256_file(paths.stage("train") / "model.keras"), sha256_file(paths.stage("cross_validate") / "out_of_fold.parquet")


def cross_validation(tracker: FakeTracker, paths: Paths) -> FakeRun:
    parent = tracker.start_run("cv", {"kind": "cross_validation", FOLDS_TAG: digests(paths)[1]})
    for fold in (0, 1):
        start_fold(tracker, parent, fold, "fit").finish()
    return parent


def test_the_folds_move_beneath_the_training_run_and_their_parent_goes(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    training = tracker.start_run("training", {MODEL_TAG: digests(paths)[0]})
    parent = cross_validation(tracker, paths)

    found = pipeline_run(tracker, paths, config)

    assert found.id == training.id
    assert [child.tags["fold"] for child in tracker.children(found)] == ["0", "1"]
    assert tracker.deleted == [parent]
    assert training.tags[FOLDS_TAG] == digests(paths)[1]


def test_looking_a_run_up_twice_changes_nothing(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    tracker.start_run("training", {MODEL_TAG: digests(paths)[0]})
    cross_validation(tracker, paths)

    first = pipeline_run(tracker, paths, config)
    count = len(tracker.runs)
    second = pipeline_run(tracker, paths, config)

    assert (second.id, len(tracker.runs)) == (first.id, count)


def test_a_fresh_log_book_gets_the_run_from_the_files(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()

    run = pipeline_run(tracker, paths, config)

    restored = next(own for own in tracker.runs if own.id == run.id)
    assert restored.tags["restored"] == "true"
    assert restored.params["train.learning_rate"] == str(config.train.learning_rate)
    assert restored.metrics["loss"] == [(1, 0.5), (2, 0.4)]
    assert restored.metrics["train_loss"] == [(0, 0.4)]
    assert restored.tags[MODEL_TAG] == digests(paths)[0]
    assert [(child.tags["fold"], child.last("fold_accuracy")) for child in tracker.runs if child.parent is restored] == [
        ("0", 0.9),
        ("1", 0.8),
    ]
    assert {own.status for own in tracker.runs} == {"FINISHED"}


def test_a_row_keeps_its_folds_when_the_same_model_is_cross_validated_otherwise(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    earlier = tracker.start_run("training", {MODEL_TAG: digests(paths)[0], FOLDS_TAG: "of another cross-validation"})

    assert pipeline_run(tracker, paths, config).id != earlier.id


def test_folds_that_were_half_moved_when_killed_are_completed(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    training = tracker.start_run("training", {MODEL_TAG: digests(paths)[0]})
    start_fold(tracker, training, 1, "fit").finish()

    pipeline_run(tracker, paths, config)

    assert sorted(child.tags["fold"] for child in tracker.children(training)) == ["0", "1"]


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_ends_as_what_happened_in_it(error: type[BaseException], status: str) -> None:
    run = FakeRun("1", "run", {})

    with pytest.raises(error), finishing(run):
        raise error

    assert run.status == status


def test_an_open_run_names_its_data_and_parameters(config: Config, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "hot-cat")
    tracker = FakeTracker()

    with open_run(tracker, "pipeline", config, paths, {"device": "CPU"}):
        pass

    (run,) = tracker.runs
    assert run.name == "hot-cat"
    assert run.tags.items() >= {"data_digest": "d1", "device": "CPU", "dvc_experiment": "hot-cat", "kind": "pipeline"}.items()
    assert run.datasets[0].digest == "d1"
    assert run.params["data_leak"] == "2"


def test_a_run_that_was_broken_off_goes_on_but_not_with_other_parameters(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    stricter = config.model_copy(update={"register_": config.register_.model_copy(update={"margin": 0.1})})

    for each in (config, config, stricter):
        with pytest.raises(KeyboardInterrupt), open_run(tracker, "pipeline", each, paths, {FIT_TAG: "same"}):
            raise KeyboardInterrupt

    first, second = tracker.runs
    assert (first.params["register.margin"], second.params["register.margin"]) == ("0.0", "0.1")


def open_folds(tracker: FakeTracker, config: Config, paths: Paths, key: str = "key") -> FakeRun:
    """The run that the folds of a cross-validation hang beneath."""
    with Checkpoints.open(paths.scratch, key) as kept, open_cross_validation(tracker, config, paths, {FIT_TAG: key}, kept) as run:
        start_fold(tracker, run, 0, key).finish()
    return next(own for own in tracker.runs if own.id == run.id)


def fitted(tracker: FakeTracker, config: Config, paths: Paths) -> FakeRun:
    """The run of `train` that has made the model."""
    with open_run(tracker, "pipeline", config, paths, {MODEL_TAG: digests(paths)[0]}):
        pass
    return tracker.runs[0]


def test_while_folds_are_fitted_there_is_one_row(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    training = fitted(tracker, config, paths)

    assert open_folds(tracker, config, paths) is training
    assert [(run.name, run.parent) for run in tracker.runs] == [("flowers resnet", None), ("fold 0", training)]
    assert training.status == "FINISHED"


def test_folds_of_other_parameters_get_a_row_of_their_own(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    training = fitted(tracker, config, paths)
    more_folds = config.model_copy(update={"cross_validate": config.cross_validate.model_copy(update={"folds": 7})})

    assert open_folds(tracker, more_folds, paths) is not training


def test_folds_that_an_abandoned_cross_validation_left_go(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    training = fitted(tracker, config, paths)
    abandoned = start_fold(tracker, training, 4, "another fit")

    open_folds(tracker, config, paths)

    assert [run.id for run in tracker.deleted] == [abandoned.id]


def test_a_fold_whose_run_cannot_be_started_is_owed_and_the_fit_goes_on(config: Config, paths: Paths) -> None:
    class Down(FakeTracker):
        def resume_run(self, *args: object, **named: object) -> FakeRun | None:
            raise TrackingError("no route to host")

    tracker = Down()
    parent = tracker.start_run("training", {})

    fold = start_fold(tracker, parent, 0, "fit")
    fold.log_metrics({"loss": 1.0}, step=1)
    fold.finish()

    with pytest.raises(TrackingError, match="no route to host"):
        parent.finish()


def test_a_run_whose_process_was_killed_is_known_by_what_its_fit_has_left(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    with contextlib.suppress(SystemError), Checkpoints.open(paths.scratch, "key") as kept:
        with open_run(tracker, "pipeline", config, paths, {FIT_TAG: "key"}, kept):
            pass
        tracker.runs[0].status = "RUNNING"  # as a machine leaves it that was switched off
        raise SystemError

    with Checkpoints.open(paths.scratch, "key") as kept, open_run(tracker, "pipeline", config, paths, {FIT_TAG: "key"}, kept):
        pass

    assert [run.status for run in tracker.runs] == ["FINISHED"]


def test_a_run_is_named_by_what_differs_from_the_one_before(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    faster = config.model_copy(update={"train": config.train.model_copy(update={"learning_rate": 0.1}), "seed": 2})

    for each in (config, config, faster):
        with open_run(tracker, "pipeline", each, paths):
            pass
    spec = paths.stage("preprocess") / "spec.json"
    spec.write_text(spec.read_text(encoding="utf-8").replace("d1", "d2"), encoding="utf-8")
    with open_run(tracker, "pipeline", faster, paths):
        pass

    names = [run.name for run in tracker.runs]
    assert names == ["flowers resnet", "flowers resnet", "flowers resnet: seed 2, train.learning_rate 0.1", "flowers resnet: other images"]


def test_what_does_not_change_is_no_metric(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    with open_run(tracker, "pipeline", config, paths):
        pass

    assert tracker.runs[0].metrics == {}
    assert tracker.runs[0].params["data_images"] == "70"
