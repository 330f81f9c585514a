"""Fit k folds with the same function that `train` uses, and predict each training image by the model that has not seen it."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pyarrow as pa

from pipeline.config import Config
from pipeline.ml.device import choose_compute
from pipeline.ml.fit import Fitter, fit_notice, plan_fit
from pipeline.ml.metrics import cross_validation_summary, log_loss
from pipeline.ml.predict import predict
from pipeline.paths import Paths
from pipeline.progress import Progress
from pipeline.stores.arrays import TrainingSet, read_index, read_training_set
from pipeline.stores.files import sha256_file, write_bytes, write_json, write_table
from pipeline.stores.lineage import FOLDS_TAG, finishing, log_epoch, open_run, start_fold
from pipeline.stores.run_log import Run, Scalar, Tracker


def run(config: Config, paths: Paths, tracker: Tracker) -> Mapping[str, Scalar]:
    """Write data/cross_validate/: folds.csv, out_of_fold.parquet, metrics.json. Reports mean and standard deviation."""
    compute = choose_compute(config.train.device, config.train.precision)
    training = read_training_set(paths.stage("preprocess"))
    index = read_index(paths.stage("preprocess"), "train")
    folds = np.array(index["fold"])
    fold_numbers = np.unique(folds)
    plans = [plan_fit(int((folds != fold).sum()), config.train) for fold in fold_numbers]
    print(fit_notice(f"cross_validate: {len(plans)} folds", plans[0], compute), flush=True)
    fitter = Fitter(training.images.shape[1:], len(training.class_names), config, compute)
    probabilities = np.zeros((len(folds), len(training.class_names)), np.float32)
    with (
        open_run(tracker, "cross_validation", config, paths, {"device": compute.device, "precision": compute.precision}) as log,
        Progress("cross_validate", sum(plan.steps for plan in plans), "steps") as progress,
    ):
        for fold in fold_numbers:
            held_out = folds == fold
            probabilities[held_out] = _fit_fold(int(fold), held_out, fitter, training, progress, start_fold(tracker, log, int(fold)))
        summary = _save(probabilities, index, training, paths)
        log.log_metrics({f"cv_{name}": value for name, value in summary.items() if name.startswith("accuracy")})
        log.set_tags({FOLDS_TAG: sha256_file(paths.stage("cross_validate") / "out_of_fold.parquet")})
    return {"folds": len(plans), "accuracy": f"{summary['accuracy_mean']:.4f} ± {summary['accuracy_std']:.4f}"}


def _fit_fold(fold: int, held_out: np.ndarray, fitter: Fitter, training: TrainingSet, progress: Progress, log: Run) -> np.ndarray:
    """Probabilities float32 (M, K) of the M images of one fold."""
    with finishing(log):
        fitted = fitter.fit(
            training.images,
            training.labels,
            held_out,
            watch=False,
            on_steps=progress.advance,
            on_epoch=lambda epoch: log_epoch(log, asdict(epoch)),
        )
        rows = np.flatnonzero(held_out)
        predicted = predict(fitted.model, training.images[rows])
        score = _score(predicted, training.labels[rows])
        log.log_metrics(score)
        progress.note(f"fold {fold}: accuracy {score['accuracy']:.4f}, loss {score['loss']:.4f}, {len(rows):,} images")
    return predicted


def _score(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What folds.csv says of a fold: `images`, `accuracy`, `loss` (cross-entropy)."""
    return {
        "images": len(labels),
        "accuracy": round(float((probabilities.argmax(axis=1) == labels).mean()), 6),
        "loss": round(log_loss(labels, probabilities), 6),
    }


def _save(probabilities: np.ndarray, index: dict[str, list[object]], training: TrainingSet, paths: Paths) -> dict[str, float]:
    """Write the stage's files; returns the summary over the folds."""
    folds = np.array(index["fold"])
    folder = paths.stage("cross_validate")
    scores = [(int(fold), _score(probabilities[folds == fold], training.labels[folds == fold])) for fold in np.unique(folds)]
    summary = {name: round(value, 6) for name, value in cross_validation_summary([score["accuracy"] for _, score in scores]).items()}
    lines = [f"{fold},{score['images']},{score['accuracy']:.6f},{score['loss']:.6f}" for fold, score in scores]
    write_bytes(folder / "folds.csv", "\n".join(["fold,images,accuracy,loss", *lines, ""]).encode())
    write_table(folder / "out_of_fold.parquet", _out_of_fold(probabilities, index, training))
    write_json(folder / "metrics.json", {**summary, "folds": len(scores)})
    return summary


def _out_of_fold(probabilities: np.ndarray, index: dict[str, list[object]], training: TrainingSet) -> pa.Table:
    """path, sha256, fold, label, predicted, and one column of probabilities per class."""
    names = np.array(training.class_names)
    by_class = {f"probability {name}": probabilities[:, i] for i, name in enumerate(training.class_names)}
    return pa.table({**index, "label": names[training.labels], "predicted": names[probabilities.argmax(axis=1)], **by_class})
