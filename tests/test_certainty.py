"""Temperature, ranking scores and candidates; what a model's answers are by them."""

import math

import numpy as np
import pytest

from pipeline.certainty.calibration import Calibration
from pipeline.certainty.fit import OutOfFold, fit_calibration
from pipeline.certainty.prediction_sets import least_probabilities
from pipeline.certainty.risk_coverage import areas, choose_score, equal_mass_error, risk_coverage_area, risks
from pipeline.certainty.scores import LOGIT, MARGIN, PROBABILITY, highest_probability, margin, normalised_logit, scaled
from pipeline.certainty.temperature import HIGHEST, LOWEST, fit_temperature
from pipeline.errors import ConfigError


def test_a_temperature_of_two_takes_square_roots() -> None:
    found = scaled(np.array([[0.64, 0.36], [1.0, 0.0]]), 2)

    assert found[0] == pytest.approx([0.8 / 1.4, 0.6 / 1.4])
    assert found[1] == pytest.approx([1 / (1 + math.sqrt(1e-7)), math.sqrt(1e-7) / (1 + math.sqrt(1e-7))])


def test_no_temperature_changes_a_label() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.full(5, 0.1), 2000).astype(np.float32)

    for temperature in (LOWEST, 0.7, 3.0, HIGHEST):
        found = scaled(probabilities, temperature)
        assert (found.argmax(axis=1) == probabilities.argmax(axis=1)).all()
        assert found.sum(axis=1) == pytest.approx(np.ones(2000))


def test_the_temperature_undoes_logits_that_are_too_large() -> None:
    """Labels drawn from probabilities p, of which the network says the squares: the best temperature is 2."""
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.ones(3), 20_000)
    labels = (true.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    squares = true**2 / (true**2).sum(axis=1, keepdims=True)

    assert fit_temperature(labels, squares) == pytest.approx(2, abs=0.05)


def test_right_answers_alone_do_not_make_a_model_sure_beyond_doubt() -> None:
    """Two classes at 0.8: the logits differ by log 4, and at T the label has the odds 4^(1/T). The target gives it the odds 101 to 1."""
    found = fit_temperature(np.zeros(100, int), np.tile([0.8, 0.2], (100, 1)))

    assert found == pytest.approx(math.log(4) / math.log(101), abs=1e-3)


def test_the_scores_of_a_row() -> None:
    row = np.array([[0.7, 0.2, 0.1]])
    logs = np.log([0.7, 0.2, 0.1]) - np.log([0.7, 0.2, 0.1]).mean()

    assert highest_probability(row) == pytest.approx([0.7])
    assert margin(row) == pytest.approx([0.5])
    assert normalised_logit(row) == pytest.approx([logs[0] / (logs**4).sum() ** 0.25])
    assert normalised_logit(np.full((1, 4), 0.25)) == pytest.approx([0.0])  # no logit is above the mean


def test_the_risk_by_coverage_and_its_area() -> None:
    wrong = np.array([False, True, False, False])

    assert risks(np.array([0.9, 0.8, 0.7, 0.6]), wrong) == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert risk_coverage_area(np.array([0.9, 0.8, 0.7, 0.6]), wrong) == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert risk_coverage_area(np.full(4, 0.5), wrong) == pytest.approx(1 / 4)  # whatever the order of the images


def test_another_score_than_the_probability_must_be_worth_it() -> None:
    assert choose_score({PROBABILITY: 0.100, MARGIN: 0.096, LOGIT: 0.2}) == PROBABILITY
    assert choose_score({PROBABILITY: 0.100, MARGIN: 0.094, LOGIT: 0.093}) == LOGIT
    assert list(areas(np.array([[0.6, 0.4]]), np.array([True])).values()) == [1.0, 1.0, 1.0]


def test_the_calibration_error_in_bins_of_equally_many_images() -> None:
    """30 images in 15 bins of two: 20 at 0.6, of which every second is right, and 10 at 0.9, all right: (20 * 0.1 + 10 * 0.1) / 30."""
    confidence = np.repeat([0.6, 0.9], [20, 10])
    labels = np.concatenate([np.arange(20) % 2, np.zeros(10, int)])

    assert equal_mass_error(labels, np.stack([confidence, 1 - confidence], axis=1)) == pytest.approx(0.1)


def test_a_class_with_fifty_images_has_its_own_threshold_and_the_others_share_one() -> None:
    """Of 50 images the fifth lowest, floor(51 / 10); of 30 + 25 of two small classes also the fifth, floor(56 / 10)."""
    labels = np.repeat([0, 1, 2], [50, 30, 25])
    of_label = np.concatenate([0.5 + np.arange(50) / 1000, 0.2 + np.arange(30) / 1000, 0.3 + np.arange(25) / 1000])
    probabilities = np.full((105, 3), 0.1)
    probabilities[np.arange(105), labels] = of_label

    found = least_probabilities(labels, probabilities, 0.9)

    assert found == pytest.approx([0.504, 0.204, 0.204])


def test_with_few_images_in_all_small_classes_they_are_judged_by_all_images() -> None:
    labels = np.repeat([0, 1], [60, 9])
    probabilities = np.full((69, 2), 0.1)
    probabilities[np.arange(69), labels] = np.concatenate([0.5 + np.arange(60) / 1000, 0.2 + np.arange(9) / 1000])

    assert least_probabilities(labels, probabilities, 0.9) == pytest.approx([0.505, 0.206])  # floor(61 / 10), floor(70 / 10)


def test_candidates_cover_nine_of_ten_further_images_of_every_class() -> None:
    """The mean coverage of 300 draws of 60 images a class is at least 90 %, and by less than 1/61 above it; 0.2 points are four standard errors."""
    rng = np.random.default_rng(0)
    covered = np.zeros((300, 2))
    for draw in range(300):
        high = rng.beta([8, 3], [2, 2], (1060, 2))  # the probability of the label, of images of each class
        labels = np.repeat([0, 1], 60)
        fitted = high[:60].T.ravel()
        probabilities = np.where(labels[:, None] == [0, 1], fitted[:, None], 1 - fitted[:, None])
        covered[draw] = (high[60:] >= least_probabilities(labels, probabilities, 0.9)).mean(axis=0)

    assert (covered.mean(axis=0) > 0.9 - 0.002).all()
    assert (covered.mean(axis=0) < 0.9 + 1 / 61 + 0.002).all()


CALIBRATION = Calibration(["shirt", "unsure"], 2.0, max_error=0.1, sure_from=0.7, coverage=0.9, least_probabilities=[0.3, 0.45])


def test_an_answer_is_sure_or_has_its_candidates() -> None:
    """At T = 2 the rows 0.64 / 0.36 and 0.2 / 0.8 become 0.571 / 0.429 and 1/3 / 2/3."""
    found = CALIBRATION.answers(np.array([[0.64, 0.36], [0.2, 0.8], [0.99, 0.01]], np.float32))

    assert found.probabilities.dtype == np.float32
    assert found.probabilities[:2, 0] == pytest.approx([0.8 / 1.4, 1 / 3])
    assert found.decisions == ["unsure", "sure", "sure"]
    assert found.one_of == [["shirt"], ["unsure", "shirt"], ["shirt"]]


def test_without_a_threshold_every_answer_is_unsure_and_without_a_question_nothing_is_said() -> None:
    rows = np.array([[0.9, 0.1]], np.float32)

    assert Calibration(["a", "b"], max_error=0.1).answers(rows).decisions == ["unsure"]
    assert Calibration(["a", "b"]).answers(rows).decisions == [""]
    assert Calibration(["a", "b"]).answers(rows).one_of == [None]
    assert Calibration(["a", "b"]).answers(rows).probabilities.tolist() == rows.tolist()


def test_it_is_read_as_it_was_kept_and_never_for_other_classes() -> None:
    assert Calibration.read(CALIBRATION.as_json(), ["shirt", "unsure"]) == CALIBRATION
    with pytest.raises(ConfigError, match="of a model with other classes"):
        Calibration.read(CALIBRATION.as_json(), ["unsure", "shirt"])


def test_few_images_calibrate_nothing() -> None:
    found = OutOfFold(["a", "b"], np.zeros(200, int), np.tile([0.8, 0.2], (200, 1)), np.arange(200) // 3)

    fitted = fit_calibration(found, 0.05, {"model_sha256": "m"})

    assert (fitted.temperature, fitted.sure_from, fitted.least_probabilities) == (1.0, None, ())
    assert fitted.fitted_on == {"images": 200, "groups": 67, "model_sha256": "m"}
    assert (
        fitted.note
        == "The probabilities are not calibrated: cross-validation has 67 images of groups of their own, and it takes 100. So every answer is unsure."
    )
