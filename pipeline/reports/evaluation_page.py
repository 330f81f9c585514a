"""The parts of the evaluation report, from tables and numbers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pipeline.evaluation.metrics import top_confusions
from pipeline.reports.chart_style import DARK, LIGHT, Theme
from pipeline.reports.evaluation_report import ClassRow, Picture
from pipeline.reports.pictures import QUANTITIES, cross_validation_folds, learning_curves


def class_rows(per_class: dict[str, Any], matrix: np.ndarray) -> list[ClassRow]:
    """The classes in the order of the report: lowest F1 first, classes without test images last. matrix: int (K, K)."""
    pairs = top_confusions(matrix, list(per_class), count=matrix.size)
    most = {pair.label: pair for pair in reversed(pairs)}
    rows = []
    for (name, numbers), answers in zip(per_class.items(), matrix.sum(axis=0), strict=True):
        confused = (most[name].predicted, most[name].share) if name in most else ("", 0.0)
        rows.append(ClassRow(name, **numbers, confused_with=confused[0], confused_share=confused[1], predicted=bool(answers)))
    return sorted(rows, key=lambda row: (row.support == 0, row.f1))


def curves(history: list[dict[str, float]]) -> list[Picture]:
    """Loss and accuracy by epoch: two pictures, so that a narrow page can show one below the other; none for a single epoch."""
    if len(history) < 2:
        return []
    return [
        in_both_themes(partial(learning_curves, history, [quantity]), f"{quantity.capitalize()} over the epochs") for quantity in QUANTITIES
    ]


def draw_folds(rows: list[dict[str, float]], summary: dict[str, float], test_accuracy: float, *, theme: Theme) -> bytes:
    """The chart of the cross-validation folds."""
    accuracies = [row["accuracy"] for row in rows]
    return cross_validation_folds(accuracies, summary["accuracy_low"], summary["accuracy_high"], test_accuracy, theme=theme)


def in_both_themes(draw: Callable[..., bytes], alt: str) -> Picture:
    """A chart in the light and in the dark theme."""
    return Picture(draw(theme=LIGHT), draw(theme=DARK), alt)
