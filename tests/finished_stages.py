"""What the stages before `register` leave behind, as far as the tracker and `register` read it: no image that can be decoded, no fit."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.certainty.calibration import Calibration
from pipeline.paths import Paths

LABELS = ["a"] * 5 + ["b"] * 5


def write_finished_stages(
    root: Path,
    hits: int = 9,
    model: str = "weights",
    test_images: str = "i",
    classes: tuple[str, ...] = ("a", "b"),
    times: int = 1,
    calibration: str = "",
) -> Paths:
    """`times` ten test images; the model gets the first `hits` of each ten right. `model`: its content; `test_images`: a prefix of theirs."""
    spec = {"dataset_name": "flowers", "dataset_digest": "d1", "class_names": classes, "data_counts": {"images": 70, "leak": 2}}
    spec |= {"networks": ["resnet"]}
    files = {
        "ingest/report.json": "{}",
        "ingest/report.html": "",
        "ingest/findings.csv": "",
        "preprocess/spec.json": json.dumps(spec),
        "preprocess/augmented.png": "picture",
        "train/model.keras": model,
        "train/history.csv": "epoch,loss,validation_accuracy\n1,0.5,0.8\n2,0.4,0.9\n",
        "train/choice.json": json.dumps({"network": "resnet"}),
        "train/metrics.json": json.dumps({"train_loss": 0.4}),
        "cross_validate/folds.csv": "fold,images,accuracy,loss\n0,10,0.9,0.3\n1,10,0.8,0.5\n",
        "cross_validate/out_of_fold.parquet": f"predictions of {classes}",
        "cross_validate/metrics.json": json.dumps({"cv_accuracy_mean": 0.9, "cv_accuracy_std": 0.01}),
        "evaluate/calibration.json": calibration or json.dumps(Calibration(classes).as_json()),
        "evaluate/familiar.npz": "what is familiar",
        "evaluate/metrics.json": json.dumps({"test_accuracy": hits / 10}),
        "evaluate/uncertainty.json": json.dumps({"test_accuracy_low": 0.5, "test_accuracy_high": 1.0}),
    }
    for name, text in files.items():
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / name).write_text(text, encoding="utf-8")
    (root / "params.yaml").write_text("seed: 1\n", encoding="utf-8")
    wrong = {"a": "b", "b": "a"}
    count = times * len(LABELS)
    table = {
        "path": [f"{i}.png" for i in range(count)],
        "sha256": [f"{test_images}{i}" for i in range(count)],
        "label": LABELS * times,
        "predicted": [label if i < hits else wrong[label] for i, label in enumerate(LABELS)] * times,
        "probability": [0.9 - i / 100 for i in range(len(LABELS))] * times,
    }
    pq.write_table(pa.table(table), root / "data" / "evaluate" / "predictions.parquet")
    write_test_images(Paths(root), test_images, times)
    return Paths(root)


def write_test_images(paths: Paths, test_images: str = "i", times: int = 1) -> None:
    """The images of `ingest`: number 0, which is left out, and the test images from number 1. An image is its number."""
    folder = paths.stage("ingest") / "images.parquet"
    folder.mkdir(exist_ok=True)
    count = times * len(LABELS)
    pq.write_table(pa.table({"bytes": [str(i).encode() for i in range(count + 1)]}), folder / "00000.parquet")
    index = {
        "path": [f"{i}.png" for i in range(count + 1)],
        "label": ["a", *LABELS * times],
        "split": [None, *["test"] * count],
        "sha256": ["left out", *(f"{test_images}{i}" for i in range(count))],
        "group": pa.array(range(count + 1), pa.int32()),
    }
    pq.write_table(pa.table(index), paths.stage("ingest") / "index.parquet")


def answer(image: bytes) -> dict[str, float]:
    """What every model gives to a sample image, as the predictions of the finished stages have it."""
    probability = 0.9 - (int(image) - 1) % 10 / 100
    return {"a": probability, "b": probability}
