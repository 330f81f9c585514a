"""The pages of made-up models, by the stage itself: one that has collapsed, a middling one, an excellent one."""

import contextlib
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.stages import evaluate
from pipeline.tracking.lineage import MODEL_TAG
from tests.fakes import FakeTracker

MODEL = b"made up"
SIDE_PX = 96


class MadeUpModel:
    """Answers with probabilities that are given; its maps are random."""

    maps_are_exact = True

    def __init__(self, probabilities: np.ndarray) -> None:
        self.probabilities = probabilities

    def predict(self, images: np.ndarray) -> np.ndarray:
        assert len(images) == len(self.probabilities)
        return self.probabilities

    def features(self, images: np.ndarray) -> None:
        """It has no last layer."""

    def maps(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return np.random.default_rng(len(images)).normal(size=(len(images), 6, 6)).astype(np.float32)


def evaluated(root: Path, class_names: Sequence[str], labels: np.ndarray, predicted: np.ndarray) -> str:
    """The evaluation page of a model that predicts the classes `predicted`, int (N,), of photographs of noise, and of folds that do as well."""
    confidence = np.random.default_rng(0).uniform(0.6, 0.99, len(labels))
    count = len(class_names)
    probabilities = np.repeat(((1 - confidence) / (count - 1))[:, None], count, axis=1)
    probabilities[np.arange(len(labels)), predicted] = confidence
    _write_inputs(root, class_names, labels, predicted, probabilities)
    tracker = FakeTracker()
    tracker.start_run("fit", {MODEL_TAG: hashlib.sha256(MODEL).hexdigest()})
    config = load_config(Path(__file__).parent.parent / "params.yaml")
    with contextlib.redirect_stderr(io.StringIO()):
        evaluate.run(config, Paths(root), tracker, open_model=lambda path: MadeUpModel(probabilities.astype(np.float32)))
    return (root / "data" / "evaluate" / "report.html").read_text(encoding="utf-8")


def _write_inputs(root: Path, class_names: Sequence[str], labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> None:
    preprocessed, train, folds = (root / "data" / name for name in ("preprocess", "train", "cross_validate"))
    for folder in (preprocessed / "test", preprocessed / "train", train, folds):
        folder.mkdir(parents=True)
    rows, accuracy = np.arange(len(labels)), float((labels == predicted).mean())
    noise = np.random.default_rng(1).integers(0, 256, (len(labels), SIDE_PX // 8, SIDE_PX // 8, 3), dtype=np.uint8)
    np.save(preprocessed / "test" / "images.npy", noise.repeat(8, axis=1).repeat(8, axis=2))
    np.save(preprocessed / "test" / "labels.npy", labels.astype(np.int32))
    np.save(preprocessed / "test" / "groups.npy", rows.astype(np.int32))
    np.save(preprocessed / "train" / "groups.npy", (rows + len(rows)).astype(np.int32))
    np.save(preprocessed / "train" / "images.npy", np.zeros((len(rows), 8, 8, 3), np.uint8))
    np.save(preprocessed / "train" / "labels.npy", labels.astype(np.int32))
    np.save(preprocessed / "train" / "validation.npy", np.zeros(len(rows), bool))
    np.save(preprocessed / "train" / "embeddings.npy", np.empty((0, 2, 1280), np.float32))
    columns = {"path": [f"test/{class_names[label]}/{i:05d}.jpg" for i, label in enumerate(labels)], "sha256": [f"{i:064x}" for i in rows]}
    np.save(preprocessed / "train" / "images.npy", np.load(preprocessed / "test" / "images.npy"))
    np.save(preprocessed / "train" / "embeddings.npy", np.empty((0, 2, 1280), np.float32))
    for split in ("train", "test"):
        pq.write_table(pa.table(columns), preprocessed / split / "index.parquet")
    ingested = root / "data" / "ingest"
    ingested.mkdir()
    sizes = {name: np.full(len(rows), SIDE_PX) for name in ("width", "height")}
    said = {
        **columns,
        **sizes,
        "label": [class_names[label] for label in labels],
        "mode": ["RGB"] * len(rows),
        "split": ["test"] * len(rows),
    }
    pq.write_table(pa.table(said), ingested / "index.parquet")
    pq.write_table(pa.table({"brightness": np.linspace(60, 200, len(rows), dtype=np.float32)}), ingested / "properties.parquet")
    spec = {
        "class_names": list(class_names),
        "dataset_name": "made-up",
        "dataset_digest": "0123",
        "source": "my/images",
        "networks": ["resnet"],
    }
    (preprocessed / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    (train / "model.keras").write_bytes(MODEL)
    chosen = {"method": "resnet, fitted to images", "reason": "the images are small", "epochs": 2}
    (train / "choice.json").write_text(json.dumps({"chosen": chosen, "stages": None, "unused": []}), encoding="utf-8")
    history = "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate\n1,1.2,0.6,1.0,0.7,0.3\n2,0.8,0.8,0.7,0.75,0.1\n"
    (train / "history.csv").write_text(history, encoding="utf-8")
    (folds / "folds.csv").write_text(f"fold,images,accuracy,loss\n0,50,{accuracy},0.9\n1,50,{accuracy},0.8\n", encoding="utf-8")
    pq.write_table(pa.table({**columns, "fold": rows % 2}), preprocessed / "train" / "index.parquet")
    names = np.array(class_names)
    said = {**columns, "fold": rows % 2, "label": names[labels], "predicted": names[predicted]}
    pq.write_table(
        pa.table(said | {f"probability {name}": probabilities[:, k] for k, name in enumerate(class_names)}), folds / "out_of_fold.parquet"
    )
    half = 1.96 * (accuracy * (1 - accuracy) / len(labels)) ** 0.5
    ends = {"cv_accuracy_low": max(0.0, accuracy - half), "cv_accuracy_high": min(1.0, accuracy + half)}
    (folds / "metrics.json").write_text(json.dumps({"cv_accuracy_mean": accuracy, "cv_accuracy_std": 0.0, **ends}), encoding="utf-8")


def collapsed(root: Path) -> str:
    """Of two classes it only ever says one: 30 of 52 are right."""
    labels = np.arange(52) >= 30
    return evaluated(root, ["bees", "ants"], labels.astype(int), np.zeros(52, int))


def middling(root: Path) -> str:
    """Ten classes, 60 % of 300 images right."""
    rows = np.arange(300)
    labels, right = rows % 10, rows // 10 % 5 < 3
    return evaluated(root, [f"kind {i}" for i in range(10)], labels, np.where(right, labels, (labels + 1 + rows // 10 % 3) % 10))


def excellent(root: Path) -> str:
    """A hundred classes, 99 % of 2,000 images right."""
    labels = np.arange(2000) % 100
    names = [f"Species of the northern hills {i:03d}" for i in range(100)]
    return evaluated(root, names, labels, np.where(np.arange(2000) % 101 == 7, (labels + 3) % 100, labels))
