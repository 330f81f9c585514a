"""The evaluation report: values in, one self-contained HTML page out.

Pure presentation: reads its own templates and nothing else, computes no metric, knows nothing of files, models or MLflow. The page needs no
network and no script; pictures are data URIs; every text is escaped.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.evaluation.metrics import Confusion
from pipeline.reports.page import render_page

PICTURE_DOTS_PER_CSS_PX = 1.5
CLASSES_SHOWN_AT_ONCE = 15
IMAGES_FOR_A_SECOND_DIGIT = 1000


@dataclass(frozen=True)
class Picture:
    """A chart as PNG bytes, for a light and for a dark page, and what it shows in words."""

    light: bytes
    dark: bytes
    alt: str


@dataclass(frozen=True)
class ClassRow:
    """One class: precision, recall, f1 and `taken_for_share` from 0 to 1; `taken_for` is the most frequent wrong prediction, or empty."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    taken_for: str
    taken_for_share: float

    @property
    def missed(self) -> float:
        """The share (0 to 1) of the class's images that got another label; 0 where there are none."""
        return 1 - self.recall if self.support else 0.0


@dataclass(frozen=True)
class Mistake:
    """An image that was predicted wrongly; `thumbnail` is a PNG, `probability` (0 to 1) that of the predicted class."""

    thumbnail: bytes
    path: str
    label: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class Doubt:
    """A training image whose label a model that had not seen it contradicts with `probability` (0 to 1)."""

    path: str
    label: str
    predicted: str
    probability: float
    fold: int


@dataclass(frozen=True)
class Fold:
    """A fold of the cross-validation."""

    fold: int
    images: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Report:
    """Everything that the page shows. `metrics` are the flat numbers of the test split, `cross_validation` those over the folds.

    `warnings`: what must be known before any number. `overconfidence`: mean confidence minus accuracy, -1 to 1. `classes` come in the order in which
    they are shown. `params`: value by section and key.
    """

    dataset_name: str
    dataset_digest: str
    source: str
    image_shape: tuple[int, int, int]
    model_name: str
    model_digest: str
    metrics: Mapping[str, float]
    cross_validation: Mapping[str, float]
    overconfidence: float
    warnings: Sequence[str]
    classes: Sequence[ClassRow]
    confusions: Sequence[Confusion]
    folds: Sequence[Fold]
    mistakes: Sequence[Mistake]
    doubts: Sequence[Doubt]
    params: Mapping[str, Mapping[str, object]]
    curves: Sequence[Picture]
    confusion_matrix: Picture
    reliability: Picture
    fold_picture: Picture

    @property
    def digits(self) -> int:
        """Decimals of an accuracy in per cent: a second one means something only with many images."""
        return 2 if self.metrics["images"] >= IMAGES_FOR_A_SECOND_DIGIT else 1

    @property
    def guessing_loss(self) -> float:
        """The log loss of giving every class the same probability."""
        return math.log(len(self.classes))

    @property
    def top_k(self) -> int | None:
        """The k of the top-k accuracy among the metrics, or None."""
        ks = [key.split("_")[1] for key in self.metrics if key.startswith("top_")]
        return int(ks[0]) if ks else None


def render(report: Report) -> str:
    """The report as the text of an HTML page. The same report gives the same text."""
    return render_page(
        "report.html.j2",
        {"css_px": css_px, "as_yaml": as_yaml},
        report=report,
        agreement=agreement(report),
        calibration=calibration(report),
        shown_at_once=CLASSES_SHOWN_AT_ONCE,
    )


def css_px(png: bytes) -> tuple[int, int]:
    """(width, height) at which a chart is shown, in CSS px; a PNG tells its size in bytes 16 to 23."""
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    return round(width / PICTURE_DOTS_PER_CSS_PX), round(height / PICTURE_DOTS_PER_CSS_PX)


def agreement(report: Report) -> str:
    """Whether test and cross-validation tell the same, by their 95 % intervals, in one sentence."""
    test, folds = report.metrics, report.cross_validation
    if test["accuracy_low"] > folds["accuracy_high"]:
        return "The test split came out better than the folds: it may be easier, or resemble the training images."
    if test["accuracy_high"] < folds["accuracy_low"]:
        return "The test split came out worse than the folds: its images may differ from the training images."
    return "Test and cross-validation agree within their intervals."


def calibration(report: Report) -> str:
    """Whether the probabilities can be taken at their word, in one sentence."""
    error, surplus = report.metrics["calibration_error"], report.overconfidence
    points = f"{abs(100 * surplus):.1f} percentage points"
    if error < 0.02:
        return "The probabilities can be taken at their word."
    if abs(surplus) < error / 2:
        return "Some probabilities are too high and others too low."
    return f"On average the model is {points} {'surer' if surplus > 0 else 'less sure'} than it is right."


def as_yaml(value: object) -> str:
    """A parameter's value as params.yaml has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
