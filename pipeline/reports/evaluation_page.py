"""The parts of the evaluation report, from tables and numbers."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from pipeline.evaluation.intervals import wilson_intervals
from pipeline.reports.chart_style import DARK, LIGHT, Theme
from pipeline.reports.evaluation_report import ClassRow, Picture
from pipeline.reports.pictures import QUANTITIES, cross_validation_folds, learning_curves


def class_rows(per_class: dict[str, Any], matrix: np.ndarray, intervals: np.ndarray) -> list[ClassRow]:
    """The classes in the order of the report: those of which most is missed first, of equal ones those with more images; those without any last.

    matrix: int (K, K), rows are labels. intervals: float (K, 4), as `class_intervals` gives them.
    """
    names, rows = list(per_class), []
    for i, (name, numbers) in enumerate(per_class.items()):
        wrong = np.where(np.arange(len(names)) == i, 0, matrix[i])
        confusions = [(names[j], int(wrong[j])) for j in np.argsort(-wrong, kind="stable") if wrong[j]]
        most, count = confusions[0] if confusions else ("", 0)
        ends = [float(end) for end in intervals[i]]
        rows.append(
            ClassRow(
                name,
                **numbers,
                confused_with=most,
                confused_share=count / max(int(matrix[i].sum()), 1),
                predicted=bool(matrix[:, i].any()),
                precision_interval=(ends[0], ends[1]),
                recall_interval=(ends[2], ends[3]),
                confusions=confusions,
            )
        )
    return sorted(rows, key=lambda row: (row.support == 0, row.recall, -row.support))


def class_intervals(matrix: np.ndarray) -> np.ndarray:
    """float (K, 4): low and high of the 95 % interval of the precision of each class, and of its recall. matrix: int (K, K), rows are labels."""
    hits = np.diag(matrix)
    return np.concatenate([wilson_intervals(hits, matrix.sum(axis=0)), wilson_intervals(hits, matrix.sum(axis=1))], axis=1)


def curves(history: list[dict[str, float]]) -> list[Picture]:
    """Loss and accuracy by epoch: two pictures, so that a narrow page can show one below the other; none for a single epoch."""
    if len(history) < 2:
        return []
    return [
        in_both_themes(partial(learning_curves, history, [quantity]), _from_first_to_last(quantity, history)) for quantity in QUANTITIES
    ]


def _from_first_to_last(quantity: str, history: list[dict[str, float]]) -> str:
    """What a curve shows, for those who cannot see it."""
    first, last = history[0], history[-1]
    ends = [
        f"{kind} from {first[key]:.3f} to {last[key]:.3f}"
        for kind, key in (("training", quantity), ("validation", f"validation_{quantity}"))
        if not np.isnan(last[key])
    ]
    return f"{quantity.capitalize()} over {len(history)} epochs: {', '.join(ends)}"


def draw_folds(rows: list[dict[str, float]], summary: dict[str, float], test: dict[str, Any], *, theme: Theme) -> bytes:
    """The chart of the cross-validation folds beside the test split."""
    accuracies = [row["accuracy"] for row in rows]
    folds = (summary["accuracy_low"], summary["accuracy_high"])
    return cross_validation_folds(accuracies, folds, test["accuracy"], (test["accuracy_low"], test["accuracy_high"]), theme=theme)


def in_both_themes(draw: Callable[..., bytes], alt: str) -> Picture:
    """A chart in the light and in the dark theme."""
    return Picture(draw(theme=LIGHT), draw(theme=DARK), alt)


def unused_settings(choice: Mapping[str, Any]) -> list[str]:
    """A sentence on the parameters that were set, but that the chosen method does not use; none if all are used."""
    return [f"Set, but not used by {choice['chosen']['method']}: {', '.join(choice['unused'])}."] if choice["unused"] else []
