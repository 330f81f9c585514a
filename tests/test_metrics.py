"""Every expected number is worked out by hand beside it."""

import math

import numpy as np
import pytest

from pipeline.evaluation.metrics import (
    calibration_error,
    classification_metrics,
    confident_mistakes,
    confusion_matrix,
    cross_validation_summary,
    log_loss,
    overconfidence,
    reliability_bins,
    row_shares,
    top_confusions,
)

# Five images, four classes; nothing is labelled or predicted "owl". Predicted: cat, cat, dog, dog, eel.
CLASSES = ["cat", "dog", "eel", "owl"]
LABELS = np.array([0, 0, 1, 0, 2])
EACH_ALONE = np.arange(5)
PROBABILITIES = np.array(
    [[0.7, 0.1, 0.1, 0.1], [0.5, 0.3, 0.1, 0.1], [0.25, 0.55, 0.15, 0.05], [0.1, 0.8, 0.06, 0.04], [0.04, 0.03, 0.9, 0.03]], np.float32
)


def test_flat_numbers() -> None:
    found = classification_metrics(LABELS, PROBABILITIES, CLASSES, top_k=2, groups=EACH_ALONE)
    names = "accuracy accuracy_low accuracy_high top_2_accuracy macro_f1 log_loss calibration_error images groups per_class"
    assert list(found) == names.split()
    assert found["accuracy"] == 4 / 5
    assert found["top_2_accuracy"] == 1.0  # the one mistake, a cat, has cat second
    assert found["images"] == 5
    # F1: cat 2·1·(2/3)/(1 + 2/3) = 0.8, dog 2·(1/2)·1/(1/2 + 1) = 2/3, eel 1; owl occurs nowhere and does not count
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3 + 1) / 3)


def test_per_class_numbers_and_a_class_without_images() -> None:
    per_class = classification_metrics(LABELS, PROBABILITIES, CLASSES, top_k=2, groups=EACH_ALONE)["per_class"]
    assert isinstance(per_class, dict)
    assert per_class["cat"] == pytest.approx({"precision": 1.0, "recall": 2 / 3, "f1": 0.8, "support": 3})
    assert per_class["dog"] == pytest.approx({"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 1})
    assert per_class["owl"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def test_top_k_is_left_out_where_it_would_hold_every_class() -> None:
    assert not any(key.startswith("top_") for key in classification_metrics(LABELS, PROBABILITIES, CLASSES, top_k=4, groups=EACH_ALONE))
    two_classes = classification_metrics(
        np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), ["no", "yes"], top_k=3, groups=EACH_ALONE[:2]
    )
    assert two_classes["accuracy"] == 0.5
    assert "top_3_accuracy" not in two_classes


def test_one_image_gives_finite_numbers() -> None:
    found = classification_metrics(np.array([1]), np.array([[1.0, 0.0]]), ["no", "yes"], top_k=2, groups=EACH_ALONE[:1])
    assert found["accuracy"] == 0
    assert found["log_loss"] == pytest.approx(-math.log(1e-7))


def test_log_loss() -> None:
    # -(ln 0.7 + ln 0.5 + ln 0.55 + ln 0.1 + ln 0.9) / 5 = (0.35667 + 0.69315 + 0.59784 + 2.30259 + 0.10536) / 5
    assert log_loss(LABELS, PROBABILITIES) == pytest.approx(0.811122, abs=1e-5)


def test_calibration() -> None:
    # Confidences 0.7, 0.5, 0.55, 0.8, 0.9 in five bins: (0.4, 0.6] holds 0.5 and 0.55, both right: distance 0.475, two images;
    # (0.6, 0.8] holds 0.7 right and 0.8 wrong: mean 0.75, accuracy 0.5, distance 0.25; (0.8, 1] holds 0.9 right: distance 0.1.
    bins = reliability_bins(LABELS, PROBABILITIES.astype(np.float64).round(3), bins=5)
    assert bins.counts.tolist() == [0, 0, 2, 2, 1]
    assert bins.confidence == pytest.approx([0, 0, 0.525, 0.75, 0.9])
    assert bins.accuracy == pytest.approx([0, 0, 1, 0.5, 1])
    assert calibration_error(bins) == pytest.approx((2 * 0.475 + 2 * 0.25 + 0.1) / 5)
    assert overconfidence(bins) == pytest.approx((2 * -0.475 + 2 * 0.25 - 0.1) / 5)


def test_a_confidence_of_one_falls_into_the_last_bin() -> None:
    bins = reliability_bins(np.array([0]), np.array([[1.0, 0.0]]))
    assert bins.counts.tolist() == [0] * 14 + [1]
    assert calibration_error(bins) == 0


def test_confusion_matrix_keeps_absent_classes() -> None:
    matrix = confusion_matrix(LABELS, PROBABILITIES.argmax(axis=1), 4)
    assert matrix.tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert row_shares(matrix)[0].tolist() == [2 / 3, 1 / 3, 0, 0]
    assert row_shares(matrix)[3].tolist() == [0, 0, 0, 0]


def test_top_confusions_come_in_order_and_without_zeros() -> None:
    matrix = np.array([[5, 2, 1], [0, 8, 0], [4, 0, 4]])
    found = top_confusions(matrix, ["a", "b", "c"], 10)
    assert [(c.label, c.predicted, c.count, c.share) for c in found] == [("c", "a", 4, 0.5), ("a", "b", 2, 0.25), ("a", "c", 1, 0.125)]


def test_confident_mistakes_come_surest_first() -> None:
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    assert confident_mistakes(np.array([1, 1, 1, 0]), probabilities, 2).tolist() == [1, 3]
    assert confident_mistakes(np.array([0, 0, 1, 1]), probabilities, 2).tolist() == []


def test_cross_validation_summary() -> None:
    # Mean 0.9; squared distances 0.0004 + 0 + 0.0004, over k - 1 = 2: std sqrt(0.0004) = 0.02; t(0.975, 2) = 4.30265;
    # half width 4.30265 · 0.02 / sqrt(3) = 0.049683
    correct = np.arange(10_000) < 9_000
    found = cross_validation_summary([0.88, 0.90, 0.92], correct, np.arange(10_000))
    assert found == pytest.approx(
        {"accuracy_mean": 0.9, "accuracy_std": 0.02, "accuracy_low": 0.850317, "accuracy_high": 0.949683}, abs=1e-6
    )


def test_cross_validation_interval_stays_within_zero_and_one() -> None:
    found = cross_validation_summary([0.5, 1.0], np.array([True, True, True, False]), np.arange(4))

    assert (found["accuracy_low"], found["accuracy_high"]) == (0, 1)  # 0.75 ± 12.7 · 0.354 / 1.414


def test_equal_folds_have_the_interval_of_all_their_images() -> None:
    found = cross_validation_summary([1.0, 1.0], np.ones(10, bool), np.arange(10))

    assert found == pytest.approx(
        {"accuracy_mean": 1, "accuracy_std": 0, "accuracy_low": 0.72246, "accuracy_high": 1}, abs=2e-5
    )  # Wilson, 10 of 10
