"""Folds are fitted one after the other or in parallel, by networks that never see the fold's images."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.arrays import read_training_set
from pipeline.fitting.folds import FoldJob, fit_fold, fold_rows
from pipeline.fitting.training_data import TrainingData
from pipeline.params.reader import Config
from pipeline.stages import cross_validate
from tests.fakes import FakeTracker
from tests.test_train import CHOICE, configure, make_workspace, write_choice

FOLDS = np.repeat([0, 1, 2], 20)


def test_a_fold_that_is_done_is_not_fitted_again(tmp_path: Path) -> None:
    data = TrainingData(make_workspace(tmp_path).stage("preprocess"), tmp_path / "stage-rows")
    job = FoldJob(1, FOLDS, configure(), CHOICE, data, tmp_path / "checkpoints", workers=1)
    first = fit_fold(job)
    steps: list[int] = []
    resumed: list[int] = []

    again = fit_fold(job, on_steps=steps.append, on_resume=lambda history: resumed.extend(epoch.epoch for epoch in history))

    assert (again.probabilities == first.probabilities).all()
    assert again.margins is not None
    assert first.margins is not None
    assert again.margins.sums.tobytes() == first.margins.sums.tobytes()
    assert not again.margins.counts[FOLDS == 1].any(), "the fold's own images are not fitted to"
    assert (steps, resumed) == ([], [1, 2])


@pytest.mark.parametrize(("early_stopping_epochs", "watched_count"), [(0, 0), (2, 4)])
def test_early_stopping_watches_images_of_the_other_folds(early_stopping_epochs: int, watched_count: int, tmp_path: Path) -> None:
    training = read_training_set(make_workspace(tmp_path).stage("preprocess"))

    rows, watched = fold_rows(training, FOLDS, 1, configure(early_stopping_epochs=early_stopping_epochs))

    assert len(watched) == watched_count
    assert sorted([*rows, *watched]) == [*range(20), *range(40, 60)]


@pytest.mark.timeout(600)
def test_two_workers_give_the_same_bytes_every_time_and_log_every_fold(tmp_path: Path) -> None:
    values = configure().model_dump(by_alias=True)
    values["cross_validate"]["workers"] = 2
    written = []
    for name in ("first", "second"):
        paths, tracker = write_choice(make_workspace(tmp_path / name)), FakeTracker()
        cross_validate.run(Config.model_validate(values), paths, tracker)
        written.append([(paths.stage("cross_validate") / name).read_bytes() for name in ("folds.csv", "out_of_fold.parquet")])

    assert written[0] == written[1]
    _, *folds = tracker.runs
    assert [run.tags["fold"] for run in folds] == ["0", "1", "2"]
    assert [step for step, _ in folds[2].metrics["loss"]][:2] == [1, 2]
    assert {run.status for run in tracker.runs} == {"FINISHED"}
