"""Charts and images as PNG bytes, the same for the same input. Arrays and plain values in, bytes out. Knows nothing of files or MLflow."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from pipeline.reports.chart_style import LIGHT, Theme, drawn_as_png
from pipeline.reports.class_labels import class_labels

if TYPE_CHECKING:  # it imports scikit-learn, which takes a second
    from pipeline.evaluation.metrics import ReliabilityBins

MOST_CLASSES_WITH_COUNTS = 16
MOST_CLASSES_WITH_NAMES = 110
MOST_CLASSES_WITH_LINES = 30
MOST_SHOWN = 1.01
"""Where the axis of an accuracy ends: there is none above 100 %."""
QUANTITIES = ("loss", "accuracy")


@drawn_as_png
def learning_curves(history: Sequence[Mapping[str, float]], quantities: Sequence[str] = QUANTITIES, *, theme: Theme = LIGHT) -> Figure:
    """One panel per quantity, `loss` or `accuracy`: training and validation by epoch.

    history: one row per epoch, in order, with `epoch`, `loss`, `accuracy`, `validation_loss`, `validation_accuracy`; values may be NaN.
    """
    figure = Figure(figsize=(5.2 * len(quantities), 3.3), layout="constrained")
    for axes, quantity in zip(figure.subplots(1, len(quantities), squeeze=False)[0], quantities, strict=True):
        _draw_curve(axes, theme, history, quantity)
    return figure


def _draw_curve(axes: Axes, theme: Theme, history: Sequence[Mapping[str, float]], quantity: str) -> None:
    epochs = [row["epoch"] for row in history]
    marker = "o" if len(epochs) <= 30 else ""
    for name, key, colour in (("training", quantity, theme.first), ("validation", f"validation_{quantity}", theme.second)):
        axes.plot(epochs, [row[key] for row in history], color=colour, marker=marker, markersize=4.5, label=name)
    axes.set_title(quantity.capitalize())
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if quantity == "accuracy":
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.set_ylim(top=min(axes.get_ylim()[1], MOST_SHOWN))
    axes.legend()


def _percent(share: float, _position: int | None = None) -> str:
    return f"{100 * share:.4g} %"


@drawn_as_png
def confusion_matrix(matrix: np.ndarray, class_names: Sequence[str], *, theme: Theme = LIGHT) -> Figure:
    """A confusion matrix int (K, K), rows are labels, columns predictions, coloured by the share of the row.

    The colour scale is a square root, so that a confusion of one per cent is visible. With few classes each cell shows its number of images; with
    many the names are smaller, and beyond 110 only some are shown.
    """
    count = len(class_names)
    side_inches = min(12.0, max(3.6, 1.2 + 0.42 * count))
    figure = Figure(figsize=(side_inches + 2.0, side_inches + 1.0), layout="constrained")
    axes = figure.subplots()
    colours = LinearSegmentedColormap.from_list("share", [theme.paper, theme.first])
    image = axes.imshow(_row_shares(matrix), cmap=colours, norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    _name_classes(axes, class_names, 72 * side_inches / count)
    _frame_cells(axes, theme, count)
    if count <= MOST_CLASSES_WITH_COUNTS:
        _write_counts(axes, theme, matrix)
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1], format=FuncFormatter(_percent))
    bar.outline.set_visible(False)
    bar.set_label("share of the images of a class")
    return figure


def _name_classes(axes: Axes, class_names: Sequence[str], points_per_class: float) -> None:
    """Class names along both axes, as large as fits."""
    every = math.ceil(len(class_names) / MOST_CLASSES_WITH_NAMES)
    positions = range(0, len(class_names), every)
    labels = class_labels(class_names)
    names = [labels[i] for i in positions]
    size = min(9.5, max(4.5, 0.8 * points_per_class * every))
    if len(names) > MOST_CLASSES_WITH_COUNTS:
        axes.set_xticks(positions, names, fontsize=size, rotation=90)
    else:
        axes.set_xticks(positions, names, fontsize=size, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(positions, names, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    axes.grid(visible=False)


def _frame_cells(axes: Axes, theme: Theme, count: int) -> None:
    """Lines between the cells, so that empty ones can be seen."""
    axes.spines[:].set(visible=True, color=theme.grid)
    if count <= MOST_CLASSES_WITH_LINES:
        axes.set_xticks(np.arange(count - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(count - 1) + 0.5, minor=True)
        axes.grid(visible=True, which="minor", color=theme.grid, linewidth=0.8)
        axes.set_axisbelow(False)
        axes.tick_params(which="minor", length=0)


def _write_counts(axes: Axes, theme: Theme, matrix: np.ndarray) -> None:
    shares = _row_shares(matrix)
    digits = len(str(int(matrix.max(initial=0))))
    for i, j in zip(*np.nonzero(matrix), strict=True):
        colour = theme.paper if shares[i, j] > 0.3 else theme.text
        axes.text(int(j), int(i), str(matrix[i, j]), ha="center", va="center", color=colour, fontsize=9 if digits <= 4 else 7)


def _row_shares(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))


@drawn_as_png
def reliability_diagram(bins: "ReliabilityBins", before: "ReliabilityBins | None" = None, *, theme: Theme = LIGHT) -> Figure:
    """Accuracy by confidence, and below it the share of images by confidence. before: what it was before the calibration."""
    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
    filled = bins.counts > 0
    left, width = bins.edges[:-1][filled], np.diff(bins.edges)[filled]
    upper.plot([0, 1], [0, 1], color=theme.text, linewidth=1, linestyle=(0, (4, 3)), label="perfectly calibrated")
    upper.bar(left, bins.accuracy[filled], width * 0.92, align="edge", color=theme.first, alpha=0.35)
    if before is not None:
        there = before.counts > 0
        upper.plot(
            before.confidence[there],
            before.accuracy[there],
            color=theme.second,
            linewidth=1.2,
            marker=".",
            clip_on=False,
            label="uncalibrated",
        )
    upper.plot(bins.confidence[filled], bins.accuracy[filled], color=theme.first, marker="o", clip_on=False, label="this model")
    upper.set(title="Reliability diagram: accuracy by confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    upper.legend(loc="upper left")
    lower.bar(left, bins.counts[filled] / max(int(bins.counts.sum()), 1), width * 0.92, align="edge", color=theme.second)
    lower.set(xlabel="confidence: probability of the predicted class", ylabel="images")
    lower.yaxis.set_major_locator(MaxNLocator(3, prune="lower"))
    for axis in (upper.xaxis, upper.yaxis, lower.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    return figure


@drawn_as_png
def cross_validation_folds(
    accuracies: Sequence[float],
    interval: tuple[float, float],
    test_accuracy: float,
    test_interval: tuple[float, float],
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """A dot per fold (from 0), their mean and the test accuracy as lines, the intervals of both as bands; all from 0 to 1."""
    figure = Figure(figsize=(5.2, 1.9 + 0.22 * len(accuracies)), layout="constrained")
    axes = figure.subplots()
    folds = range(len(accuracies))
    mean = float(np.mean(accuracies))
    axes.axvspan(*test_interval, color=theme.second, alpha=0.15, linewidth=0, label="test interval")
    axes.axvspan(*interval, color=theme.first, alpha=0.2, linewidth=0, label="interval")
    axes.axvline(mean, color=theme.first, linewidth=1.5, label="mean of the folds")
    axes.axvline(test_accuracy, color=theme.second, linewidth=1.5, linestyle=(0, (4, 3)), label="test split")
    axes.plot(accuracies, folds, "o", color=theme.first, markersize=7, clip_on=False)
    axes.set(title="Accuracy of each fold", ylabel="fold", yticks=folds, ylim=(len(folds) - 0.4, -0.6))
    axes.margins(x=0.08)
    axes.set_xlim(right=min(axes.get_xlim()[1], MOST_SHOWN))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.grid(visible=False, axis="y")
    test_band, band, line, test_line = axes.get_legend_handles_labels()[0]
    handles, labels = [line, band, test_line, test_band], ["mean of the folds", "95 % interval", "test split", "95 % interval"]
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8.5, columnspacing=1.2, handlelength=1.5)
    return figure


@drawn_as_png
def augmented_samples(images: np.ndarray, class_names: Sequence[str], *, notes: Sequence[str] = (), theme: Theme = LIGHT) -> Figure:
    """Rows of images uint8 (R, K, H, W, C), the first of each row original, the others augmented; `class_names` label the rows.

    `notes`: lines below.
    """
    row_count, column_count, height, width = images.shape[:4]
    gap_x, gap_y = max(1, width // 12), max(1, height // 12)
    rgba = _mosaic(images, gap_x, gap_y)
    caption_inches = 0.25 * len(notes)
    figure = Figure(figsize=(1.0 * column_count + 1.4, 1.0 * row_count * height / width + 0.4 + caption_inches), layout="constrained")
    axes = figure.subplots()
    axes.imshow(rgba, interpolation="nearest", extent=(0, rgba.shape[1], rgba.shape[0], 0))
    axes.spines[:].set_visible(False)
    axes.set_yticks(np.arange(row_count) * (height + gap_y) + height / 2, class_labels(class_names))
    axes.set_xticks(np.arange(2) * (width + gap_x) + width / 2, ["as it is", "augmented"], fontsize=9)
    axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    if notes:
        axes.set_xlabel("\n".join(notes), fontsize=9)
    return figure


def _mosaic(images: np.ndarray, gap_x: int, gap_y: int) -> np.ndarray:
    """RGBA uint8 (height, width, 4) of rows of images uint8 (R, K, H, W, C), with transparent gaps, in px."""
    row_count, column_count, height, width, channels = images.shape
    mosaic = np.zeros((row_count * (height + gap_y) - gap_y, column_count * (width + gap_x) - gap_x, channels + 1), np.uint8)
    for row, column in np.ndindex(row_count, column_count):
        top, left = row * (height + gap_y), column * (width + gap_x)
        mosaic[top : top + height, left : left + width, :channels] = images[row, column]
        mosaic[top : top + height, left : left + width, channels] = 255
    return mosaic if channels == 3 else mosaic[..., [0, 0, 0, 1]]
