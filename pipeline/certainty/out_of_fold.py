"""Reads what the networks of the folds say of the training images, and calibrates by it. Knows the files of the stages, no statistics."""

from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq

from pipeline.certainty.calibration import Calibration
from pipeline.certainty.fit import OutOfFold, fit_calibration
from pipeline.errors import StageError
from pipeline.files import sha256_file
from pipeline.paths import Paths


def calibrate(paths: Paths, class_names: Sequence[str], max_error: float | None) -> Calibration:
    """How sure the model in data/train is, by data/cross_validate alone. max_error: the share of the sure answers that may be wrong; None: not asked."""
    files = {
        "model_sha256": paths.stage("train") / "model.keras",
        "out_of_fold_sha256": paths.stage("cross_validate") / "out_of_fold.parquet",
    }
    return fit_calibration(read_out_of_fold(paths, class_names), max_error, {name: sha256_file(file) for name, file in files.items()})


def read_out_of_fold(paths: Paths, class_names: Sequence[str]) -> OutOfFold:
    """The predictions in data/cross_validate for classes in this order. Raises StageError if they are of other classes or images."""
    file = paths.stage("cross_validate") / "out_of_fold.parquet"
    table = pq.read_table(file)
    groups = np.load(paths.stage("preprocess") / "train" / "groups.npy")
    columns = [f"probability {name}" for name in class_names]
    said = [name for name in table.column_names if name.startswith("probability ")]
    if said != columns or len(groups) != len(table):
        raise StageError(
            f"{paths.relative(file)} has predictions of {len(table):,} images and {len(said):,} classes, which are not those of data/preprocess "
            f"({len(groups):,} and {len(columns):,}). They are from different runs: `dvc repro` re-runs what is out of date."
        )
    place = {name: k for k, name in enumerate(class_names)}
    labels = np.array([place[name] for name in table["label"].to_pylist()], np.int64)
    return OutOfFold(list(class_names), labels, np.stack([table[name].to_numpy() for name in columns], axis=1), groups)
