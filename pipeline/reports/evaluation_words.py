"""What the evaluation report says in words: sentences on numbers, each of which can turn out otherwise. Values in, text out."""

from collections.abc import Mapping

from pipeline.evaluation.counts import Score
from pipeline.names import shown
from pipeline.reports.page import percent

IMAGES_FOR_CALIBRATION = 500
"""With fewer, the calibration error of a perfectly calibrated model is several per cent by chance."""

Numbers = Mapping[str, float]


def headline(score: Score, accuracy_low: float, digits: int) -> str:
    """The verdict on a model in a line: how often it is right beside the baseline, or that it is no better, and the classes that it never predicts."""
    never = list(score.never_predicted)
    some = shown(never[0]) if len(never) == 1 else f"{len(never):,} classes" if never else ""
    if score.is_shown_better(accuracy_low):
        right = (
            f"Right on {percent(score.accuracy, digits)} of {score.images:,} test images, against {percent(score.majority_share, digits)}"
        )
        return f"{right} by always guessing one class{f'; never predicts {some}' if some else ''}"
    known = "Not shown to be better" if score.beats_guessing else "No better"
    return f"{known} than always guessing {shown(score.majority_class)}{f'; never predicts {some}' if some else ''}"


def agreement(test: Numbers, folds: Numbers) -> str:
    """A sentence that compares test and cross-validation by their 95 % intervals."""
    if test["accuracy_low"] > folds["accuracy_high"]:
        return "Test accuracy is higher than in cross-validation: the test images may be easier, or too similar to training images."
    if test["accuracy_high"] < folds["accuracy_low"]:
        return "Test accuracy is lower than in cross-validation: the test images may differ from the training images."
    return "The 95 % intervals of test and cross-validation overlap."


def calibration(test: Numbers, surplus: float) -> str:
    """A sentence on how well the model is calibrated, as far as the number of test images allows one. surplus: mean confidence minus accuracy."""
    error, is_many = test["calibration_error"], test["images"] >= IMAGES_FOR_CALIBRATION
    if is_many and error < 0.02:
        return "The model is well calibrated."
    if is_many and abs(surplus) < error / 2:
        return "Some probabilities are too high and others too low."
    points = f"{abs(100 * surplus):.1f} percentage points {'above' if surplus > 0 else 'below'} its accuracy"
    if test["accuracy_low"] <= test["accuracy"] + surplus <= test["accuracy_high"]:
        return f"The mean confidence is {points}, within its 95 % interval: {test['images']:,} test images do not show more."
    return f"The model is {'overconfident' if surplus > 0 else 'underconfident'}: its mean confidence is {points}."
