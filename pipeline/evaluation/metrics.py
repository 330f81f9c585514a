"""Metrics of predictions, with their uncertainty.

Pure functions: labels int (N,) and probabilities float (N, K) in, class k is `class_names[k]`; numbers and small arrays out, never NaN, even if a
class has no images in the split. Knows nothing of files, models or MLflow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn import metrics as sklearn_metrics

from pipeline.evaluation.paired import CONFIDENCE_LEVEL
from pipeline.evaluation.proportion import accuracy_interval

CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = 1e-7

Number = int | float
PerClass = dict[str, dict[str, Number]]
Metrics = dict[str, Number | PerClass]


@dataclass(frozen=True)
class ReliabilityBins:
    """Predictions grouped by confidence into B bins of equal width.

    edges: float (B + 1,), from 0 to 1. counts: int (B,). confidence, accuracy: float (B,), means within each bin; 0 if it is empty.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


@dataclass(frozen=True)
class Confusion:
    """`count` images of class `label` were predicted as `predicted`: a `share` (0 to 1) of all images of that class."""

    label: str
    predicted: str
    count: int
    share: float


def classification_metrics(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str], top_k: int, groups: np.ndarray
) -> Metrics:
    """All metrics of a split: single numbers first, then `per_class`.

    labels: int (N,), N at least 1. probabilities: float (N, K). groups: int (N,), images that belong together have the same number; `groups` is how
    many there are. `accuracy_low` and `accuracy_high` are the ends of `accuracy_interval`.
    `top_{k}_accuracy` is left out if k is not below K: it would be 1. `macro_f1` is the mean over the classes that occur in the labels
    or the predictions; a class that occurs in neither has zeros and support 0 in `per_class`.
    """
    predicted = probabilities.argmax(axis=1)
    low, high = accuracy_interval(predicted == labels, groups)
    numbers: Metrics = {"accuracy": int((predicted == labels).sum()) / len(labels), "accuracy_low": low, "accuracy_high": high}
    if top_k < len(class_names):
        numbers[f"top_{top_k}_accuracy"] = top_k_accuracy(labels, probabilities, top_k)
    return numbers | {
        "macro_f1": float(sklearn_metrics.f1_score(labels, predicted, average="macro", zero_division=0)),
        "log_loss": log_loss(labels, probabilities),
        "calibration_error": calibration_error(reliability_bins(labels, probabilities)),
        "images": len(labels),
        "groups": len(np.unique(groups)),
        "per_class": per_class_metrics(labels, predicted, class_names),
    }


def top_k_accuracy(labels: np.ndarray, probabilities: np.ndarray, top_k: int) -> float:
    """The share of the images (N,) whose label is among the `top_k` most likely of K classes; top_k < K."""
    every_class = np.arange(probabilities.shape[1])
    return float(sklearn_metrics.top_k_accuracy_score(labels, probabilities, k=top_k, labels=every_class))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log probability of the label, in nats; probabilities are clipped to at least 1e-7, so that the mean is finite."""
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(of_label, SMALLEST_PROBABILITY, 1)).mean())


def per_class_metrics(labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]) -> PerClass:
    """Precision, recall, F1 (0 to 1; 0 if undefined) and support (images) of each class. labels, predicted: int (N,)."""
    columns = sklearn_metrics.precision_recall_fscore_support(labels, predicted, labels=np.arange(len(class_names)), zero_division=0)
    return {
        name: {"precision": float(precision), "recall": float(recall), "f1": float(f1), "support": int(support)}
        for name, precision, recall, f1, support in zip(class_names, *columns, strict=True)
    }


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, class_count: int) -> np.ndarray:
    """int64 (K, K): how many images of class (row) were predicted as class (column). labels, predicted: int (N,)."""
    return np.asarray(sklearn_metrics.confusion_matrix(labels, predicted, labels=np.arange(class_count)))


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """float (K, K): a confusion matrix with each row divided by its sum; an empty row stays zero."""
    shares: np.ndarray = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return shares


def top_confusions(matrix: np.ndarray, class_names: Sequence[str], count: int) -> list[Confusion]:
    """At most `count` confused pairs of classes, the most frequent first, from a confusion matrix int (K, K)."""
    mistakes = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    pairs = [divmod(int(i), len(matrix)) for i in order if mistakes.flat[i] > 0]
    shares = row_shares(matrix)
    return [Confusion(class_names[i], class_names[j], int(matrix[i, j]), float(shares[i, j])) for i, j in pairs]


def confident_mistakes(labels: np.ndarray, probabilities: np.ndarray, count: int) -> np.ndarray:
    """int (M,), M at most `count`: misclassified rows, the most confident first. labels: int (N,), probabilities: float (N, K)."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]


def reliability_bins(labels: np.ndarray, probabilities: np.ndarray, bins: int = CALIBRATION_BINS) -> ReliabilityBins:
    """The predictions by confidence (probability of the predicted class), in half-open bins: (0, 1/B], …, ((B-1)/B, 1].

    labels: int (N,). probabilities: float (N, K).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    hits = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    divisor = np.maximum(counts, 1)
    return ReliabilityBins(
        edges,
        counts,
        np.bincount(bin_of, weights=confidence, minlength=bins) / divisor,
        np.bincount(bin_of, weights=hits, minlength=bins) / divisor,
    )


def calibration_error(bins: ReliabilityBins) -> float:
    """Expected calibration error: the mean distance (0 to 1) between confidence and accuracy, each bin weighted by its images.

    Source: Guo et al. (2017), On calibration of modern neural networks, ICML, equation 3; 15 bins as there.
    """
    distance = np.abs(bins.confidence - bins.accuracy)
    return float((bins.counts * distance).sum() / max(int(bins.counts.sum()), 1))


def overconfidence(bins: ReliabilityBins) -> float:
    """Mean confidence minus accuracy (-1 to 1): above 0 if a model is overconfident."""
    return float((bins.counts * (bins.confidence - bins.accuracy)).sum() / max(int(bins.counts.sum()), 1))


def cross_validation_summary(accuracies: Sequence[float], correct: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Mean, sample standard deviation and 95 % interval of k fold accuracies, k >= 2.

    correct: bool (N,), whether each image was predicted correctly by the model that was not fitted to it. groups: int (N,). The interval is that of
    Student's t over the folds (k - 1 degrees of freedom, clipped to 0…1), and at each end never narrower than `accuracy_interval` of all images: equal
    folds have no spread, however few images they are of. It is approximate and tends to be too narrow: the folds share training images, so their
    accuracies are not independent, and no unbiased estimate of the variance exists. Source: Bengio and Grandvalet (2004), No unbiased estimator of
    the variance of k-fold cross-validation, JMLR 5.
    """
    values = np.asarray(accuracies, dtype=np.float64)
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    half_width = float(stats.t.ppf((1 + CONFIDENCE_LEVEL) / 2, len(values) - 1)) * deviation / float(np.sqrt(len(values)))
    low, high = accuracy_interval(correct, groups)
    return {
        "accuracy_mean": mean,
        "accuracy_std": deviation,
        "accuracy_low": max(0.0, min(mean - half_width, low)),
        "accuracy_high": min(1.0, max(mean + half_width, high)),
    }
