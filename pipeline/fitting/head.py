"""A linear classifier on the features of a pretrained network, by multinomial logistic regression. Arrays in, arrays out; no TensorFlow.

Features are standardised over the training images and divided by the square root of their number, so that one grid of strengths suits all networks
and data sets. The views of an image (itself and its mirror image) are images of their own to fit to; their probabilities are averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

from pipeline.dataset.splits import stratified_folds

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""The inverse strengths of the penalty that are tried, scikit-learn's C, from the simplest classifier on."""
FEWEST_TO_CHOOSE_BY = 200
"""With fewer validation images the strength is chosen by folds of the training images."""
INNER_FOLDS = 3
ITERATIONS = 300
TOLERANCE = 1e-3
LEAST_DEVIATION = 1e-6
NEVER = -30.0
"""The logit of a class without a training image."""
BATCH_SIZE = 4096


@dataclass(frozen=True)
class Head:
    """Logits of features (N, F) are features @ kernel + bias. kernel: float32 (F, K). bias: float32 (K,). strength: one of STRENGTHS."""

    kernel: np.ndarray
    bias: np.ndarray
    strength: float

    def probabilities(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 (N, K), averaged over the views of embeddings float32 (N, V, F); an array or a memory map, read in batches."""
        batches = [self._of(np.asarray(embeddings[i : i + BATCH_SIZE])) for i in range(0, len(embeddings), BATCH_SIZE)]
        return np.concatenate(batches) if batches else np.empty((0, len(self.bias)), np.float32)

    def _of(self, embeddings: np.ndarray) -> np.ndarray:
        logits = embeddings @ self.kernel + self.bias
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities: np.ndarray = (powers / powers.sum(axis=-1, keepdims=True)).mean(axis=1).astype(np.float32)
        return probabilities


class Score(NamedTuple):
    """Mean cross-entropy and accuracy."""

    loss: float
    accuracy: float


def fit_head(embeddings: np.ndarray, labels: np.ndarray, class_count: int, strength: float, weights: np.ndarray | None = None) -> Head:
    """The classifier of embeddings float32 (N, V, F) with labels int (N,), of which some of the `class_count` classes may have none.

    weights: float (class_count,), the weight of an image of each class.
    """
    present = np.unique(labels)
    if len(present) == 1:
        bias = np.full(class_count, NEVER, np.float32)
        bias[present] = 0
        return Head(np.zeros((embeddings.shape[-1], class_count), np.float32), bias, strength)
    rows = np.asarray(embeddings).reshape(-1, embeddings.shape[-1])
    mean, scale = _standardisation(rows)
    of_each = None if weights is None else np.repeat(weights[labels], embeddings.shape[1])
    model = LogisticRegression(C=strength, tol=TOLERANCE, max_iter=ITERATIONS)
    model.fit((rows - mean) * scale, np.repeat(labels, embeddings.shape[1]), sample_weight=of_each)
    return _as_head(model, mean, scale, class_count, strength)


def choose_strength(
    embeddings: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    watched: np.ndarray,
    class_count: int,
    groups: np.ndarray,
    seed: int,
    weights: np.ndarray | None = None,
) -> float:
    """The strength with the least cross-entropy on the rows `watched`, int64 (M,), when fitted to `rows`; by folds of `rows` if these are few.

    groups: int (N,), images with the same number are kept in one fold.
    """
    if len(watched) >= FEWEST_TO_CHOOSE_BY:
        pairs = [(rows, watched)]
    else:
        smallest = int(np.bincount(labels[rows])[np.unique(labels[rows])].min())
        count = min(INNER_FOLDS, smallest, len(np.unique(groups[rows])))
        if count < 2:
            return STRENGTHS[2]
        folds = stratified_folds(labels[rows], groups[rows], count, seed=seed)
        pairs = [(rows[folds != fold], rows[folds == fold]) for fold in range(count)]
    losses = []
    for strength in STRENGTHS:
        fits = [(fit_head(embeddings[some], labels[some], class_count, strength, weights), others) for some, others in pairs]
        losses.append(float(np.mean([score(head.probabilities(embeddings[others]), labels[others]).loss for head, others in fits])))
        if len(losses) > 1 and losses[-1] > losses[-2]:
            break  # the loss has one minimum
    return STRENGTHS[int(np.argmin(losses))]


def score(probabilities: np.ndarray, labels: np.ndarray) -> Score:
    """Of probabilities float32 (N, K); NaN without images."""
    if not len(labels):
        return Score(float("nan"), float("nan"))
    of_label = np.maximum(probabilities[np.arange(len(labels)), labels].astype(np.float64), np.finfo(np.float32).tiny)
    return Score(float(-np.log(of_label).mean()), float((probabilities.argmax(axis=1) == labels).mean()))


def _standardisation(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, factor), float32 (F,): rows float32 (N, F) less the mean, times the factor, have squares that sum to about 1."""
    mean = rows.mean(axis=0, dtype=np.float64)
    squares = np.zeros(rows.shape[1])
    for i in range(0, len(rows), BATCH_SIZE):
        squares += np.square(rows[i : i + BATCH_SIZE] - mean).sum(axis=0)  # in batches: in float64 all rows would take twice their memory
    deviation = np.maximum(np.sqrt(squares / len(rows)), LEAST_DEVIATION)
    return mean.astype(np.float32), (1 / deviation / np.sqrt(rows.shape[1])).astype(np.float32)


def _as_head(model: LogisticRegression, mean: np.ndarray, scale: np.ndarray, class_count: int, strength: float) -> Head:
    """The fitted classifier with the standardisation folded in; two classes have a logit each."""
    coefficients, intercept = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    if len(model.classes_) == 2:
        coefficients, intercept = np.concatenate([-coefficients, coefficients]) / 2, np.concatenate([-intercept, intercept]) / 2
    kernel = np.zeros((len(mean), class_count), np.float64)
    bias = np.full(class_count, NEVER, np.float64)
    kernel[:, model.classes_] = coefficients.T * scale[:, None]
    bias[model.classes_] = intercept - mean @ kernel[:, model.classes_]
    return Head(kernel.astype(np.float32), bias.astype(np.float32), strength)
