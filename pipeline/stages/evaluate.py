"""Open the test split, alone in doing so: predictions, metrics, pictures and a report that a person can read.

Reads what preprocess, train and cross_validate wrote; writes data/evaluate/; logs to the run that made the model. Same inputs, same bytes.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import StageError
from pipeline.evaluation import metrics
from pipeline.evaluation.counts import count_hits, warnings
from pipeline.files import read_json, sha256_file, write_bytes, write_json, write_table
from pipeline.models.predict import load_model, predict
from pipeline.params.section import Scalar
from pipeline.paths import Paths
from pipeline.reports import pictures
from pipeline.reports.evaluation_report import ClassRow, Doubt, Fold, Mistake, Picture, Report, render
from pipeline.reports.pictures import DARK, LIGHT, Theme
from pipeline.tracking.lineage import NAME_TAG, pipeline_run, read_history
from pipeline.tracking.run_log import Run, Tracker

if TYPE_CHECKING:
    from pipeline.params.reader import Config

PredictImages = Callable[[Path, np.ndarray], np.ndarray]

DECIMALS = 6
CONFUSIONS_SHOWN = 10
MISTAKES_SHOWN = 24
DOUBTS_SHOWN = 12
OUTPUTS = (
    "predictions.parquet",
    "metrics.json",
    "uncertainty.json",
    "per_class.csv",
    "confusion_matrix.png",
    "reliability.png",
    "report.html",
)
UNCERTAINTY = ("test_accuracy_low", "test_accuracy_high", "test_calibration_error")
"""In a file of their own, so that the table of `dvc metrics show` fits a terminal."""
PER_CLASS_COLUMNS = ("precision", "recall", "f1", "support")


@dataclass(frozen=True)
class Scored:
    """The test split and what the model says of it: images uint8 (N, H, W, C), labels int32 (N,), probabilities float32 (N, K)."""

    images: np.ndarray
    labels: np.ndarray
    index: pa.Table
    spec: dict[str, Any]
    probabilities: np.ndarray

    @property
    def class_names(self) -> list[str]:
        return list(self.spec["class_names"])

    @property
    def predicted(self) -> np.ndarray:
        """int64 (N,): the most probable class."""
        predicted: np.ndarray = self.probabilities.argmax(axis=1)
        return predicted


def predict_with_kept_model(model: Path, images: np.ndarray) -> np.ndarray:
    """Probabilities float32 (N, K) by a `.keras` file. The one place of this stage that loads TensorFlow."""
    return predict(load_model(model), images)


def run(config: Config, paths: Paths, tracker: Tracker, *, predict_images: PredictImages = predict_with_kept_model) -> dict[str, Scalar]:
    """Write data/evaluate/ for data/train/model.keras and the test split. Reports the accuracy and where the report is.

    `predict_images` gives probabilities float32 (N, K) for a model file and images uint8 (N, H, W, C). Raises StageError where model and
    images do not belong together.
    """
    scored = score_test_split(paths, predict_images)
    values = rounded(metrics.classification_metrics(scored.labels, scored.probabilities, scored.class_names, config.evaluate.top_k))
    report = build_report(config, paths, scored, values)
    folder = paths.stage("evaluate")
    write_table(folder / "predictions.parquet", predictions_table(scored))
    numbers = test_metrics(values)
    write_json(folder / "metrics.json", {name: value for name, value in numbers.items() if name not in UNCERTAINTY})
    write_json(folder / "uncertainty.json", {name: numbers[name] for name in UNCERTAINTY})
    write_bytes(folder / "per_class.csv", per_class_csv(values["per_class"]))
    write_bytes(folder / "confusion_matrix.png", report.confusion_matrix.light)
    write_bytes(folder / "reliability.png", report.reliability.light)
    write_bytes(folder / "report.html", render(report).encode())
    for warning in report.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    folds = read_json(paths.stage("cross_validate") / "metrics.json")
    log_evaluation(pipeline_run(tracker, paths, config), {**numbers, **folds}, folder)
    return {"images": values["images"], "accuracy": f"{values['accuracy']:.4f}", "report": paths.relative(folder / "report.html")}


def test_metrics(values: dict[str, Any]) -> dict[str, float]:
    """The metrics of the stage, by the names that MLflow has, too; what is no measure of the model, and what is per class, is left out."""
    return {f"test_{name}": value for name, value in values.items() if name not in ("per_class", "images")}


def per_class_csv(per_class: dict[str, dict[str, float]]) -> bytes:
    """One line a class: its name, precision, recall, F1, and images."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["class", *PER_CLASS_COLUMNS])
    writer.writerows([name, *(numbers[column] for column in PER_CLASS_COLUMNS)] for name, numbers in per_class.items())
    return text.getvalue().encode()


def score_test_split(paths: Paths, predict_images: PredictImages) -> Scored:
    """The test split with predictions. Raises StageError where the model has other classes than the images."""
    folder = paths.stage("preprocess")
    model = paths.stage("train") / "model.keras"
    images = np.load(folder / "test" / "images.npy", mmap_mode="r")
    spec = read_json(folder / "spec.json")
    probabilities = predict_images(model, images)
    expected = (len(images), len(spec["class_names"]))
    if probabilities.shape != expected:
        raise StageError(
            f"{paths.relative(model)} gives probabilities of shape {probabilities.shape}, expected {expected} (images, classes) "
            f"as in {paths.relative(folder)}. They are of different runs: `dvc repro` brings them together."
        )
    return Scored(images, np.load(folder / "test" / "labels.npy"), pq.read_table(folder / "test" / "index.parquet"), spec, probabilities)


def predictions_table(scored: Scored) -> pa.Table:
    """One row per test image: path, sha256, label and predicted class by name, its probability, then a probability for each class."""
    names = np.array(scored.class_names, dtype=object)
    columns = {
        "path": scored.index["path"],
        "sha256": scored.index["sha256"],
        "label": pa.array(names[scored.labels], pa.string()),
        "predicted": pa.array(names[scored.predicted], pa.string()),
        "probability": scored.probabilities.max(axis=1),
    }
    per_class = {f"probability {name}": scored.probabilities[:, k] for k, name in enumerate(names)}
    return pa.table(columns | per_class)


def rounded(values: metrics.Metrics) -> dict[str, Any]:
    """The same numbers with six decimals, so that a file shows no rounding noise."""
    return {key: rounded(value) if isinstance(value, dict) else round(value, DECIMALS) for key, value in values.items()}  # type: ignore[arg-type]


def build_report(config: Config, paths: Paths, scored: Scored, values: dict[str, Any]) -> Report:
    """What report.html shows, from this split and from what train and cross_validate wrote."""
    names, folds = scored.class_names, paths.stage("cross_validate")
    matrix = metrics.confusion_matrix(scored.labels, scored.predicted, len(names))
    bins = metrics.reliability_bins(scored.labels, scored.probabilities)
    fold_rows = read_history(folds / "folds.csv")
    cross_validation = {name.removeprefix("cv_"): value for name, value in read_json(folds / "metrics.json").items()}
    score = count_hits([names[i] for i in scored.labels], [names[i] for i in scored.predicted])
    return Report(
        dataset_name=scored.spec["dataset_name"],
        dataset_digest=scored.spec["dataset_digest"],
        source=scored.spec["source"],
        image_shape=scored.images.shape[1:],
        model_name=config.model.name,
        model_digest=sha256_file(paths.stage("train") / "model.keras"),
        metrics={key: value for key, value in values.items() if key != "per_class"},
        cross_validation=cross_validation,
        overconfidence=metrics.overconfidence(bins),
        warnings=warnings(score),
        classes=class_rows(values["per_class"], matrix),
        confusions=metrics.top_confusions(matrix, names, CONFUSIONS_SHOWN),
        folds=[Fold(int(row["fold"]), int(row["images"]), row["accuracy"], row["loss"]) for row in fold_rows],
        mistakes=confident_mistakes(scored),
        doubts=doubted_labels(pq.read_table(folds / "out_of_fold.parquet")),
        params=shown_params(config),
        curves=curves(read_history(paths.stage("train") / "history.csv")),
        confusion_matrix=in_both_themes(
            partial(pictures.confusion_matrix, matrix, names), "Confusion matrix: rows are labels, columns are predictions"
        ),
        reliability=in_both_themes(partial(pictures.reliability_diagram, bins), "Accuracy of the predictions against their confidence"),
        fold_picture=in_both_themes(partial(draw_folds, fold_rows, cross_validation, values["accuracy"]), "Accuracy of each fold"),
    )


def class_rows(per_class: dict[str, Any], matrix: np.ndarray) -> list[ClassRow]:
    """The classes in the order of the report: lowest F1 first, those without test images last. matrix: int (K, K)."""
    pairs = metrics.top_confusions(matrix, list(per_class), count=matrix.size)
    most = {pair.label: pair for pair in reversed(pairs)}
    rows = [
        ClassRow(name=name, **numbers, taken_for=most[name].predicted, taken_for_share=most[name].share)
        if name in most
        else ClassRow(name=name, **numbers, taken_for="", taken_for_share=0.0)
        for name, numbers in per_class.items()
    ]
    return sorted(rows, key=lambda row: (row.support == 0, row.f1))


def confident_mistakes(scored: Scored) -> list[Mistake]:
    """The gallery of the report."""
    names, paths = scored.class_names, scored.index["path"]
    return [
        Mistake(
            thumbnail=pictures.thumbnail(np.asarray(scored.images[i])),
            path=paths[int(i)].as_py(),
            label=names[scored.labels[i]],
            predicted=names[scored.predicted[i]],
            probability=float(scored.probabilities[i].max()),
        )
        for i in metrics.confident_mistakes(scored.labels, scored.probabilities, MISTAKES_SHOWN)
    ]


def doubted_labels(out_of_fold: pa.Table) -> list[Doubt]:
    """The training images whose label is contradicted most confidently by the model that had not seen them, the surest first."""
    wrong = out_of_fold.filter(pc.not_equal(out_of_fold["label"], out_of_fold["predicted"]))
    probability_columns = [field.name for field in wrong.schema if pa.types.is_floating(field.type)]
    confidence = np.max([wrong[name].to_numpy() for name in probability_columns], axis=0)
    surest = np.argsort(-confidence, kind="stable")[:DOUBTS_SHOWN]
    rows = wrong.select(["path", "label", "predicted", "fold"]).take(surest).to_pylist()
    return [Doubt(**row, probability=float(confidence[i])) for row, i in zip(rows, surest, strict=True)]


def shown_params(config: Config) -> dict[str, dict[str, Any]]:
    """The parameters that decide the model and this report, by section; the seed, which belongs to none, is under "general"."""
    sections = {
        "preprocess": config.preprocess,
        "augment": config.augment,
        "model": config.model,
        "train": config.train,
        "cross_validate": config.cross_validate,
        "evaluate": config.evaluate,
    }
    return {"general": {"seed": config.seed}} | {name: section.model_dump() for name, section in sections.items()}


def curves(history: list[dict[str, float]]) -> list[Picture]:
    """Loss and accuracy over the epochs, as two pictures, so that a narrow page can show one below the other."""
    return [
        in_both_themes(partial(pictures.learning_curves, history, [quantity]), f"{quantity.capitalize()} over the epochs")
        for quantity in pictures.QUANTITIES
    ]


def draw_folds(rows: list[dict[str, float]], summary: dict[str, float], test_accuracy: float, *, theme: Theme) -> bytes:
    """The chart of the cross-validation."""
    accuracies = [row["accuracy"] for row in rows]
    return pictures.cross_validation_folds(accuracies, summary["accuracy_low"], summary["accuracy_high"], test_accuracy, theme=theme)


def in_both_themes(draw: Callable[..., bytes], alt: str) -> Picture:
    """A chart for a light page and for a dark one."""
    return Picture(draw(theme=LIGHT), draw(theme=DARK), alt)


def log_evaluation(run: Run, values: Mapping[str, float], folder: Path) -> None:
    """Add the test's and the folds' numbers and the stage's files to the run that made the model, and its accuracy to the run's name."""
    run.log_metrics(values)
    for name in OUTPUTS:
        run.log_file(folder / name, "evaluate")
    run.rename(f"{values['test_accuracy']:.1%} {run.tags.get(NAME_TAG, run.name)}")
    run.settle()
