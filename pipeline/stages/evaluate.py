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
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.certainty.calibrated_run import calibrated_run
from pipeline.certainty.calibration import CALIBRATION_FILE
from pipeline.certainty.measured import as_metrics, measure, sentence
from pipeline.certainty.out_of_fold import calibrate
from pipeline.certainty.scores import SCORES
from pipeline.errors import StageError
from pipeline.evaluation import metrics
from pipeline.evaluation.counts import count_hits, warnings
from pipeline.evaluation.intervals import macro_f1_and_log_loss
from pipeline.explanation.kept_model import KeptModel
from pipeline.explanation.overlay import picture
from pipeline.familiarity.images import find_familiar
from pipeline.familiarity.reference import FAMILIAR_FILE
from pipeline.files import read_json, sha256_file, write_bytes, write_json, write_table
from pipeline.labels.doubts_section import DOUBTS_SHOWN, LabelDoubts, label_doubts
from pipeline.labels.suspects import find_suspects, labelled_training_images
from pipeline.labels.verdict_file import read_verdicts
from pipeline.params.section import Scalar
from pipeline.paths import Paths
from pipeline.properties.columns import columns_of_test
from pipeline.properties.slices import find_slices
from pipeline.reports import pictures
from pipeline.reports.class_labels import numbered_classes
from pipeline.reports.evaluation_gallery import Explaining, Gallery, gallery
from pipeline.reports.evaluation_page import (
    class_intervals,
    class_rows,
    curves,
    draw_folds,
    in_both_themes,
    unused_settings,
)
from pipeline.reports.evaluation_report import Fold, Report, render
from pipeline.reports.evaluation_tables import per_class_csv, predictions_table, rounded
from pipeline.reports.how_sure import HowSure, how_sure
from pipeline.tracking.lineage import NAME_TAG, read_history
from pipeline.tracking.run_log import Run, Tracker

if TYPE_CHECKING:
    from pipeline.params.reader import Config

CONFUSIONS_SHOWN = 10
OUTPUTS = (
    CALIBRATION_FILE, FAMILIAR_FILE, "predictions.parquet", "metrics.json", "uncertainty.json", "per_class.csv",
    "confusion_matrix.png", "reliability.png", "curves.png", "report.html",
)  # fmt: skip
UNCERTAINTY = ("test_accuracy_low", "test_accuracy_high", "test_calibration_error")
"""In a separate file, with what is known of sure answers, so that the table of `dvc metrics show` fits a terminal."""
NOT_METRICS = ("images", "groups", "per_class")


class Model(Explaining, Protocol):
    """A model at work, as `KeptModel`, which alone loads TensorFlow."""

    def predict(self, images: np.ndarray) -> np.ndarray: ...

    def features(self, images: np.ndarray) -> np.ndarray | None: ...


@dataclass(frozen=True)
class Scored:
    """The test split and the predictions: images uint8 (N, H, W, C), labels int32 (N,), groups int32 (N,), probabilities float32 (N, K)."""

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
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


def run(config: Config, paths: Paths, tracker: Tracker, *, open_model: Callable[[Path], Model] = KeptModel) -> dict[str, Scalar]:
    """Write data/evaluate/ for data/train/model.keras and the test split. Reports the accuracy and where the report is.

    Raises StageError if the model was fitted to other classes.
    """
    model = open_model(paths.stage("train") / "model.keras")
    network = score_test_split(paths, model)
    familiar = find_familiar(paths, model.features, config.train.validation_fraction, seed=config.seed)
    folder = paths.stage("evaluate")
    write_bytes(folder / FAMILIAR_FILE, familiar.as_bytes())
    max_error = None if config.evaluate.max_error == "none" else config.evaluate.max_error
    calibration = calibrate(paths, network.class_names, max_error)
    measured, answers = measure(network.labels, network.probabilities, calibration), calibration.answers(network.probabilities)
    scored = replace(network, probabilities=answers.probabilities)
    values = rounded(
        metrics.classification_metrics(scored.labels, scored.probabilities, scored.class_names, config.evaluate.top_k, scored.groups)
    )
    certain = how_sure(network.labels, network.probabilities, calibration, measured)
    before = metrics.reliability_bins(network.labels, network.probabilities) if calibration.temperature != 1 else None
    scores = SCORES[calibration.score](network.probabilities)
    shown = gallery(model, scored.images, scored.labels, scored.probabilities, scores, scored.class_names, scored.index["path"])
    slices = find_slices(scored.predicted == scored.labels, scored.labels, scored.groups, columns_of_test(paths))
    report = replace(build_report(config, paths, scored, values, certain, before, shown), slices=slices)
    report = replace(report, warnings=[*report.warnings, *filter(None, [familiar.missing])])
    numbers, certainty = test_metrics(values), as_metrics(measured, calibration)
    write_json(folder / CALIBRATION_FILE, calibration.as_json())
    write_table(folder / "predictions.parquet", predictions_table(scored.index, scored.labels, answers, scored.class_names))
    write_json(folder / "metrics.json", {name: value for name, value in numbers.items() if name not in UNCERTAINTY})
    write_json(folder / "uncertainty.json", {name: numbers[name] for name in UNCERTAINTY} | certainty)
    write_bytes(folder / "per_class.csv", per_class_csv(values["per_class"], class_intervals(confusions(scored)), measured))
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


def score_test_split(paths: Paths, model: Model) -> Scored:
    """The test split with predictions. Raises StageError if the model has other classes than the images."""
    folder = paths.stage("preprocess")
    images = np.load(folder / "test" / "images.npy", mmap_mode="r")
    spec = read_json(folder / "spec.json")
    probabilities = model.predict(images)
    expected = (len(images), len(spec["class_names"]))
    if probabilities.shape != expected:
        raise StageError(
            f"{paths.relative(paths.stage('train') / 'model.keras')} gives probabilities of shape {probabilities.shape}, expected {expected} "
            f"(images, classes) as in {paths.relative(folder)}. They are from different runs: `dvc repro` re-runs what is out of date."
        )
    labels, groups = (np.load(folder / "test" / f"{name}.npy") for name in ("labels", "groups"))
    return Scored(images, labels, groups, pq.read_table(folder / "test" / "index.parquet"), spec, probabilities)


def confusions(scored: Scored) -> np.ndarray:
    """int64 (K, K): how many test images of a class (row) were predicted as a class (column)."""
    return metrics.confusion_matrix(scored.labels, scored.predicted, len(scored.class_names))


def build_report(
    config: Config,
    paths: Paths,
    scored: Scored,
    values: dict[str, Any],
    certain: HowSure,
    before: metrics.ReliabilityBins | None,
    shown: Gallery,
) -> Report:
    """The content of report.html, from this split and the outputs of train and cross_validate. before: of the model before its calibration."""
    names, folds = scored.class_names, paths.stage("cross_validate")
    matrix = confusions(scored)
    bins = metrics.reliability_bins(scored.labels, scored.probabilities)
    fold_rows, history = read_history(folds / "folds.csv"), read_history(paths.stage("train") / "history.csv")
    choice = read_json(paths.stage("train") / "choice.json")
    cross_validation = {name.removeprefix("cv_"): value for name, value in read_json(folds / "metrics.json").items()}
    score = count_hits([names[i] for i in scored.labels], [names[i] for i in scored.predicted])
    macro_f1, log_loss = macro_f1_and_log_loss(scored.labels, scored.probabilities, scored.groups)
    params = shown_params(config, choice["chosen"])
    return Report(
        dataset_name=scored.spec["dataset_name"],
        dataset_digest=scored.spec["dataset_digest"],
        source=scored.spec["source"],
        image_shape=scored.images.shape[1:],
        method=choice["chosen"]["method"],
        model_digest=sha256_file(paths.stage("train") / "model.keras"),
        metrics={key: value for key, value in values.items() if key != "per_class"},
        intervals={"macro_f1": macro_f1, "log_loss": log_loss},
        score=score,
        cross_validation=cross_validation,
        overconfidence=metrics.overconfidence(bins),
        akin=int(np.isin(scored.groups, np.load(paths.stage("preprocess") / "train" / "groups.npy")).sum()),
        trained_on="augmented images" if choice["stages"] is None else "the images and their mirror images",
        warnings=[*warnings(score, values["accuracy_low"]), *unused_settings(choice)],
        classes=class_rows(values["per_class"], matrix, class_intervals(matrix)),
        confusions=metrics.top_confusions(matrix, names, CONFUSIONS_SHOWN),
        folds=[Fold(int(row["fold"]), int(row["images"]), row["accuracy"], row["loss"]) for row in fold_rows],
        gallery=shown,
        params=params,
        unusual={name: value for name, value in config.flat().items() if name in config.unusual() and name.partition(".")[0] in params},
        curves=curves(history),
        epochs=len(history),
        confusion_matrix=in_both_themes(
            partial(pictures.confusion_matrix, matrix, names), "Confusion matrix: rows are labels, columns are predictions"
        ),
        reliability=in_both_themes(
            partial(pictures.reliability_diagram, bins, before), "Accuracy of the predictions against their confidence"
        ),
        fold_picture=in_both_themes(partial(draw_folds, fold_rows, cross_validation, values), "Accuracy of each fold"),
        numbered_classes=numbered_classes(names),
        how_sure=certain,
        label_doubts=doubted_labels(paths),
    )


def doubted_labels(paths: Paths) -> LabelDoubts:
    """The training labels that are probably wrong, without those that a person has judged."""
    images = labelled_training_images(paths)
    packed = np.load(paths.stage("preprocess") / "train" / "images.npy", mmap_mode="r")
    suspects = find_suspects(images, read_verdicts(paths.verdicts), DOUBTS_SHOWN)
    return label_doubts(suspects, len(images.labels), lambda row: picture(np.asarray(packed[row])))


def shown_params(config: Config, chosen: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parameters of the model and this report, by section, and what was chosen for `auto`; the seed, which has no section, is under "general"."""
    sections = {
        "preprocess": config.preprocess, "augment": config.augment, "model": config.model, "train": config.train,
        "cross_validate": config.cross_validate, "evaluate": config.evaluate,
    }  # fmt: skip
    return {"general": {"seed": config.seed}, "chosen": dict(chosen)} | {name: section.model_dump() for name, section in sections.items()}


def log_evaluation(run: Run, values: Mapping[str, float], folder: Path) -> None:
    """Log metrics of test and folds and the files of the stage to the run that made the model, and put the accuracy into its name."""
    run.log_metrics(values)
    for name in OUTPUTS:
        run.log_file(folder / name, "evaluate")
    run.rename(f"{values['test_accuracy']:.1%} {run.tags.get(NAME_TAG, run.name)}")
    run.settle()
