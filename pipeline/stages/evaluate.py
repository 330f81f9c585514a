"""Score the model on the test split: predictions, metrics, pictures and a report. No other stage reads the test split.

First the model is calibrated, on the predictions of cross-validation alone; what is scored are the calibrated answers, which are those it will serve.

Reads the outputs of preprocess, train and cross_validate; writes data/evaluate/; logs to the run that made the model. Same inputs, same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.certainty.calibrated_run import calibrated_run
from pipeline.certainty.calibration import CALIBRATION_FILE, Answers
from pipeline.certainty.measured import Measured, as_metrics, measure, sentence
from pipeline.certainty.out_of_fold import calibrate
from pipeline.csv_text import csv_text
from pipeline.errors import StageError
from pipeline.evaluation import metrics
from pipeline.evaluation.counts import count_hits, warnings
from pipeline.files import read_json, sha256_file, write_bytes, write_json, write_table
from pipeline.models.predict import load_model, predict
from pipeline.params.section import Scalar
from pipeline.paths import Paths
from pipeline.properties.columns import columns_of_test
from pipeline.properties.slices import find_slices
from pipeline.reports import pictures
from pipeline.reports.class_labels import numbered_classes
from pipeline.reports.evaluation_page import class_rows, curves, doubted_labels, draw_folds, in_both_themes
from pipeline.reports.evaluation_report import Fold, Mistake, Report, render
from pipeline.reports.how_sure import HowSure, how_sure
from pipeline.tracking.lineage import NAME_TAG, read_history
from pipeline.tracking.run_log import Run, Tracker

if TYPE_CHECKING:
    from pipeline.params.reader import Config

PredictImages = Callable[[Path, np.ndarray], np.ndarray]

DECIMALS = 6
CONFUSIONS_SHOWN = 10
MISTAKES_SHOWN = 24
OUTPUTS = (
    CALIBRATION_FILE,
    "predictions.parquet",
    "metrics.json",
    "uncertainty.json",
    "per_class.csv",
    "confusion_matrix.png",
    "reliability.png",
    "curves.png",
    "report.html",
)
UNCERTAINTY = ("test_accuracy_low", "test_accuracy_high", "test_calibration_error")
"""In a separate file, with what is known of sure answers, so that the table of `dvc metrics show` fits a terminal."""
NOT_METRICS = ("images", "groups", "per_class")
PER_CLASS_COLUMNS = ("precision", "recall", "f1", "support")


@dataclass(frozen=True)
class Scored:
    """The test split and the predictions: images uint8 (N, H, W, C), labels int32 (N,), probabilities float32 (N, K)."""

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
    """Probabilities float32 (N, K) from a `.keras` file. Only this function loads TensorFlow."""
    return predict(load_model(model), images)


def run(config: Config, paths: Paths, tracker: Tracker, *, predict_images: PredictImages = predict_with_kept_model) -> dict[str, Scalar]:
    """Write data/evaluate/ for data/train/model.keras and the test split. Reports the accuracy and where the report is.

    `predict_images` gives probabilities float32 (N, K) for a model file and images uint8 (N, H, W, C). Raises StageError if the
    model was fitted to other classes.
    """
    network = score_test_split(paths, predict_images)
    max_error = None if config.evaluate.max_error == "none" else config.evaluate.max_error
    calibration = calibrate(paths, network.class_names, max_error)
    measured, answers = measure(network.labels, network.probabilities, calibration), calibration.answers(network.probabilities)
    scored = replace(network, probabilities=answers.probabilities)
    groups = np.load(paths.stage("preprocess") / "test" / "groups.npy")
    values = rounded(metrics.classification_metrics(scored.labels, scored.probabilities, scored.class_names, config.evaluate.top_k, groups))
    certain = how_sure(network.labels, network.probabilities, calibration, measured)
    before = metrics.reliability_bins(network.labels, network.probabilities) if calibration.temperature != 1 else None
    slices = find_slices(scored.predicted == scored.labels, scored.labels, groups, columns_of_test(paths))
    report = replace(build_report(config, paths, scored, values, certain, before), slices=slices)
    numbers, certainty = test_metrics(values), as_metrics(measured, calibration)
    folder = paths.stage("evaluate")
    write_json(folder / CALIBRATION_FILE, calibration.as_json())
    write_table(folder / "predictions.parquet", predictions_table(scored, answers))
    write_json(folder / "metrics.json", {name: value for name, value in numbers.items() if name not in UNCERTAINTY})
    write_json(folder / "uncertainty.json", {name: numbers[name] for name in UNCERTAINTY} | certainty)
    write_bytes(folder / "per_class.csv", per_class_csv(values["per_class"], measured))
    _write_report(report, paths)
    _warn(report, sentence(measured, calibration) if measured.breaks_promise else calibration.note)
    folds = read_json(paths.stage("cross_validate") / "metrics.json")
    log_evaluation(calibrated_run(tracker, paths, config), {**numbers, **certainty, **folds}, folder)
    said = {"sure": f"{certainty['test_sure']:.4f}"} if "test_sure" in certainty else {}
    return {"images": values["images"], "accuracy": f"{values['accuracy']:.4f}", **said, "report": paths.relative(folder / "report.html")}


def _write_report(report: Report, paths: Paths) -> None:
    """Write the page, and those of its pictures that MLflow and `dvc plots` show, too."""
    folder = paths.stage("evaluate")
    write_bytes(folder / "confusion_matrix.png", report.confusion_matrix.light)
    write_bytes(folder / "reliability.png", report.reliability.light)
    write_bytes(folder / "curves.png", pictures.learning_curves(read_history(paths.stage("train") / "history.csv")))
    write_bytes(folder / "report.html", render(report).encode())


def _warn(report: Report, of_certainty: str) -> None:
    for warning in filter(None, [*report.warnings, of_certainty]):
        print(f"warning: {warning}", file=sys.stderr)


def test_metrics(values: dict[str, Any]) -> dict[str, float]:
    """The metrics of the stage, by the names that MLflow uses too, without the numbers of images and groups and the metrics per class."""
    return {f"test_{name}": value for name, value in values.items() if name not in NOT_METRICS}


def per_class_csv(per_class: dict[str, dict[str, float]], measured: Measured) -> bytes:
    """One line per class: name, precision, recall, F1, number of images, and the share of them whose candidates have the class, empty if not known."""
    covered = ("" if np.isnan(share) else round(float(share), DECIMALS) for share in measured.covered)
    rows = (
        (name, *(numbers[column] for column in PER_CLASS_COLUMNS), share)
        for (name, numbers), share in zip(per_class.items(), covered, strict=True)
    )
    return csv_text([("class", *PER_CLASS_COLUMNS, "one_of_coverage"), *rows]).encode()


def score_test_split(paths: Paths, predict_images: PredictImages) -> Scored:
    """The test split with predictions. Raises StageError if the model has other classes than the images."""
    folder = paths.stage("preprocess")
    model = paths.stage("train") / "model.keras"
    images = np.load(folder / "test" / "images.npy", mmap_mode="r")
    spec = read_json(folder / "spec.json")
    probabilities = predict_images(model, images)
    expected = (len(images), len(spec["class_names"]))
    if probabilities.shape != expected:
        raise StageError(
            f"{paths.relative(model)} gives probabilities of shape {probabilities.shape}, expected {expected} (images, classes) "
            f"as in {paths.relative(folder)}. They are from different runs: `dvc repro` re-runs what is out of date."
        )
    return Scored(images, np.load(folder / "test" / "labels.npy"), pq.read_table(folder / "test" / "index.parquet"), spec, probabilities)


def predictions_table(scored: Scored, answers: Answers) -> pa.Table:
    """One row per test image: path, sha256, label and predicted class by name, its probability, whether it is sure, the candidates, then a probability
    for each class.
    """
    names = np.array(scored.class_names, dtype=object)
    columns = {
        "path": scored.index["path"],
        "sha256": scored.index["sha256"],
        "label": pa.array(names[scored.labels], pa.string()),
        "predicted": pa.array(names[scored.predicted], pa.string()),
        "probability": scored.probabilities.max(axis=1),
        "decision": pa.array(answers.decisions, pa.string()),
        "one_of": pa.array(answers.one_of, pa.list_(pa.string())),
    }
    per_class = {f"probability {name}": scored.probabilities[:, k] for k, name in enumerate(names)}
    return pa.table(columns | per_class)


def rounded(values: metrics.Metrics) -> dict[str, Any]:
    """The same numbers rounded to six decimals, without rounding noise."""
    return {key: rounded(value) if isinstance(value, dict) else round(value, DECIMALS) for key, value in values.items()}  # type: ignore[arg-type]


def build_report(
    config: Config, paths: Paths, scored: Scored, values: dict[str, Any], certain: HowSure, before: metrics.ReliabilityBins | None
) -> Report:
    """The content of report.html, from this split and the outputs of train and cross_validate. before: of the model before its calibration."""
    names, folds = scored.class_names, paths.stage("cross_validate")
    matrix = metrics.confusion_matrix(scored.labels, scored.predicted, len(names))
    bins = metrics.reliability_bins(scored.labels, scored.probabilities)
    fold_rows = read_history(folds / "folds.csv")
    choice = read_json(paths.stage("train") / "choice.json")
    chosen = choice["chosen"]
    cross_validation = {name.removeprefix("cv_"): value for name, value in read_json(folds / "metrics.json").items()}
    score = count_hits([names[i] for i in scored.labels], [names[i] for i in scored.predicted])
    return Report(
        dataset_name=scored.spec["dataset_name"],
        dataset_digest=scored.spec["dataset_digest"],
        source=scored.spec["source"],
        image_shape=scored.images.shape[1:],
        method=chosen["method"],
        model_digest=sha256_file(paths.stage("train") / "model.keras"),
        metrics={key: value for key, value in values.items() if key != "per_class"},
        cross_validation=cross_validation,
        overconfidence=metrics.overconfidence(bins),
        akin=akin_images(paths.stage("preprocess")),
        trained_on="augmented images" if choice["stages"] is None else "the images and their mirror images",
        warnings=[*warnings(score), *unused_settings(choice)],
        classes=class_rows(values["per_class"], matrix),
        confusions=metrics.top_confusions(matrix, names, CONFUSIONS_SHOWN),
        folds=[Fold(int(row["fold"]), int(row["images"]), row["accuracy"], row["loss"]) for row in fold_rows],
        mistakes=confident_mistakes(scored),
        doubts=doubted_labels(pq.read_table(folds / "out_of_fold.parquet")),
        params=shown_params(config, chosen),
        curves=curves(read_history(paths.stage("train") / "history.csv")),
        confusion_matrix=in_both_themes(
            partial(pictures.confusion_matrix, matrix, names), "Confusion matrix: rows are labels, columns are predictions"
        ),
        reliability=in_both_themes(
            partial(pictures.reliability_diagram, bins, before), "Accuracy of the predictions against their confidence"
        ),
        fold_picture=in_both_themes(partial(draw_folds, fold_rows, cross_validation, values["accuracy"]), "Accuracy of each fold"),
        numbered_classes=numbered_classes(names),
        how_sure=certain,
    )


def akin_images(folder: Path) -> int:
    """How many test images have a group in common with training images: near copies, or images that the source says belong together."""
    return int(np.isin(np.load(folder / "test" / "groups.npy"), np.load(folder / "train" / "groups.npy")).sum())


def unused_settings(choice: Mapping[str, Any]) -> list[str]:
    """A sentence on the parameters that were set, but that the chosen method does not use; none if all are used."""
    return [f"Set, but not used by {choice['chosen']['method']}: {', '.join(choice['unused'])}."] if choice["unused"] else []


def confident_mistakes(scored: Scored) -> list[Mistake]:
    """The mistakes shown in the report."""
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


def shown_params(config: Config, chosen: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parameters of the model and this report, by section, and what was chosen for `auto`; the seed, which has no section, is under "general"."""
    sections = {
        "preprocess": config.preprocess,
        "augment": config.augment,
        "model": config.model,
        "train": config.train,
        "cross_validate": config.cross_validate,
        "evaluate": config.evaluate,
    }
    return {"general": {"seed": config.seed}, "chosen": dict(chosen)} | {name: section.model_dump() for name, section in sections.items()}


def log_evaluation(run: Run, values: Mapping[str, float], folder: Path) -> None:
    """Log metrics of test and folds and the files of the stage to the run that made the model, and put the accuracy into its name."""
    run.log_metrics(values)
    for name in OUTPUTS:
        run.log_file(folder / name, "evaluate")
    run.rename(f"{values['test_accuracy']:.1%} {run.tags.get(NAME_TAG, run.name)}")
    run.settle()
