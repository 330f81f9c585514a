"""From which score on answers are sure: at most a given share of them is wrong, with 95 % confidence. Pure functions of arrays.

A third of the images proposes: an order of thresholds, from the one that is likeliest to hold to lower ones. The other two thirds test them in that
order, each with the exact binomial test (the upper end of the Clopper-Pearson interval is no more than the error), up to the first that fails: so the
chance that the one kept does not hold is at most 5 %, however many are tested.

Sources: Angelopoulos et al. (2021), Learn then test, arXiv 2110.01052 (fixed-sequence testing); Clopper and Pearson (1934), Biometrika 26.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

RISK = 0.05
"""1 minus the confidence."""
STEPS = 100
PROPOSING = 3
"""One image of so many proposes."""
CHANCE, GROWTH = 0.8, 1.05
MOST_IMAGES = 10**8


@dataclass(frozen=True)
class Promise:
    """sure_from: the least score of a sure answer; None if no threshold was shown to hold. tested: by how many images. images_needed: how many images
    in all would show it with 80 % chance, by the errors seen; None if no number would, or it is shown.
    """

    sure_from: float | None
    tested: int
    images_needed: int | None = None


def images_without_error(max_error: float) -> int:
    """How many sure answers, all right, it takes at least: the least n with (1 - max_error)^n of at most 5 %."""
    return math.ceil(math.log(RISK) / math.log(1 - max_error))


def proposing(count: int, *, seed: int = 0) -> np.ndarray:
    """bool (count,): the third of the images that proposes, drawn at random."""
    return np.asarray(np.random.default_rng(seed).permutation(count) % PROPOSING == 0)


def find_promise(scores: np.ndarray, wrong: np.ndarray, max_error: float, proposes: np.ndarray) -> Promise:
    """The lowest threshold that is shown to hold. scores: float (N,), wrong: bool (N,), of N independent images, N at least 1; proposes: bool (N,)."""
    tests = ~proposes
    order = _proposed(scores[proposes], wrong[proposes], max_error, int(tests.sum()))
    kept = None
    for threshold in order:
        sure = scores[tests] >= threshold
        if not _holds(int(wrong[tests][sure].sum()), int(sure.sum()), max_error):
            break
        kept = float(threshold)
    return Promise(kept, int(tests.sum()), _needed(scores, wrong, max_error) if kept is None else None)


def _holds(errors: int, count: int, max_error: float) -> bool:
    """Whether so many errors among `count` answers show that their share is at most `max_error`."""
    return count > 0 and bool(stats.binom.cdf(errors, count, max_error) <= RISK)


def _proposed(scores: np.ndarray, wrong: np.ndarray, max_error: float, test_count: int) -> np.ndarray:
    """The thresholds to test, in order: from the one that is likeliest to pass down to 0, which answers everything."""
    if not len(scores):
        return np.zeros(1)
    thresholds, counts, errors = _steps(scores, wrong)
    expected = np.rint(counts / len(scores) * test_count).astype(int)
    chances = _chances(expected, (errors + 0.5) / (counts + 1), max_error)
    return thresholds[int(chances.argmax()) :]


def _steps(scores: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(thresholds, counts, errors): so that 1, 2, … 100 % of the answers have at least that score, the last one 0; int counts of them and of errors."""
    ranks = np.unique(np.ceil(np.arange(1, STEPS + 1) / STEPS * len(scores)).astype(int)) - 1
    thresholds = np.unique(np.append(-np.sort(-scores)[ranks[:-1]], 0.0))[::-1]
    sure = scores >= thresholds[:, None]
    return thresholds, sure.sum(axis=1), (sure & wrong).sum(axis=1)


def _chances(counts: np.ndarray, rates: np.ndarray, max_error: float) -> np.ndarray:
    """The chance, float (S,), that each of S tests passes, of `counts` answers that are wrong at `rates`."""
    allowed = stats.binom.ppf(RISK, counts, max_error)
    allowed = np.where(stats.binom.cdf(allowed, counts, max_error) <= RISK, allowed, allowed - 1)
    return np.where(counts > 0, stats.binom.cdf(allowed, counts, rates), 0.0)


def _needed(scores: np.ndarray, wrong: np.ndarray, max_error: float) -> int | None:
    """The number of images with which a threshold would pass with a chance of CHANCE, if errors were as frequent as in these; to two digits."""
    _, counts, errors = _steps(scores, wrong)
    shares, rates = counts / len(scores), errors / np.maximum(counts, 1)
    images = math.ceil(len(scores) * GROWTH)
    while images < MOST_IMAGES:
        tested = np.rint(shares * images * (PROPOSING - 1) / PROPOSING).astype(int)
        if _chances(tested, rates, max_error).max() >= CHANCE:
            digits = int(10 ** max(0, int(math.log10(images)) - 1))
            return math.ceil(images / digits) * digits
        images = math.ceil(images * GROWTH)
    return None
