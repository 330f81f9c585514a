"""One row in the tracker is one pipeline run, found by the content of what it produced, with its folds below it."""

import contextlib
from pathlib import Path

import pytest

from pipeline.errors import TrackingError
from pipeline.files import sha256_file
from pipeline.fitting.checkpoints import Checkpoints
from pipeline.params.reader import Config
from pipeline.paths import Paths
from pipeline.tracking.lineage import FIT_TAG, FOLDS_TAG, MODEL_TAG, finishing, open_cross_validation, open_run, pipeline_run, start_fold
from tests.fakes import FakeRun, FakeTracker
from tests.finished_stages import write_finished_stages
from tests.fit_settings import parameters

CONFIG = parameters(model={"name": "resnet"})


def changed(section: str, **values: object) -> Config:
    return CONFIG.model_copy(update={section: getattr(CONFIG, section).model_copy(update=values)})


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return write_finished_stages(tmp_path)


@pytest.fixture
def tracker() -> FakeTracker:
    return FakeTracker()


def digests(paths: Paths) -> tuple[str, str]:
    return sha256_file(paths.stage("train") / "model.keras"), sha256_file(paths.stage("cross_validate") / "out_of_fold.parquet")


def folds_of(tracker: FakeTracker, run: FakeRun) -> list[str]:
    return sorted(child.tags["fold"] for child in tracker.children(run))


def test_the_folds_move_below_the_training_run_once_and_their_parent_is_deleted(tracker: FakeTracker, paths: Paths) -> None:
    training = tracker.start_run("training", {MODEL_TAG: digests(paths)[0]})
    parent = tracker.start_run("cv", {"kind": "cross_validation", FOLDS_TAG: digests(paths)[1]})
    for fold in (0, 1):
        start_fold(tracker, parent, fold, "fit").finish()

    for _ in ("looked up", "looked up again"):
        assert pipeline_run(tracker, paths, CONFIG).id == training.id
        assert folds_of(tracker, training) == ["0", "1"]
        assert (len(tracker.runs), tracker.deleted) == (3, [parent])
        assert training.tags[FOLDS_TAG] == digests(paths)[1]


def test_a_fresh_tracker_gets_the_run_from_the_files(tracker: FakeTracker, paths: Paths) -> None:
    run = pipeline_run(tracker, paths, CONFIG)

    restored, *folds = tracker.runs
    assert run.id == restored.id
    assert restored.tags.items() >= {"restored": "true", MODEL_TAG: digests(paths)[0]}.items()
    assert restored.params["train.learning_rate"] == str(CONFIG.train.learning_rate)
    assert restored.metrics == {"loss": [(1, 0.5), (2, 0.4)], "val_accuracy": [(1, 0.8), (2, 0.9)], "train_loss": [(0, 0.4)]}
    assert [(fold.parent, fold.tags["fold"], fold.last("fold_accuracy")) for fold in folds] == [(restored, "0", 0.9), (restored, "1", 0.8)]
    assert {own.status for own in tracker.runs} == {"FINISHED"}


def test_a_row_keeps_its_folds_when_the_same_model_is_cross_validated_otherwise(tracker: FakeTracker, paths: Paths) -> None:
    earlier = tracker.start_run("training", {MODEL_TAG: digests(paths)[0], FOLDS_TAG: "of another cross-validation"})

    assert pipeline_run(tracker, paths, CONFIG).id != earlier.id


def test_folds_of_which_some_had_moved_at_a_kill_are_completed(tracker: FakeTracker, paths: Paths) -> None:
    training = tracker.start_run("training", {MODEL_TAG: digests(paths)[0]})
    start_fold(tracker, training, 1, "fit").finish()

    pipeline_run(tracker, paths, CONFIG)

    assert folds_of(tracker, training) == ["0", "1"]


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_ends_with_the_status_of_its_block(error: type[BaseException], status: str) -> None:
    run = FakeRun("1", "run", {})

    with pytest.raises(error), finishing(run):
        raise error

    assert run.status == status


def test_an_open_run_names_its_data_and_parameters_and_constants_are_no_metrics(
    tracker: FakeTracker, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "hot-cat")

    with open_run(tracker, "pipeline", CONFIG, paths, {"device": "CPU"}) as run:
        pass

    assert isinstance(run, FakeRun)
    assert run.name == "hot-cat"
    assert run.tags.items() >= {"data_digest": "d1", "device": "CPU", "dvc_experiment": "hot-cat", "kind": "pipeline"}.items()
    assert run.datasets[0].digest == "d1"
    assert run.params.items() >= {"data_images": "70", "data_leak": "2"}.items()
    assert run.metrics == {}


def test_an_interrupted_run_is_resumed_but_not_with_other_parameters(tracker: FakeTracker, paths: Paths) -> None:
    for config in (CONFIG, CONFIG, changed("register_", margin=0.1)):
        with pytest.raises(KeyboardInterrupt), open_run(tracker, "pipeline", config, paths, {FIT_TAG: "same"}):
            raise KeyboardInterrupt

    assert [run.params["register.margin"] for run in tracker.runs] == ["auto", "0.1"]


def open_folds(tracker: FakeTracker, config: Config, paths: Paths) -> FakeRun:
    """The run that the folds of a cross-validation are nested below."""
    with Checkpoints.open(paths.scratch, "key") as kept, open_cross_validation(tracker, config, paths, {FIT_TAG: "key"}, kept) as run:
        start_fold(tracker, run, 0, "key").finish()
    return next(own for own in tracker.runs if own.id == run.id)


def fitted(tracker: FakeTracker, paths: Paths) -> FakeRun:
    """The run of `train` that produced the model."""
    with open_run(tracker, "pipeline", CONFIG, paths, {MODEL_TAG: digests(paths)[0]}):
        pass
    return tracker.runs[0]


def test_folds_are_fitted_in_the_row_of_their_training_and_those_of_an_abandoned_fit_are_deleted(
    tracker: FakeTracker, paths: Paths
) -> None:
    training = fitted(tracker, paths)
    abandoned = start_fold(tracker, training, 4, "another fit")

    assert open_folds(tracker, CONFIG, paths) is training
    assert [(run.name, run.parent) for run in tracker.runs] == [("flowers resnet", None), ("fold 0", training)]
    assert [run.id for run in tracker.deleted] == [abandoned.id]
    assert training.status == "FINISHED"


def test_folds_of_other_parameters_get_a_row_of_their_own(tracker: FakeTracker, paths: Paths) -> None:
    training = fitted(tracker, paths)

    assert open_folds(tracker, changed("cross_validate", folds=7), paths) is not training


def test_a_fold_whose_run_cannot_be_started_is_owed_and_the_fit_goes_on(tracker: FakeTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> FakeRun | None:
        raise TrackingError("no route to host")

    monkeypatch.setattr(tracker, "resume_run", fail)
    parent = tracker.start_run("training", {})

    fold = start_fold(tracker, parent, 0, "fit")
    fold.log_metrics({"loss": 1.0}, step=1)
    fold.finish()

    with pytest.raises(TrackingError, match="no route to host"):
        parent.finish()


def test_a_run_whose_process_was_killed_is_known_by_what_its_fit_has_left(tracker: FakeTracker, paths: Paths) -> None:
    with contextlib.suppress(SystemError), Checkpoints.open(paths.scratch, "key") as kept:
        with open_run(tracker, "pipeline", CONFIG, paths, {FIT_TAG: "key"}, kept):
            pass
        tracker.runs[0].status = "RUNNING"  # as a machine leaves it that was switched off
        raise SystemError

    with Checkpoints.open(paths.scratch, "key") as kept, open_run(tracker, "pipeline", CONFIG, paths, {FIT_TAG: "key"}, kept):
        pass

    assert [run.status for run in tracker.runs] == ["FINISHED"]


def test_a_run_is_named_by_what_differs_from_the_one_before(tracker: FakeTracker, paths: Paths) -> None:
    faster = changed("train", learning_rate=0.1).model_copy(update={"seed": 2})
    many = changed("augment", hue=0.1, shear_degrees=9.0, contrast=0.2, zoom_fraction=0.3)

    for config in (CONFIG, CONFIG, faster, many):
        with open_run(tracker, "pipeline", config, paths):
            pass
    spec = paths.stage("preprocess") / "spec.json"
    spec.write_text(spec.read_text(encoding="utf-8").replace("d1", "d2"), encoding="utf-8")
    with open_run(tracker, "pipeline", many, paths):
        pass

    assert [run.name for run in tracker.runs] == [
        "flowers resnet",
        "flowers resnet",
        "seed 2, train.learning_rate 0.1 (flowers resnet)",
        "seed 1, augment.shear_degrees 9.0, augment.zoom_fraction 0.3, 3 more (flowers resnet)",
        "other images (flowers resnet)",
    ]
