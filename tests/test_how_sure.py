"""The part of the report on how sure the model is: the promise, what the test images say to it, and what is missing."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.certainty.calibration import Calibration
from pipeline.certainty.measured import as_metrics, measure
from pipeline.reports.evaluation_report import render
from pipeline.reports.how_sure import how_sure
from tests.test_report import REPORT, check_page, text_of

LABELS = np.repeat([0, 1], [80, 20])
NAMES = ["shirt", "coat"]
KNOWN = Calibration(NAMES, 2.0, max_error=0.1, sure_from=0.8, coverage=0.9, least_probabilities=[0.3, 0.55])


def probabilities(wrong: int) -> np.ndarray:
    """100 images: 60 at 0.9, of which the first `wrong` are shirts taken for coats, and 40 at 0.6."""
    high = np.repeat([0.9, 0.6], [60, 40])
    says_coat = (np.arange(100) < wrong) | (np.arange(100) >= 80)
    return np.where(says_coat[:, None], np.stack([1 - high, high], axis=1), np.stack([high, 1 - high], axis=1))


def text(rows: np.ndarray, calibration: Calibration) -> str:
    return text_of(replace(REPORT, how_sure=how_sure(LABELS, rows, calibration, measure(LABELS, rows, calibration))))


def test_the_promise_stands_with_what_came_of_it() -> None:
    """60 of 100 images are sure, 3 of them wrong."""
    found = text(probabilities(3), KNOWN)

    assert "Answers 60 % of the images; at most 10 % of those are wrong, with 95 % confidence (5 % on the test images)." in found


def test_a_promise_that_the_test_images_contradict_says_so() -> None:
    """11 of 60 or more at 10 % has a chance of 3.4 %, 10 of 60 one of 7.3 %."""
    assert "18.3 % on the test images: more than promised, and hardly by chance" in text(probabilities(11), KNOWN)
    assert "hardly by chance" not in text(probabilities(10), KNOWN)


def test_candidates_are_counted_by_class() -> None:
    """At T = 2, 0.9 and 0.1 become 0.75 and 0.25, and 0.6 and 0.4 become 0.551 and 0.449. A shirt at 0.25 is no candidate, one at 0.449 is."""
    found = measure(LABELS, probabilities(4), KNOWN)

    assert found.covered.tolist() == [76 / 80, 1.0]
    assert (found.coverage, found.candidates) == pytest.approx((0.96, 1.2))  # 20 coats at 0.551 may be shirts
    assert "include the class of 96.0 % of the test images; 90 % were asked for, in each class" in text(probabilities(4), KNOWN)
    assert as_metrics(found, KNOWN)["test_one_of_coverage_lowest"] == 0.95


def test_what_is_missing_is_said_and_nothing_is_promised() -> None:
    unknown = Calibration(NAMES, note="The probabilities are not calibrated: few images.")

    found = text(probabilities(3), unknown)

    assert "The probabilities are not calibrated: few images." in found
    assert "Answers 60 %" not in found
    assert "one_of" not in found
    check_page(render(replace(REPORT, how_sure=how_sure(LABELS, probabilities(3), unknown, measure(LABELS, probabilities(3), unknown)))))
