"""`cross_validate` predicts each training image with a model that was not trained on it, and logs a run per fold."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.files import read_json, sha256_file, write_json
from pipeline.paths import Paths
from pipeline.stages import cross_validate
from pipeline.tracking.lineage import FOLDS_TAG, read_history
from tests.fakes import FakeTracker
from tests.test_train import COUNT, configure, make_workspace, write_choice


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, FakeTracker]:
    paths, tracker = write_choice(make_workspace(tmp_path_factory.mktemp("validated"))), FakeTracker()
    cross_validate.run(configure(), paths, tracker)
    return paths, tracker


def test_every_image_is_predicted_once(validated: tuple[Paths, FakeTracker]) -> None:
    table = pq.read_table(validated[0].stage("cross_validate") / "out_of_fold.parquet").to_pydict()
    probabilities = np.stack([table["probability dark"], table["probability bright"]], axis=1)

    assert len(table["path"]) == COUNT
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert table["predicted"] == [("dark", "bright")[i] for i in probabilities.argmax(axis=1)]


def test_images_have_the_margin_while_they_were_fitted_to(validated: tuple[Paths, FakeTracker]) -> None:
    table = pq.read_table(validated[0].stage("cross_validate") / "out_of_fold.parquet")

    assert table.schema.field("margin").type == "float"
    assert 0 < table["margin"].null_count < COUNT / 4, "both fits left out 8 of 40 images in each of two epochs"
    assert np.isnan(table["margin"].to_numpy()).sum() == table["margin"].null_count


def test_the_folds_and_their_summary_agree_with_the_predictions(validated: tuple[Paths, FakeTracker]) -> None:
    folder = validated[0].stage("cross_validate")
    table = pq.read_table(folder / "out_of_fold.parquet").to_pandas()
    by_fold = (table["label"] == table["predicted"]).groupby(table["fold"]).mean()
    summary = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))

    assert [row["accuracy"] for row in read_history(folder / "folds.csv")] == pytest.approx(by_fold.tolist(), abs=1e-6)
    assert summary["cv_accuracy_mean"] == pytest.approx(by_fold.mean(), abs=1e-6)
    assert summary["cv_accuracy_std"] == pytest.approx(by_fold.std(ddof=1), abs=1e-6)
    assert set(summary) == {"cv_accuracy_mean", "cv_accuracy_std", "cv_accuracy_low", "cv_accuracy_high"}


def test_each_fold_is_a_run_below_one_parent(validated: tuple[Paths, FakeTracker]) -> None:
    paths, tracker = validated
    parent, *folds = tracker.runs

    assert [run.parent for run in folds] == [parent] * 3
    assert [run.tags["fold"] for run in folds] == ["0", "1", "2"]
    assert {run.status for run in tracker.runs} == {"FINISHED"}
    assert [step for step, _ in folds[0].metrics["learning_rate"]] == [1, 2]
    assert parent.tags[FOLDS_TAG] == sha256_file(paths.stage("cross_validate") / "out_of_fold.parquet")


def test_validating_again_gives_the_same_bytes(tmp_path: Path, validated: tuple[Paths, FakeTracker]) -> None:
    again = write_choice(make_workspace(tmp_path))
    cross_validate.run(configure(), again, FakeTracker())

    for name in ("folds.csv", "out_of_fold.parquet", "metrics.json"):
        assert (again.stage("cross_validate") / name).read_bytes() == (validated[0].stage("cross_validate") / name).read_bytes(), name


def test_a_class_name_keeps_its_last_letter_whatever_it_is(tmp_path: Path) -> None:
    """NumPy's own strings lose NUL characters at their ends."""
    paths = write_choice(make_workspace(tmp_path))
    spec = paths.stage("preprocess") / "spec.json"
    write_json(spec, {**read_json(spec), "class_names": ["dark\0", "bright"]})

    cross_validate.run(configure(), paths, FakeTracker())

    assert set(pq.read_table(paths.stage("cross_validate") / "out_of_fold.parquet")["label"].to_pylist()) == {"dark\0", "bright"}
