"""Reads the answers that a stage has kept: a row per image with sha256, label and a probability for each class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from pipeline.errors import StageError
from pipeline.paths import Paths

OUT_OF_FOLD = "cross_validate", "out_of_fold.parquet"
TEST = "evaluate", "predictions.parquet"
PREFIX = "probability "
MARGIN = "margin"


@dataclass(frozen=True)
class KeptAnswers:
    """Of N images: sha256; labels int64 (N,); probabilities float32 (N, K); margins float32 (N,), of the label while the folds were fitted to the image,
    NaN where none was; None of test images, and of classifiers alone.
    """

    sha256: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray
    margins: np.ndarray | None = None


def read_kept_answers(paths: Paths, kept: tuple[str, str], class_names: Sequence[str], images: int) -> KeptAnswers:
    """The answers in OUT_OF_FOLD or TEST for classes in this order. Raises StageError if they are of other classes or not of so many images."""
    stage, name = kept
    file = paths.stage(stage) / name
    table = pq.read_table(file)
    columns, said = [f"{PREFIX}{name}" for name in class_names], [name for name in table.column_names if name.startswith(PREFIX)]
    if said != columns or images != len(table):
        raise StageError(
            f"{paths.relative(file)} has predictions of {len(table):,} images and {len(said):,} classes, which are not those of data/preprocess "
            f"({images:,} and {len(columns):,}). They are from different runs: `dvc repro` re-runs what is out of date."
        )
    place = {name: k for k, name in enumerate(class_names)}
    labels = np.array([place[name] for name in table["label"].to_pylist()], np.int64)
    margins = table[MARGIN].to_numpy() if MARGIN in table.column_names else None
    return KeptAnswers(table["sha256"].to_pylist(), labels, np.stack([table[name].to_numpy() for name in columns], axis=1), margins)
