"""A promised error holds, and where it cannot be promised that is said."""

import numpy as np
import pytest
from scipy import stats

from pipeline.certainty.fit import OutOfFold, fit_calibration
from pipeline.certainty.promise import find_promise, images_without_error, proposing

DRAWS = 500
MOST_BROKEN = int(stats.binom.ppf(0.95, DRAWS, 0.05))
"""33: a promise that is broken in exactly 5 % of all draws is broken in more than 33 of 500 with a chance below 5 %."""


def test_without_a_mistake_it_takes_59_answers_for_5_percent_and_299_for_1() -> None:
    """log(0.05) / log(0.95) = 58.4 and log(0.05) / log(0.99) = 298.07: one answer fewer shows less."""
    assert (images_without_error(0.05), images_without_error(0.01)) == (59, 299)
    assert 0.95**59 <= 0.05 < 0.95**58
    assert 0.99**299 <= 0.05 < 0.99**298


def first_third(count: int) -> np.ndarray:
    return np.asarray(np.arange(count) % 3 == 0)


def test_right_answers_alone_are_all_sure_if_they_are_enough() -> None:
    """Of 90 images 60 test, of 87 only 58."""
    assert find_promise(np.full(90, 0.9), np.zeros(90, bool), 0.05, first_third(90)).sure_from == 0

    too_few = find_promise(np.full(87, 0.9), np.zeros(87, bool), 0.05, first_third(87))
    assert (too_few.sure_from, too_few.tested, too_few.images_needed) == (None, 58, 92)  # 87 * 1.05 = 91.4, of which 61 test


def test_the_threshold_stops_where_mistakes_begin() -> None:
    """The upper half is right, of the lower half every second is wrong."""
    scores = np.linspace(0.01, 1, 3000)
    wrong = (scores < 0.5) & (np.arange(3000) % 2 == 0)

    found = find_promise(scores, wrong, 0.05, proposing(3000))

    assert found.sure_from is not None
    share = wrong[scores >= found.sure_from].mean()
    assert 0.03 < share < 0.05


def test_a_model_that_is_wrong_everywhere_is_never_sure_and_no_number_of_images_would_do() -> None:
    wrong = np.arange(3000) % 4 == 0

    found = find_promise(np.linspace(0, 1, 3000), wrong, 0.05, proposing(3000))

    assert (found.sure_from, found.images_needed) == (None, None)


def test_what_cannot_be_promised_is_said_with_the_images_it_would_take() -> None:
    found = OutOfFold(["a", "b"], np.zeros(120, int), np.tile([0.8, 0.2], (120, 1)), np.arange(120))

    note = fit_calibration(found, 0.01, {}).note

    assert note == (
        "At most 1 % of the sure answers wrong cannot be promised, so every answer is unsure: 80 images of cross-validation tested it. "
        "It takes at least 299 sure answers without a mistake; with as many mistakes as here, about 460 would do."
    )


def population(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(labels, probabilities) of three classes by a network that is too sure: it says the squares of what is true."""
    true = rng.dirichlet(np.full(3, 0.2), count)
    labels = (true.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    said = true**2
    return np.minimum(labels, 2), said / said.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("copies", [1, 5])
def test_the_promise_is_broken_in_at_most_5_percent_of_500_draws(copies: int) -> None:
    """All is fitted to 600 images, alone or five of a kind; how often sure answers are wrong is counted on the 20,000 from which they are drawn."""
    rng = np.random.default_rng(copies)
    all_labels, all_probabilities = population(rng, 20_000)
    all_wrong = all_probabilities.argmax(axis=1) != all_labels
    broken, answered = 0, []
    for _ in range(DRAWS):
        rows = rng.choice(20_000, 600)
        drawn = np.repeat(rows, copies)
        found = OutOfFold(["a", "b", "c"], all_labels[drawn], all_probabilities[drawn], np.repeat(np.arange(600), copies))
        sure = fit_calibration(found, 0.1, {}).is_sure(all_probabilities)
        broken += bool(sure.any() and all_wrong[sure].mean() > 0.1)
        answered.append(sure.mean())

    assert broken <= MOST_BROKEN
    assert np.mean(answered) > 0.5
