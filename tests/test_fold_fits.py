"""Folds are fitted one after the other or in workers, by networks that never see their images."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.arrays import read_training_set
from pipeline.fitting.folds import FoldJob, fit_fold, fit_folds_in_parallel, fold_rows
from pipeline.params.reader import Config
from pipeline.stages import cross_validate
from tests.fakes import FakeTracker
from tests.test_train import configure, make_workspace

FOLDS = np.repeat([0, 1, 2], 20)


def jobs(root: Path, config: Config, workers: int = 1) -> list[FoldJob]:
    images = make_workspace(root).stage("preprocess")
    return [FoldJob(fold, FOLDS, config, images, root / "checkpoints", workers) for fold in range(3)]


def test_a_fold_that_is_done_is_not_fitted_again(tmp_path: Path) -> None:
    job = jobs(tmp_path, configure())[1]
    first = fit_fold(job)
    steps: list[int] = []
    resumed: list[int] = []

    again = fit_fold(job, on_steps=steps.append, on_resume=lambda history: resumed.extend(epoch.epoch for epoch in history))

    assert (again.probabilities == first.probabilities).all()
    assert (steps, resumed) == ([], [1, 2])


def test_early_stopping_watches_images_of_the_other_folds(tmp_path: Path) -> None:
    training = read_training_set(make_workspace(tmp_path).stage("preprocess"))

    rows, watched = fold_rows(training, FOLDS, 1, configure(early_stopping_epochs=2))

    assert len(watched) == 4
    assert sorted([*rows, *watched]) == [*range(20), *range(40, 60)]


def test_without_early_stopping_all_other_folds_are_fitted_to(tmp_path: Path) -> None:
    training = read_training_set(make_workspace(tmp_path).stage("preprocess"))

    rows, watched = fold_rows(training, FOLDS, 1, configure())

    assert [*rows] == [*range(20), *range(40, 60)]
    assert len(watched) == 0


@pytest.mark.timeout(600)
def test_two_workers_give_the_same_predictions_every_time_and_for_every_fold(tmp_path: Path) -> None:
    config = configure()
    first, second = (list(fit_folds_in_parallel(jobs(tmp_path / name, config, workers=2))) for name in ("first", "second"))

    assert [result.fold for result in first] == [0, 1, 2]
    for one, other in zip(first, second, strict=True):
        assert one.probabilities.shape == (20, 2)
        assert (one.probabilities == other.probabilities).all()


def test_folds_in_workers_are_logged_as_those_in_this_process(tmp_path: Path) -> None:
    values = configure().model_dump(by_alias=True)
    values["cross_validate"]["workers"] = 2
    tracker = FakeTracker()

    cross_validate.run(Config.model_validate(values), make_workspace(tmp_path), tracker)

    _, *folds = tracker.runs
    assert [run.tags["fold"] for run in folds] == ["0", "1", "2"]
    assert [step for step, _ in folds[2].metrics["loss"]][:2] == [1, 2]
    assert {run.status for run in tracker.runs} == {"FINISHED"}
