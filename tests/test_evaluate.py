import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import StageError
from pipeline.params.reader import Config, load_config
from pipeline.paths import Paths
from pipeline.reports.evaluation_page import class_rows, doubted_labels
from pipeline.stages import evaluate
from pipeline.stages.evaluate import rounded
from pipeline.tracking.lineage import MODEL_TAG
from tests.fakes import FakeRun, FakeTracker

CLASS_NAMES = ["path", "<b>", "owl", "eel"]  # a class may have the name of a column
LABELS = np.array([0, 0, 1, 0, 2], np.int32)
PROBABILITIES = np.array(
    [[0.7, 0.1, 0.1, 0.1], [0.5, 0.3, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1], [0.1, 0.8, 0.06, 0.04], [0.05, 0.02, 0.9, 0.03]], np.float32
)
MODEL = b"a kept model"
OUTPUTS = [
    "confusion_matrix.png",
    "metrics.json",
    "per_class.csv",
    "predictions.parquet",
    "reliability.png",
    "report.html",
    "uncertainty.json",
]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A workspace with all that evaluate reads: five test images, four classes, two folds."""
    write_test_split(tmp_path / "data" / "preprocess")
    write_fit(tmp_path / "data" / "train")
    write_folds(tmp_path / "data" / "cross_validate")
    return Paths(tmp_path)


@pytest.fixture
def config() -> Config:
    return load_config(Path(__file__).parent.parent / "params.yaml")


def write_test_split(folder: Path) -> None:
    (folder / "test").mkdir(parents=True)
    images = np.arange(5 * 8 * 6, dtype=np.uint8).reshape(5, 8, 6, 1)
    np.save(folder / "test" / "images.npy", images)
    np.save(folder / "test" / "labels.npy", LABELS)
    index = {"path": [f"test/{i}.png" for i in range(5)], "sha256": [f"{i:064x}" for i in range(5)]}
    pq.write_table(pa.table(index), folder / "test" / "index.parquet")
    spec = {"height": 8, "width": 6, "channels": 1, "resize": "pad", "class_names": CLASS_NAMES}
    described = {"dataset_name": "animals", "dataset_digest": "0123", "source": "my/animals"}
    (folder / "spec.json").write_text(json.dumps(spec | described), encoding="utf-8")


def write_fit(folder: Path) -> None:
    folder.mkdir()
    (folder / "model.keras").write_bytes(MODEL)
    (folder / "history.csv").write_text(
        "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate\n1,1.2,0.6,1.0,0.7,0.3\n2,0.8,0.8,0.7,0.75,0.1\n",
        encoding="utf-8",
    )


def write_folds(folder: Path) -> None:
    folder.mkdir()
    (folder / "folds.csv").write_text("fold,images,accuracy,loss\n0,2,0.5,0.9\n1,2,1.0,0.2\n", encoding="utf-8")
    pq.write_table(out_of_fold(), folder / "out_of_fold.parquet")
    summary = {"cv_accuracy_mean": 0.75, "cv_accuracy_std": 0.353553, "cv_accuracy_low": 0.0, "cv_accuracy_high": 1.0}
    (folder / "metrics.json").write_text(json.dumps(summary), encoding="utf-8")


def out_of_fold() -> pa.Table:
    columns = {
        "path": ["train/a.png", "train/b.png", "train/c.png"],
        "sha256": ["a", "b", "c"],
        "fold": [0, 1, 1],
        "label": ["owl", "owl", "eel"],
        "predicted": ["owl", "eel", "owl"],
    }
    return pa.table(columns | {"probability owl": [0.9, 0.3, 0.8], "probability eel": [0.1, 0.7, 0.2]})


def predict_as_told(model: Path, images: np.ndarray) -> np.ndarray:
    assert model.read_bytes() == MODEL
    assert images.shape == (5, 8, 6, 1)
    return PROBABILITIES


def run_stage(config: Config, paths: Paths) -> FakeRun:
    """Evaluate; the run that `train` would have left in the log book."""
    tracker = FakeTracker()
    run = tracker.start_run("fit", {MODEL_TAG: hashlib.sha256(MODEL).hexdigest()})
    evaluate.run(config, paths, tracker, predict_images=predict_as_told)
    return run


def test_it_writes_its_outs_and_nothing_else(config: Config, paths: Paths) -> None:
    run_stage(config, paths)
    assert sorted(file.name for file in paths.stage("evaluate").iterdir()) == OUTPUTS
    assert paths.stage("evaluate").joinpath("confusion_matrix.png").read_bytes().startswith(b"\x89PNG")


def test_metrics_json_has_flat_numbers_first_and_six_decimals(config: Config, paths: Paths) -> None:
    run_stage(config, paths)
    found = json.loads(paths.stage("evaluate").joinpath("metrics.json").read_text(encoding="utf-8"))
    assert found["test_accuracy"] == 0.8  # four of five
    assert found["test_top_3_accuracy"] == 1.0
    assert found["test_macro_f1"] == 0.822222  # (0.8 + 2/3 + 1) / 3, eel occurring nowhere
    assert next(iter(found)) == "test_accuracy"
    assert all(name.startswith("test_") and isinstance(value, float) for name, value in found.items())


def test_numbers_per_class_are_a_table_of_their_own(config: Config, paths: Paths) -> None:
    run_stage(config, paths)
    lines = paths.stage("evaluate").joinpath("per_class.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "class,precision,recall,f1,support"
    assert lines[-1] == "eel,0.0,0.0,0.0,0"
    assert len(lines) == 5


def test_the_accuracy_comes_before_the_name_of_the_run_once(config: Config, paths: Paths) -> None:
    tracker = FakeTracker()
    run = tracker.start_run("animals resnet", {MODEL_TAG: hashlib.sha256(MODEL).hexdigest(), "name": "animals resnet"})
    for _ in range(2):
        evaluate.run(config, paths, tracker, predict_images=predict_as_told)
    assert run.name == "80.0% animals resnet"


def test_a_collapsed_model_is_warned_of_on_the_page_and_in_the_terminal(
    config: Config, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = FakeTracker()
    tracker.start_run("fit", {MODEL_TAG: hashlib.sha256(MODEL).hexdigest()})
    always_path = np.tile(np.array([0.7, 0.1, 0.1, 0.1], np.float32), (5, 1))

    evaluate.run(config, paths, tracker, predict_images=lambda model, images: always_path)

    html = paths.stage("evaluate").joinpath("report.html").read_text(encoding="utf-8")
    assert "No better than always guessing path, which is right for 3 of 5 test images." in html
    assert "Never predicted: &lt;b&gt; (1 test image), owl (1 test image)." in html
    assert "warning: Never predicted: <b> (1 test image), owl (1 test image)." in capsys.readouterr().err


def test_predictions_name_the_classes(config: Config, paths: Paths) -> None:
    run_stage(config, paths)
    table = pq.read_table(paths.stage("evaluate") / "predictions.parquet")
    assert table.column_names[:5] == ["path", "sha256", "label", "predicted", "probability"]
    assert table["path"].to_pylist() == [f"test/{i}.png" for i in range(5)]
    assert table["label"].to_pylist() == ["path", "path", "<b>", "path", "owl"]
    assert table["predicted"].to_pylist() == ["path", "path", "<b>", "<b>", "owl"]
    assert table["probability"].to_pylist() == pytest.approx([0.7, 0.5, 0.6, 0.8, 0.9])
    assert table["probability <b>"].to_pylist() == pytest.approx([0.1, 0.3, 0.6, 0.8, 0.02])


def test_the_report_shows_the_mistake_and_the_doubted_labels(config: Config, paths: Paths) -> None:
    run_stage(config, paths)
    html = paths.stage("evaluate").joinpath("report.html").read_text(encoding="utf-8")
    assert "Test image test/3.png, path, predicted as &lt;b&gt;" in html
    assert "train/c.png" in html
    assert "train/a.png" not in html
    assert str(paths.root) not in html


def test_the_run_that_made_the_model_gets_numbers_and_files(config: Config, paths: Paths) -> None:
    run = run_stage(config, paths)
    assert run.last("test_accuracy") == 0.8
    assert run.last("test_top_3_accuracy") == 1.0
    assert run.last("cv_accuracy_mean") == 0.75
    assert run.last("cv_accuracy_std") == 0.353553
    assert sorted(path for path in run.files if path.startswith("evaluate/")) == [f"evaluate/{name}" for name in OUTPUTS]


def test_the_same_inputs_give_the_same_bytes(config: Config, paths: Paths) -> None:
    run_stage(config, paths)
    before = {file.name: file.read_bytes() for file in paths.stage("evaluate").iterdir()}
    run_stage(config, paths)
    assert {file.name: file.read_bytes() for file in paths.stage("evaluate").iterdir()} == before


def test_a_model_of_other_classes_is_refused(config: Config, paths: Paths) -> None:
    with pytest.raises(StageError, match=r"shape \(5, 3\), expected \(5, 4\).*dvc repro"):
        evaluate.run(config, paths, FakeTracker(), predict_images=lambda model, images: PROBABILITIES[:, :3])
    assert not paths.stage("evaluate").exists()


def test_doubted_labels_come_surest_first_and_only_where_the_label_is_contradicted() -> None:
    found = doubted_labels(out_of_fold())
    assert [(doubt.path, doubt.label, doubt.predicted, doubt.probability) for doubt in found] == [
        ("train/c.png", "eel", "owl", 0.8),
        ("train/b.png", "owl", "eel", 0.7),
    ]


def test_no_label_is_doubted_where_all_are_predicted() -> None:
    assert doubted_labels(out_of_fold().slice(0, 1)) == []


def test_classes_come_weakest_first_and_absent_ones_last() -> None:
    numbers = {"precision": 1.0, "recall": 1.0}
    per_class = {
        "a": {**numbers, "f1": 0.9, "support": 9},
        "b": {**numbers, "f1": 0.0, "support": 0},
        "c": {**numbers, "f1": 0.5, "support": 4},
    }
    rows = class_rows(per_class, np.array([[6, 1, 2], [0, 0, 0], [1, 0, 3]]))
    assert [(row.name, row.taken_for, row.taken_for_share) for row in rows] == [("c", "a", 0.25), ("a", "c", 2 / 9), ("b", "", 0.0)]


def test_rounding_reaches_nested_numbers() -> None:
    assert rounded({"images": 3, "accuracy": 2 / 3, "per_class": {"a": {"f1": 1 / 3}}}) == {
        "images": 3,
        "accuracy": 0.666667,
        "per_class": {"a": {"f1": 0.333333}},
    }
