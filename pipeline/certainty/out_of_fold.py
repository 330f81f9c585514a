"""Reads what the networks of the folds say of the training images, and calibrates by it. Knows the files of the stages, no statistics."""

from collections.abc import Sequence

import numpy as np

from pipeline.certainty.calibration import Calibration
from pipeline.certainty.fit import OutOfFold, fit_calibration
from pipeline.certainty.kept_answers import OUT_OF_FOLD, read_kept_answers
from pipeline.familiarity.reference import FAMILIAR_FILE, FAMILIAR_KEY
from pipeline.files import sha256_file
from pipeline.paths import Paths


def calibrate(paths: Paths, class_names: Sequence[str], max_error: float | None) -> Calibration:
    """How sure the model in data/train is, by data/cross_validate alone. max_error: the share of the sure answers that may be wrong; None: not asked.

    What is familiar to the model must be in data/evaluate: a model has one calibration with one of these.
    """
    files = {
        "model_sha256": paths.stage("train") / "model.keras",
        "out_of_fold_sha256": paths.stage("cross_validate") / "out_of_fold.parquet",
        FAMILIAR_KEY: paths.stage("evaluate") / FAMILIAR_FILE,
    }
    return fit_calibration(read_out_of_fold(paths, class_names), max_error, {name: sha256_file(file) for name, file in files.items()})


def read_out_of_fold(paths: Paths, class_names: Sequence[str]) -> OutOfFold:
    """The predictions in data/cross_validate for classes in this order. Raises StageError if they are of other classes or images."""
    groups = np.load(paths.stage("preprocess") / "train" / "groups.npy")
    kept = read_kept_answers(paths, OUT_OF_FOLD, class_names, len(groups))
    return OutOfFold(list(class_names), kept.labels, kept.probabilities, groups)
