"""The part of the evaluation report on how sure the model is: from its calibration and the test images to values and a chart."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from pipeline.certainty.calibration import Calibration
from pipeline.certainty.measured import Measured, sentence
from pipeline.certainty.risk_coverage import risks
from pipeline.certainty.scores import LOGIT, MARGIN, PROBABILITY, SCORES
from pipeline.reports.chart_style import LIGHT, Theme, drawn_as_png
from pipeline.reports.evaluation_page import in_both_themes
from pipeline.reports.evaluation_report import Picture

MOST_POINTS = 500
IN_WORDS = {
    PROBABILITY: "the probability of the answer",
    MARGIN: "the difference between the two highest probabilities",
    LOGIT: "the normalised logit",
}
ROWS = {
    "equal_mass_calibration_error": "Calibration error, bins of equally many images",
    "log_loss": "Log loss",
    "risk_coverage_area": "Area under the risk-coverage curve",
}


@dataclass(frozen=True)
class ClassCoverage:
    """A class, its test images, and the share (0 to 1) of them whose candidates have it."""

    name: str
    images: int
    covered: float


@dataclass(frozen=True)
class HowSure:
    """What the page says. promise: a sentence, empty if no error was asked for; broken: whether the test images contradict it. note: what is missing.

    rows: (what, before, after) of the calibration, empty without one. areas: (score in words, its area on the test images, whether it ranks).
    coverage: asked for; covered, candidates: on the test images; classes: the least covered first; all empty or 0 if there are no candidates.
    """

    promise: str
    broken: bool
    note: str
    rows: Sequence[tuple[str, float, float]]
    areas: Sequence[tuple[str, float, bool]]
    coverage: float
    covered: float
    candidates: float
    classes: Sequence[ClassCoverage]
    picture: Picture


def how_sure(labels: np.ndarray, probabilities: np.ndarray, calibration: Calibration, measured: Measured) -> HowSure:
    """labels: int (N,), N at least 1. probabilities: float (N, K), of the network."""
    counts = np.bincount(labels, minlength=len(calibration.class_names))
    by_class = zip(calibration.class_names, counts.tolist(), measured.covered.tolist(), strict=True)
    known = bool(calibration.least_probabilities)
    ranked = risks(SCORES[calibration.score](probabilities), probabilities.argmax(axis=1) != labels)
    share = measured.sure / measured.images if calibration.sure_from is not None else None
    return HowSure(
        sentence(measured, calibration) if calibration.sure_from is not None else "",
        measured.breaks_promise,
        calibration.note,
        [(words, measured.before[name], measured.after[name]) for name, words in ROWS.items()] if known else [],
        [(IN_WORDS[name], area, name == calibration.score) for name, area in measured.areas.items()],
        calibration.coverage or 0.0,
        measured.coverage,
        measured.candidates,
        sorted((ClassCoverage(*row) for row in by_class if row[1]), key=lambda row: row.covered) if known else [],
        in_both_themes(
            partial(accuracy_by_coverage, ranked, calibration.max_error, share), "Accuracy of the surest answers, by their share"
        ),
    )


@drawn_as_png
def accuracy_by_coverage(ranked: np.ndarray, max_error: float | None, share: float | None, *, theme: Theme = LIGHT) -> Figure:
    """The accuracy of the surest answers against their share of all.

    ranked: float (N,), the share of wrong ones among the 1, 2, … N surest. max_error: the error asked for, as a line. share: of the sure answers.
    """
    count = len(ranked)
    shown = np.unique(np.linspace(max(0, count // 100 - 1), count - 1, min(count, MOST_POINTS)).astype(int))
    figure = Figure(figsize=(5.2, 3.3), layout="constrained")
    axes = figure.subplots()
    axes.plot((shown + 1) / count, 1 - ranked[shown], color=theme.first, label="the surest answers, test images")
    if max_error is not None:
        axes.axhline(1 - max_error, color=theme.text, linewidth=1, linestyle=(0, (4, 3)), label="asked for")
    if share:
        axes.axvline(share, color=theme.second, linewidth=1.5, label="sure answers")
    axes.set(title="Accuracy of the surest answers", xlabel="share of the images that is answered", ylabel="accuracy", xlim=(0, 1.02))
    axes.margins(y=0.1)
    axes.legend(loc="lower left")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda accuracy, _: f"{100 * accuracy:.4g} %"))
    return figure
