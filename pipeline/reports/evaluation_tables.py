"""The results of the evaluation as tables for programs: a row per test image, a line per class."""

from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.certainty.calibration import Answers
from pipeline.certainty.measured import Measured
from pipeline.csv_text import csv_text

DECIMALS = 6
PER_CLASS_COLUMNS = ("precision", "recall", "f1", "support")
INTERVAL_COLUMNS = ("precision_low", "precision_high", "recall_low", "recall_high")


def rounded(values: dict[str, Any]) -> dict[str, Any]:
    """The same numbers rounded to six decimals, without rounding noise."""
    return {key: rounded(value) if isinstance(value, dict) else round(value, DECIMALS) for key, value in values.items()}


def predictions_table(index: pa.Table, labels: np.ndarray, answers: Answers, class_names: list[str]) -> pa.Table:
    """One row per test image: path, sha256, label and predicted class by name, its probability, whether it is sure, the candidates, then a probability
    for each class. index: the paths and digests of the images. labels: int (N,).
    """
    names = np.array(class_names, dtype=object)
    columns = {
        "path": index["path"],
        "sha256": index["sha256"],
        "label": pa.array(names[labels], pa.string()),
        "predicted": pa.array(names[answers.probabilities.argmax(axis=1)], pa.string()),
        "probability": answers.probabilities.max(axis=1),
        "decision": pa.array(answers.decisions, pa.string()),
        "one_of": pa.array(answers.one_of, pa.list_(pa.string())),
    }
    per_class = {f"probability {name}": answers.probabilities[:, k] for k, name in enumerate(names)}
    return pa.table(columns | per_class)


def per_class_csv(per_class: dict[str, dict[str, float]], intervals: np.ndarray, measured: Measured) -> bytes:
    """One line per class: name, precision, recall, F1, number of images, the ends of the 95 % intervals of precision and recall, and the share of the
    images whose candidates have the class, empty if not known. intervals: float (K, 4).
    """
    covered = ("" if np.isnan(share) else round(float(share), DECIMALS) for share in measured.covered)
    rows = (
        (name, *(numbers[column] for column in PER_CLASS_COLUMNS), *(round(float(end), DECIMALS) for end in ends), share)
        for (name, numbers), ends, share in zip(per_class.items(), intervals, covered, strict=True)
    )
    return csv_text([("class", *PER_CLASS_COLUMNS, *INTERVAL_COLUMNS, "one_of_coverage"), *rows]).encode()
