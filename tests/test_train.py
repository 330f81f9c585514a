"""`train` writes a model and its learning curves, and its run can be found by the model's digest."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dataset.arrays import write_array
from pipeline.errors import DeviceError, FitError
from pipeline.features.embeddings import write_no_embeddings
from pipeline.files import read_json, sha256_file, write_bytes, write_json, write_table
from pipeline.fitting.choice import Choice
from pipeline.models.predict import load_model
from pipeline.params.reader import Config
from pipeline.params.recipe import Method
from pipeline.paths import Paths
from pipeline.stages import cross_validate, train
from pipeline.tracking.lineage import FOLDS_TAG, MODEL_TAG
from tests.fakes import FakeTracker
from tests.fit_settings import parameters

COUNT = 60
CHOICE = Choice(Method("tutorial", None), None, "set by model.name")


def configure(**train_changes: object) -> Config:
    train = {"epochs": 2, "min_steps": 0, "batch_size": 16, "device": "cpu", "precision": "float32", **train_changes}
    return parameters(train=train, model={"name": "tutorial", "weights": "none", "width": 0.125})


def make_workspace(root: Path, validation: bool = False) -> Paths:
    """The outputs of `ingest` and `preprocess` for 60 images of two classes; with `validation`, 12 of them are for validation."""
    paths = Paths(root)
    folder = paths.stage("preprocess")
    labels = (np.arange(COUNT) % 2).astype(np.int32)
    images = np.random.default_rng(0).integers(0, 90, (COUNT, 10, 10, 1), dtype=np.uint8)
    images[labels == 1] += 120
    marked = np.zeros(COUNT, bool)
    marked[:12] = validation
    write_no_embeddings([folder / "train"], views=2)
    index = {
        "path": [f"{i}.png" for i in range(COUNT)],
        "sha256": [f"{i:064d}" for i in range(COUNT)],
        "fold": np.repeat([0, 1, 2], 20).astype(np.int8),
    }
    write_array(folder / "train" / "images.npy", images)
    write_array(folder / "train" / "labels.npy", labels)
    write_array(folder / "train" / "validation.npy", marked)
    write_array(folder / "train" / "groups.npy", np.arange(len(marked), dtype=np.int32))
    write_table(folder / "train" / "index.parquet", pa.table(index))
    spec = {"class_names": ["dark", "bright"], "dataset_name": "lamps", "dataset_digest": "d1", "source": "lamps"}
    networks = {"networks": ["tutorial"], "networks_reason": CHOICE.reason, "backbone": None}
    write_json(folder / "spec.json", {**spec, "data_counts": {"images": 90, "leak": 2}, **networks})
    write_bytes(folder / "augmented.png", b"picture")
    for name in ("report.json", "report.html", "findings.csv"):
        write_bytes(paths.stage("ingest") / name, b"")
    return paths


def write_choice(paths: Paths) -> Paths:
    """What `train` leaves behind for the folds."""
    write_json(paths.stage("train") / "choice.json", CHOICE.described())
    return paths


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, FakeTracker]:
    paths, tracker = make_workspace(tmp_path_factory.mktemp("trained")), FakeTracker()
    train.run(configure(), paths, tracker)
    return paths, tracker


def test_the_model_takes_arrays_of_bytes_and_gives_probabilities(trained: tuple[Paths, FakeTracker]) -> None:
    model = load_model(trained[0].stage("train") / "model.keras")

    probabilities = np.asarray(model(np.zeros((3, 10, 10, 1), np.uint8)))

    assert probabilities.shape == (3, 2)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_run_has_files_the_device_and_the_digest_of_the_model(trained: tuple[Paths, FakeTracker]) -> None:
    paths, tracker = trained
    (run,) = tracker.runs

    assert {"train/history.csv", "train/choice.json", "preprocess/augmented.png"} <= set(run.files)
    assert run.tags[MODEL_TAG] == sha256_file(paths.stage("train") / "model.keras")
    assert (run.status, run.tags["device"], run.tags["precision"]) == ("FINISHED", "CPU", "float32")
    assert FOLDS_TAG not in run.tags


def test_history_and_curves_have_an_entry_per_epoch_and_only_metrics_has_the_end_results(trained: tuple[Paths, FakeTracker]) -> None:
    (run,) = trained[1].runs
    results = read_json(trained[0].stage("train") / "metrics.json")
    with (trained[0].stage("train") / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert [list(row) for row in rows] == [["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate"]] * 2
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [float(row["loss"]) for row in rows] == pytest.approx([value for _, value in run.metrics["loss"]])
    curves = {name: [step for step, _ in values] for name, values in run.metrics.items() if name not in results}
    assert curves == {key: [1, 2] for key in ("loss", "accuracy", "learning_rate", "images_per_second", "val_loss", "val_accuracy")}
    assert run.last("val_accuracy") == float(rows[1]["validation_accuracy"]) == run.last("validation_accuracy")
    assert list(results) == ["validation_accuracy", "validation_loss", "train_accuracy", "train_loss"]
    assert {name: run.metrics[name] for name in results} == {name: [(0, value)] for name, value in results.items()}


def test_the_choice_is_written_for_the_folds_and_logged_with_what_auto_stands_for(trained: tuple[Paths, FakeTracker]) -> None:
    choice, (run,) = read_json(trained[0].stage("train") / "choice.json"), trained[1].runs
    logged = {name.removeprefix("chosen."): value for name, value in run.params.items() if name.startswith("chosen.")}

    assert Choice.read(choice) == CHOICE
    assert [tried["accuracy"] for tried in choice["tried"]] == [pytest.approx(run.last("val_accuracy"), abs=1e-6)]
    assert (choice["unused"], choice["compared_on"]) == ([], None)
    assert logged == {
        **{"method": "tutorial, fitted to images", "reason": "set by model.name", "epochs": "2", "steps": "6", "batch_size": "16"},
        **{"optimizer": "sgd", "learning_rate": "0.001875", "schedule": "linear", "warmup_fraction": "0.2", "momentum": "0.9"},
        **{"weight_decay": "0.0005", "label_smoothing": "0.0", "dropout": "0.0", "shift_fraction": "0.0", "width": "0.125"},
    }


def test_a_tenth_is_held_out_unless_the_source_has_validation_images_and_a_failed_fit_closes_its_run(
    tmp_path: Path, trained: tuple[Paths, FakeTracker]
) -> None:
    tracker = FakeTracker()

    with pytest.raises(FitError, match="no longer finite"):
        train.run(configure(learning_rate=1e30, warmup_fraction=0.0), make_workspace(tmp_path, validation=True), tracker)

    assert trained[1].runs[0].params["validation_images"] == "6"
    assert [(run.status, run.params["validation_images"]) for run in tracker.runs] == [("FAILED", "12")]


def test_a_missing_gpu_starts_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    tracker = FakeTracker()

    with pytest.raises(DeviceError):
        train.run(configure(device="gpu"), make_workspace(tmp_path), tracker)

    assert tracker.runs == []


def test_training_again_after_other_fits_gives_the_same_bytes(tmp_path: Path, trained: tuple[Paths, FakeTracker]) -> None:
    again = write_choice(make_workspace(tmp_path))
    cross_validate.run(configure(), again, FakeTracker())
    train.run(configure(), again, FakeTracker())

    for name in ("model.keras", "choice.json", "history.csv", "metrics.json"):
        assert (again.stage("train") / name).read_bytes() == (trained[0].stage("train") / name).read_bytes(), name
