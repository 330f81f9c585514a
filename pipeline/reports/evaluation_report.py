"""The evaluation report: values in, one self-contained HTML page out.

Presentation only: reads nothing but its template, computes no metric, knows nothing of files, models or MLflow. The page needs no network and
no scripts; pictures are data URIs; all text is escaped.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.evaluation.metrics import Confusion
from pipeline.reports.page import brief_names, render_page

if TYPE_CHECKING:
    from pipeline.properties.slices import Slices
    from pipeline.reports.how_sure import HowSure

PICTURE_DOTS_PER_CSS_PX = 1.5
CLASSES_SHOWN_AT_ONCE = 15
IMAGES_FOR_A_SECOND_DIGIT = 1000
IMAGES_FOR_CALIBRATION = 500
"""With fewer, the calibration error of a perfectly calibrated model is several per cent by chance."""


@dataclass(frozen=True)
class Picture:
    """A chart as PNG bytes, for the light and the dark theme, and its alternative text."""

    light: bytes
    dark: bytes
    alt: str


@dataclass(frozen=True)
class ClassRow:
    """One class: precision, recall, f1 and `confused_share` from 0 to 1; `confused_with` is the most frequent wrong prediction, or empty.

    `predicted`: whether any test image was predicted as this class.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    confused_with: str
    confused_share: float
    predicted: bool = True

    @property
    def missed(self) -> float:
        """The share (0 to 1) of the class's images that were predicted as another class; 0 if it has none."""
        return 1 - self.recall if self.support else 0.0


@dataclass(frozen=True)
class Mistake:
    """A misclassified image; `thumbnail` is a PNG, `probability` (0 to 1) that of the predicted class."""

    thumbnail: bytes
    path: str
    label: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class Doubt:
    """A training image that a model not fitted to it predicts as another class, with `probability` (0 to 1)."""

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

    `akin`: how many test images are near copies of training images, or in a group with them. `trained_on`: in words. `curves`: none if nothing was
    fitted step by step. `warnings` come before all numbers. `overconfidence`: mean confidence minus accuracy, -1 to 1. `classes` are in the order
    shown. `params`: values by section and key. `numbered_classes`: the classes that the confusion matrix shows with a number, name by label.
    """

    dataset_name: str
    dataset_digest: str
    source: str
    image_shape: tuple[int, int, int]
    method: str
    model_digest: str
    metrics: Mapping[str, float]
    cross_validation: Mapping[str, float]
    overconfidence: float
    akin: int
    trained_on: str
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
    numbered_classes: Mapping[str, str] = field(default_factory=dict)
    how_sure: "HowSure | None" = None
    slices: "Slices | None" = None

    @property
    def digits(self) -> int:
        """Decimals of an accuracy in per cent: a second one is meaningful only with many images."""
        return 2 if self.metrics["images"] >= IMAGES_FOR_A_SECOND_DIGIT else 1

    @property
    def names(self) -> set[str]:
        """All class names that the page shows."""
        pairs: list[Confusion | Mistake | Doubt] = [*self.confusions, *self.mistakes, *self.doubts]
        return {name for pair in pairs for name in (pair.label, pair.predicted)} | {
            name for row in self.classes for name in (row.name, row.confused_with)
        }

    @property
    def rated(self) -> int:
        """How many classes occur among the labels or predictions of the test images: those that macro F1 is the mean of."""
        return sum(1 for row in self.classes if row.support or row.predicted)

    @property
    def guessing_loss(self) -> float:
        """The log loss of giving every class the same probability."""
        return math.log(len(self.classes))

    @property
    def smoothed_labels(self) -> bool:
        """Whether the model was fitted to smoothed labels."""
        return bool(self.params.get("chosen", {}).get("label_smoothing"))

    @property
    def top_k(self) -> int | None:
        """The k of the top-k accuracy among the metrics, or None."""
        ks = [key.split("_")[1] for key in self.metrics if key.startswith("top_")]
        return int(ks[0]) if ks else None


def render(report: Report) -> str:
    """The report as HTML. The same report gives the same text."""
    return render_page(
        "report.html.j2",
        {"css_px": css_px, "as_yaml": as_yaml},
        report=report,
        brief=brief_names(report.names),
        agreement=agreement(report),
        calibration=calibration(report),
        shown_at_once=CLASSES_SHOWN_AT_ONCE,
    )


def css_px(png: bytes) -> tuple[int, int]:
    """(width, height) at which a chart is shown, in CSS px. Bytes 16 to 23 of a PNG hold its size."""
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    return round(width / PICTURE_DOTS_PER_CSS_PX), round(height / PICTURE_DOTS_PER_CSS_PX)


def agreement(report: Report) -> str:
    """A sentence that compares test and cross-validation by their 95 % intervals."""
    test, folds = report.metrics, report.cross_validation
    if test["accuracy_low"] > folds["accuracy_high"]:
        return "Test accuracy is higher than in cross-validation: the test images may be easier, or too similar to training images."
    if test["accuracy_high"] < folds["accuracy_low"]:
        return "Test accuracy is lower than in cross-validation: the test images may differ from the training images."
    return "The 95 % intervals of test and cross-validation overlap."


def calibration(report: Report) -> str:
    """A sentence on how well the model is calibrated, as far as the number of test images allows one."""
    test, surplus = report.metrics, report.overconfidence
    error, is_many = test["calibration_error"], test["images"] >= IMAGES_FOR_CALIBRATION
    if is_many and error < 0.02:
        return "The model is well calibrated."
    if is_many and abs(surplus) < error / 2:
        return "Some probabilities are too high and others too low."
    points = f"{abs(100 * surplus):.1f} percentage points {'above' if surplus > 0 else 'below'} its accuracy"
    if test["accuracy_low"] <= test["accuracy"] + surplus <= test["accuracy_high"]:
        return f"The mean confidence is {points}, within its 95 % interval: {test['images']:,} test images do not show more."
    return f"The model is {'overconfident' if surplus > 0 else 'underconfident'}: its mean confidence is {points}."


def as_yaml(value: object) -> str:
    """A parameter's value as in params.yaml."""
    return str(value).lower() if isinstance(value, bool) else str(value)
