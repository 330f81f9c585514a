import contextlib
import csv
import hashlib
import io
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.certainty.calibration import Calibration
from pipeline.certainty.measured import measure
from pipeline.errors import StageError
from pipeline.evaluation.proportion import wilson_interval
from pipeline.labels.verdict import Verdict
from pipeline.labels.verdict_file import add_verdict
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.reports.evaluation_page import class_intervals, class_rows
from pipeline.reports.evaluation_tables import per_class_csv, rounded
from pipeline.stages import evaluate
from pipeline.stages.evaluate import OUTPUTS
from pipeline.tracking.lineage import MODEL_TAG
from tests.fakes import FakeRun, FakeTracker
from tests.odd_names import ODD_NAMES

CONFIG = load_config(Path(__file__).parent.parent / "params.yaml")
CLASS_NAMES = ["path", "<b>", "owl", "eel"]  # a class may have the name of a column
LABELS = np.array([0, 0, 1, 0, 2], np.int32)
PROBABILITIES = np.array(
    [[0.7, 0.1, 0.1, 0.1], [0.5, 0.3, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1], [0.1, 0.8, 0.06, 0.04], [0.05, 0.02, 0.9, 0.03]], np.float32
)
MODEL = b"a kept model"


CHOSEN = {"method": "resnet, fitted to images", "reason": "the images are small", "epochs": 7}


def create_workspace(root: Path, folds_said: pa.Table | None = None) -> Paths:
    """A workspace with all that evaluate reads: five test images, four classes, two folds, which have said of the training images what is given."""
    said = out_of_fold() if folds_said is None else folds_said
    preprocessed, train, folds = (root / "data" / name for name in ("preprocess", "train", "cross_validate"))
    for folder in (preprocessed / "test", preprocessed / "train", train, folds):
        folder.mkdir(parents=True)
    np.save(preprocessed / "train" / "groups.npy", np.array([3, *range(100, 99 + len(said))], np.int32))
    np.save(preprocessed / "train" / "images.npy", np.zeros((len(said), 8, 6, 1), np.uint8))
    np.save(preprocessed / "train" / "labels.npy", np.array([CLASS_NAMES.index(name) for name in said["label"].to_pylist()], np.int32))
    np.save(preprocessed / "train" / "validation.npy", np.zeros(len(said), bool))
    np.save(preprocessed / "train" / "embeddings.npy", np.empty((0, 2, 1280), np.float32))
    pq.write_table(said.select(["path", "sha256", "fold"]), preprocessed / "train" / "index.parquet")
    np.save(preprocessed / "test" / "images.npy", np.arange(5 * 8 * 6, dtype=np.uint8).reshape(5, 8, 6, 1))
    np.save(preprocessed / "test" / "labels.npy", LABELS)
    np.save(preprocessed / "test" / "groups.npy", np.array([3, 4, 5, 6, 7], np.int32))
    index = {"path": [f"test/{i}.png" for i in range(5)], "sha256": [f"{i:064x}" for i in range(5)]}
    pq.write_table(pa.table(index), preprocessed / "test" / "index.parquet")
    ingested = {
        **index,
        "label": [CLASS_NAMES[k] for k in LABELS],
        "width": [6] * 5,
        "height": [8] * 5,
        "mode": ["L"] * 5,
        "split": ["test"] * 5,
    }
    (root / "data" / "ingest").mkdir()
    pq.write_table(pa.table(ingested), root / "data" / "ingest" / "index.parquet")
    pq.write_table(pa.table({"brightness": np.arange(5, dtype=np.float32)}), root / "data" / "ingest" / "properties.parquet")
    spec = {"class_names": CLASS_NAMES, "dataset_name": "animals", "dataset_digest": "0123", "source": "my/animals", "networks": ["resnet"]}
    (preprocessed / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    (train / "model.keras").write_bytes(MODEL)
    (train / "choice.json").write_text(json.dumps({"chosen": CHOSEN, "stages": None, "unused": ["train.momentum"]}), encoding="utf-8")
    history = "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate\n1,1.2,0.6,1.0,0.7,0.3\n2,0.8,0.8,0.7,0.75,0.1\n"
    (train / "history.csv").write_text(history, encoding="utf-8")
    (folds / "folds.csv").write_text("fold,images,accuracy,loss\n0,2,0.5,0.9\n1,2,1.0,0.2\n", encoding="utf-8")
    pq.write_table(said, folds / "out_of_fold.parquet")
    summary = {"cv_accuracy_mean": 0.75, "cv_accuracy_std": 0.353553, "cv_accuracy_low": 0.0, "cv_accuracy_high": 1.0}
    (folds / "metrics.json").write_text(json.dumps(summary), encoding="utf-8")
    return Paths(root)


def out_of_fold() -> pa.Table:
    """Three training images, too few to calibrate anything."""
    columns = {"path": ["train/a.png", "train/b.png", "train/c.png"], "sha256": ["a", "b", "c"], "fold": [0, 1, 1]}
    labels = {"label": ["owl", "owl", "eel"], "predicted": ["owl", "eel", "owl"]}
    others = {"probability path": [0.0] * 3, "probability <b>": [0.0] * 3}
    return pa.table(columns | labels | others | {"probability owl": [0.9, 0.3, 0.8], "probability eel": [0.1, 0.7, 0.2]})


def calibratable(count: int) -> pa.Table:
    """Training images that are path or <b> in turn; the networks give path 0.8 and <b> 0.6, and are right for 9 of 10."""
    rows = np.arange(count)
    is_b = rows % 2 == 1
    says_b = is_b ^ (rows % 10 == 9)
    high = np.where(says_b, 0.6, 0.8)
    probabilities = np.stack([np.where(says_b, 0.1, high), np.where(says_b, high, 0.1), (1 - high - 0.1) / 2, (1 - high - 0.1) / 2], axis=1)
    columns = {"path": [f"train/{i}.png" for i in rows], "sha256": [f"{i:064x}" for i in rows], "fold": rows % 2}
    names = {"label": np.array(CLASS_NAMES)[is_b.astype(int)].tolist(), "predicted": np.array(CLASS_NAMES)[says_b.astype(int)].tolist()}
    return pa.table(columns | names | {f"probability {name}": probabilities[:, k] for k, name in enumerate(CLASS_NAMES)})


class ToldModel:
    """A model that answers as it is told; its maps are 1 in one corner."""

    maps_are_exact = True

    def __init__(self, path: Path, probabilities: np.ndarray = PROBABILITIES) -> None:
        assert path.read_bytes() == MODEL
        self.probabilities = probabilities

    def predict(self, images: np.ndarray) -> np.ndarray:
        assert images.shape == (5, 8, 6, 1)
        return self.probabilities

    def features(self, images: np.ndarray) -> None:
        """It has no last layer."""

    def maps(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        assert images.shape == (len(classes), 8, 6, 1)
        maps = np.zeros((len(classes), 3, 3), np.float32)
        maps[:, 0, 2] = 1
        return maps


def evaluated(
    paths: Paths, tracker: FakeTracker, probabilities: np.ndarray = PROBABILITIES, max_error: str | float = "none"
) -> dict[str, bytes]:
    """The files that the stage writes, and `stderr`."""
    with contextlib.redirect_stderr(io.StringIO()) as printed:
        config = CONFIG.model_copy(update={"evaluate": CONFIG.evaluate.model_copy(update={"max_error": max_error})})
        evaluate.run(config, paths, tracker, open_model=lambda path: ToldModel(path, probabilities))
    return {file.name: file.read_bytes() for file in paths.stage("evaluate").iterdir()} | {"stderr": printed.getvalue().encode()}


def tracker_with_run() -> FakeTracker:
    """A tracker with the run that made the model."""
    tracker = FakeTracker()
    tracker.start_run("fit", {MODEL_TAG: hashlib.sha256(MODEL).hexdigest()})
    return tracker


class Twice(NamedTuple):
    """A stage that ran twice: its files each time, and the run that `train` left in the tracker."""

    first: dict[str, bytes]
    second: dict[str, bytes]
    run: FakeRun
    root: Path

    def text(self, name: str) -> str:
        return self.first[name].decode()


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Twice:
    paths, tracker = create_workspace(tmp_path_factory.mktemp("twice")), FakeTracker()
    run = tracker.start_run("animals resnet", {MODEL_TAG: hashlib.sha256(MODEL).hexdigest(), "name": "animals resnet"})
    return Twice(evaluated(paths, tracker), evaluated(paths, tracker), run, paths.root)


def test_it_writes_its_outs_and_nothing_else_and_the_same_bytes_twice(twice: Twice) -> None:
    assert sorted(twice.first) == sorted([*OUTPUTS, "stderr"])
    assert all(content.startswith(b"\x89PNG") for name, content in twice.first.items() if name.endswith(".png"))
    assert twice.second == twice.first


def test_metrics_json_has_flat_numbers_and_six_decimals(twice: Twice) -> None:
    found = json.loads(twice.text("metrics.json"))
    assert found["test_accuracy"] == 0.8  # four of five
    assert found["test_top_3_accuracy"] == 1.0
    assert found["test_macro_f1"] == 0.822222  # (0.8 + 2/3 + 1) / 3, eel occurring nowhere
    assert next(iter(found)) == "test_accuracy"
    assert all(name.startswith("test_") and isinstance(value, float) for name, value in found.items())
    uncertainty = {"test_accuracy_low", "test_accuracy_high", "test_calibration_error"}
    sure = {"test_equal_mass_calibration_error", "test_risk_coverage_area"}
    before = {"test_log_loss_uncalibrated", "test_equal_mass_calibration_error_uncalibrated", "test_risk_coverage_area_uncalibrated"}
    assert set(json.loads(twice.text("uncertainty.json"))) == uncertainty | sure | before


def test_numbers_per_class_are_a_table_of_their_own(twice: Twice) -> None:
    lines = twice.text("per_class.csv").splitlines()
    assert (lines[0], lines[-1], len(lines)) == (
        "class,precision,recall,f1,support,precision_low,precision_high,recall_low,recall_high,one_of_coverage",
        "eel,0.0,0.0,0.0,0,0.0,1.0,0.0,1.0,",
        5,
    )


def test_predictions_name_the_classes(twice: Twice) -> None:
    table = pq.read_table(io.BytesIO(twice.first["predictions.parquet"]))
    assert table.column_names[:5] == ["path", "sha256", "label", "predicted", "probability"]
    assert table["path"].to_pylist() == [f"test/{i}.png" for i in range(5)]
    assert table["label"].to_pylist() == ["path", "path", "<b>", "path", "owl"]
    assert table["predicted"].to_pylist() == ["path", "path", "<b>", "<b>", "owl"]
    assert table["probability"].to_pylist() == pytest.approx([0.7, 0.5, 0.6, 0.8, 0.9])
    assert table["probability <b>"].to_pylist() == pytest.approx([0.1, 0.3, 0.6, 0.8, 0.02])
    assert (table["decision"].to_pylist(), table["one_of"].to_pylist()) == ([""] * 5, [None] * 5)  # too few images to know


def test_what_is_scored_are_the_calibrated_answers_of_the_folds_and_never_of_the_test_images(tmp_path: Path) -> None:
    """All is fitted to 400 images of cross-validation. One in ten of those is wrong: with 20 % all answers are sure."""
    paths = create_workspace(tmp_path, calibratable(400))

    found = evaluated(paths, tracker_with_run(), max_error=0.2)

    calibration = Calibration.read(json.loads(found["calibration.json"]), CLASS_NAMES)
    assert calibration.temperature != 1
    table = pq.read_table(io.BytesIO(found["predictions.parquet"]))
    answers = calibration.answers(PROBABILITIES)
    assert table["probability"].to_pylist() == answers.probabilities.max(axis=1).tolist()
    assert table["decision"].to_pylist() == ["sure"] * 5
    assert table["one_of"].to_pylist() == answers.one_of
    numbers = json.loads(found["uncertainty.json"])
    assert (numbers["test_sure"], numbers["test_sure_error"]) == (1.0, 0.2)  # one of five is wrong
    assert numbers["test_log_loss_uncalibrated"] == pytest.approx(-np.log([0.7, 0.5, 0.6, 0.1, 0.9]).mean(), abs=1e-6)
    assert (
        calibration.fitted_on["out_of_fold_sha256"]
        == hashlib.sha256((paths.stage("cross_validate") / "out_of_fold.parquet").read_bytes()).hexdigest()
    )


def test_what_cannot_be_promised_is_said_in_the_terminal_and_every_answer_is_unsure(tmp_path: Path) -> None:
    found = evaluated(create_workspace(tmp_path, calibratable(400)), tracker_with_run(), max_error=0.001)

    assert "warning: At most 0.1 % of the sure answers wrong cannot be promised, so every answer is unsure" in found["stderr"].decode()
    assert pq.read_table(io.BytesIO(found["predictions.parquet"]))["decision"].to_pylist() == ["unsure"] * 5


def test_predictions_of_other_images_or_classes_are_refused(tmp_path: Path) -> None:
    paths = create_workspace(tmp_path, out_of_fold().drop_columns(["probability eel"]))

    with pytest.raises(StageError, match=r"3 images and 3 classes, which are not those of data/preprocess \(3 and 4\).*dvc repro"):
        evaluated(paths, FakeTracker())


def test_the_report_shows_the_mistake_with_its_map_and_no_doubts_of_models_near_chance(twice: Twice) -> None:
    html = twice.text("report.html")
    assert "Test image test/3.png, path, predicted as &lt;b&gt;" in html
    assert "What speaks for &lt;b&gt;, strongest: top right" in html
    assert "which is not clearly better than always guessing owl (66.7%). So its doubts say nothing about the labels." in html
    assert "train/c.png" not in html
    assert str(twice.root) not in html


def test_the_report_shows_the_doubted_labels_but_those_that_a_person_has_judged(tmp_path: Path) -> None:
    paths = create_workspace(tmp_path, calibratable(100))
    before = evaluated(paths, tracker_with_run())["report.html"].decode()
    add_verdict(paths.verdicts, Verdict(f"{9:064x}", "keep", was="<b>"))
    after = evaluated(paths, tracker_with_run())["report.html"].decode()

    assert "10 of 100 labels are doubted, the most doubtful first." in before
    assert "Training image train/9.png, labelled &lt;b&gt;, suggested path" in before
    assert "Training image train/8.png" not in before
    assert "9 of 100 labels are doubted" in after
    assert "Training image train/9.png" not in after


def test_the_run_that_made_the_model_gets_numbers_and_files_and_its_accuracy_before_its_name_once(twice: Twice) -> None:
    expected = {"test_accuracy": 0.8, "test_top_3_accuracy": 1.0, "cv_accuracy_mean": 0.75, "cv_accuracy_std": 0.353553}
    assert {name: twice.run.last(name) for name in expected} == expected
    assert sorted(path for path in twice.run.files if path.startswith("evaluate/")) == sorted(f"evaluate/{name}" for name in OUTPUTS)
    assert twice.run.name == "80.0% animals resnet"


def test_a_collapsed_model_is_warned_of_on_the_page_and_in_the_terminal(tmp_path: Path) -> None:
    always_path = np.tile(np.array([0.7, 0.1, 0.1, 0.1], np.float32), (5, 1))

    found = evaluated(create_workspace(tmp_path), tracker_with_run(), always_path)

    html = found["report.html"].decode()
    assert "No better than always guessing path, which is right for 3 of 5 test images." in html
    assert "Never predicted: &lt;b&gt; (1 test image), owl (1 test image)." in html
    assert "warning: Never predicted: <b> (1 test image), owl (1 test image)." in found["stderr"].decode()


def test_a_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    paths = create_workspace(tmp_path)
    with pytest.raises(StageError, match=r"shape \(5, 3\), expected \(5, 4\).*dvc repro"):
        evaluated(paths, FakeTracker(), PROBABILITIES[:, :3])
    assert not paths.stage("evaluate").exists()


def test_classes_come_most_missed_first_and_absent_ones_last() -> None:
    per_class = {
        name: {"precision": 1.0, "recall": recall, "f1": 0.5, "support": support}
        for name, recall, support in (("a", 6 / 9, 9), ("b", 0, 0), ("c", 3 / 4, 4))
    }
    matrix = np.array([[6, 1, 2], [0, 0, 0], [1, 0, 3]])
    rows = class_rows(per_class, matrix, class_intervals(matrix))
    assert [(row.name, row.confused_with, row.confused_share) for row in rows] == [("a", "c", 2 / 9), ("c", "a", 0.25), ("b", "", 0.0)]
    assert rows[0].confusions == [("c", 2), ("b", 1)]
    assert rows[0].recall_interval == pytest.approx(wilson_interval(6, 9))
    assert rows[1].precision_interval == pytest.approx(wilson_interval(3, 5))


def test_rounding_reaches_nested_numbers() -> None:
    found = rounded({"images": 3, "accuracy": 2 / 3, "per_class": {"a": {"f1": 1 / 3}}})
    assert found == {"images": 3, "accuracy": 0.666667, "per_class": {"a": {"f1": 0.333333}}}


def test_the_metrics_of_a_class_of_any_name_are_read_back() -> None:
    numbers = {"precision": 0.5, "recall": 1.0, "f1": 0.666667, "support": 3}
    labels, probabilities = np.arange(len(ODD_NAMES)), np.eye(len(ODD_NAMES))
    text = per_class_csv(
        dict.fromkeys(ODD_NAMES, numbers), np.zeros((len(ODD_NAMES), 4)), measure(labels, probabilities, Calibration(ODD_NAMES))
    ).decode()

    assert [row["class"] for row in csv.DictReader(io.StringIO(text, newline=""))] == ODD_NAMES
