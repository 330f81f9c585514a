"""The classifier on features is scikit-learn's logistic regression, folded into one matrix; its strength is chosen by what it has not seen."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pipeline.fitting.head import FEWEST_TO_CHOOSE_BY, ITERATIONS, STRENGTHS, TOLERANCE, Head, choose_strength, fit_head, score

FEATURES = 20


def drawn(count: int, class_count: int, noise: float = 2.0, views: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings float32 (count, views, FEATURES) around a centre per class, of several sizes, and labels (count,)."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % class_count).astype(np.int32)
    centres = np.random.default_rng(100).normal(size=(class_count, FEATURES))
    values = centres[labels][:, None] + rng.normal(scale=noise, size=(count, views, FEATURES))
    return (values * np.geomspace(0.1, 10, FEATURES) + np.linspace(-1, 1, FEATURES)).astype(np.float32), labels


def by_scikit_learn(embeddings: np.ndarray, labels: np.ndarray, strength: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Probabilities of the embeddings themselves, averaged over the views."""
    rows, of_rows = embeddings.reshape(-1, FEATURES), np.repeat(labels, embeddings.shape[1])
    scaler = StandardScaler().fit(rows.astype(np.float64))
    standardised = (rows - scaler.mean_.astype(np.float32)) * (1 / scaler.scale_ / np.sqrt(FEATURES)).astype(np.float32)
    model = LogisticRegression(C=strength, tol=TOLERANCE, max_iter=ITERATIONS)
    model.fit(standardised, of_rows, sample_weight=None if weights is None else weights[of_rows])
    probabilities: np.ndarray = model.predict_proba(standardised).reshape(*embeddings.shape[:2], -1).mean(axis=1)
    return probabilities


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("class_count", [2, 3, 7])
@pytest.mark.parametrize("strength", [0.3, 100.0])
def test_it_is_the_logistic_regression_of_scikit_learn(class_count: int, strength: float, views: int) -> None:
    embeddings, labels = drawn(300, class_count, views=views)

    found = fit_head(embeddings, labels, class_count, strength).probabilities(embeddings)

    expected = by_scikit_learn(embeddings, labels, strength)
    assert (found.shape, found.dtype.name) == ((300, class_count), "float32")
    assert np.ptp(expected, axis=0).min() > 0.05
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("present", [[0, 2], [0, 1, 3]])
def test_a_class_without_training_image_is_never_predicted_and_the_others_share_the_rest(present: list[int]) -> None:
    embeddings, numbers = drawn(120, len(present))
    labels = np.array(present, np.int32)[numbers]

    found = fit_head(embeddings, labels, 4, 3.0).probabilities(embeddings)

    assert np.abs(found[:, present] - by_scikit_learn(embeddings, numbers, 3.0)).max() < 1e-5
    assert found[:, np.setdiff1d(range(4), present)].max() < 1e-9


def test_one_class_alone_is_certain() -> None:
    embeddings, _ = drawn(10, 2)

    head = fit_head(embeddings, np.full(10, 2, np.int32), 3, 1.0)

    assert np.allclose(head.probabilities(embeddings), [0, 0, 1], atol=1e-9)


def test_a_feature_that_is_always_the_same_changes_nothing() -> None:
    embeddings, labels = drawn(60, 3)
    embeddings[..., 4] = 7

    head = fit_head(embeddings, labels, 3, 3.0)

    assert (head.kernel[4] == 0).all()
    assert np.isfinite(head.probabilities(embeddings)).all()


def test_the_probabilities_of_the_views_are_averaged() -> None:
    embeddings, labels = drawn(60, 3)
    head = fit_head(embeddings, labels, 3, 10.0)
    one, other = (head.probabilities(embeddings[:, [view]]) for view in (0, 1))

    assert np.abs(one - other).max() > 0.1
    assert np.allclose(head.probabilities(embeddings), (one + other) / 2, atol=1e-6)
    assert np.allclose(one.sum(axis=1), 1, atol=1e-6)


def test_many_images_are_read_in_batches_and_none_give_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = drawn(50, 3)
    head = fit_head(embeddings, labels, 3, 1.0)
    expected = head.probabilities(embeddings)

    monkeypatch.setattr("pipeline.fitting.head.BATCH_SIZE", 16)

    assert np.allclose(head.probabilities(embeddings), expected, atol=1e-7)
    assert head.probabilities(embeddings[:0]).shape == (0, 3)


def test_huge_logits_are_probabilities_still() -> None:
    head = Head(np.array([[1e4, -1e4]], np.float32), np.zeros(2, np.float32), 1.0)

    assert head.probabilities(np.ones((1, 1, 1), np.float32)).tolist() == [[1.0, 0.0]]


def test_balanced_weights_are_those_of_scikit_learn_and_find_the_rare_class() -> None:
    embeddings, labels = drawn(400, 2, noise=4.0)
    kept = np.flatnonzero((labels == 0) | (np.arange(400) % 20 == 1))
    embeddings, labels = embeddings[kept], labels[kept]
    weights = len(labels) / (2 * np.bincount(labels))

    plain, balanced = (fit_head(embeddings, labels, 2, 3.0, each).probabilities(embeddings) for each in (None, weights))

    assert np.abs(balanced - by_scikit_learn(embeddings, labels, 3.0, weights)).max() < 1e-5
    assert balanced[labels == 1, 1].mean() > plain[labels == 1, 1].mean() + 0.2


def losses(embeddings: np.ndarray, labels: np.ndarray, rows: np.ndarray, watched: np.ndarray) -> list[float]:
    heads = (fit_head(embeddings[rows], labels[rows], 3, strength) for strength in STRENGTHS)
    return [score(head.probabilities(embeddings[watched]), labels[watched]).loss for head in heads]


@pytest.mark.parametrize("noise", [0.3, 3.0])
def test_the_strength_is_the_one_with_the_least_loss_on_enough_validation_images(noise: float) -> None:
    embeddings, labels = drawn(60 + FEWEST_TO_CHOOSE_BY, 3, noise=noise)
    rows, watched = np.arange(60), np.arange(60, len(labels))

    chosen = choose_strength(embeddings, labels, rows, watched, 3, np.arange(len(labels)), seed=1)

    assert chosen == STRENGTHS[int(np.argmin(losses(embeddings, labels, rows, watched)))]
    assert (chosen == STRENGTHS[-1]) == (noise < 1)  # clean features are believed, noisy ones are not


@pytest.mark.parametrize(("watched_count", "believed"), [(FEWEST_TO_CHOOSE_BY, False), (FEWEST_TO_CHOOSE_BY - 1, True)])
def test_few_validation_images_do_not_decide_but_folds_of_the_training_images_do(watched_count: int, believed: bool) -> None:
    embeddings, labels = drawn(300 + watched_count, 3, noise=0.3)
    rows, watched = np.arange(300), np.arange(300, len(labels))
    labels[watched] = np.random.default_rng(1).permutation(labels[watched])  # nothing that was learned holds for these

    chosen = choose_strength(embeddings, labels, rows, watched, 3, np.arange(len(labels)), seed=1)

    assert (chosen == STRENGTHS[-1]) == believed
    assert (chosen == STRENGTHS[0]) != believed


@pytest.mark.parametrize("counts", [(1, 30), (2, 30), (3, 1)])
def test_a_strength_is_found_for_classes_of_few_images(counts: tuple[int, int]) -> None:
    labels = np.repeat([0, 2], counts).astype(np.int32)
    embeddings, _ = drawn(len(labels), 3)

    strength = choose_strength(embeddings, labels, np.arange(len(labels)), np.arange(0), 3, np.arange(len(labels)), seed=1)

    assert strength in STRENGTHS


def test_copies_of_an_image_are_kept_in_one_fold_while_the_strength_is_chosen() -> None:
    embeddings, labels = drawn(60, 3, noise=5.0)
    labels = np.random.default_rng(1).permutation(labels)  # nothing holds but what is learned by heart
    embeddings, labels, rows = np.repeat(embeddings, 4, axis=0), np.repeat(labels, 4), np.arange(240)

    by_heart, held_apart = (choose_strength(embeddings, labels, rows, rows[:0], 3, groups, seed=1) for groups in (rows, rows // 4))

    assert by_heart == STRENGTHS[-1]
    assert held_apart == STRENGTHS[0]


def test_the_score_is_loss_and_accuracy_and_of_nothing_it_is_not_a_number() -> None:
    probabilities = np.array([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]], np.float32)

    found = score(probabilities, np.array([0, 0, 1]))

    assert found.accuracy == pytest.approx(2 / 3)
    assert found.loss == pytest.approx(-(np.log(0.75) + np.log(0.5) + np.log(np.finfo(np.float32).tiny)) / 3)
    assert np.isnan(score(probabilities[:0], np.array([], int))).all()


def digest() -> str:
    """Of a classifier whose strength is chosen by folds."""
    embeddings, labels = drawn(150, 5)
    strength = choose_strength(embeddings, labels, np.arange(150), np.arange(0), 5, np.arange(150), seed=3)
    head = fit_head(embeddings, labels, 5, strength)
    return hashlib.sha256(head.kernel.tobytes() + head.bias.tobytes()).hexdigest()


def test_two_processes_give_the_same_bits() -> None:
    command = [sys.executable, "-c", "from tests.test_head import digest; print(digest())"]
    printed = subprocess.run(command, cwd=Path(__file__).parent.parent, check=True, capture_output=True, text=True).stdout

    assert printed.strip() == digest()
