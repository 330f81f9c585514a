"""The evaluation report: values in, one self-contained HTML page out.

Presentation only: reads nothing but its template, computes no metric, knows nothing of files, models or MLflow. The page needs no network and
no scripts; pictures are data URIs; all text is escaped.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.evaluation.counts import Score
from pipeline.evaluation.metrics import Confusion
from pipeline.reports.evaluation_gallery import Answer, Gallery
from pipeline.reports.evaluation_words import agreement, calibration, headline
from pipeline.reports.page import brief_names, is_small_png, render_page

if TYPE_CHECKING:
    from pipeline.labels.doubts_section import LabelDoubts
    from pipeline.properties.slices import Slices
    from pipeline.reports.how_sure import HowSure

PICTURE_DOTS_PER_CSS_PX = 1.5
CLASSES_SHOWN_AT_ONCE = 15
MISTAKES_SHOWN_AT_ONCE = 12
NARROW = 0.004
"""The width of an interval, below which a second decimal of a percentage is meaningful."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Picture:
    """A chart as PNG bytes, for the light and the dark theme, and its alternative text."""

    light: bytes
    dark: bytes
    alt: str


@dataclass(frozen=True)
class ClassRow:
    """One class: precision, recall, f1 and `confused_share` from 0 to 1; `confused_with` is the most frequent wrong prediction, or empty.

    `predicted`: whether any test image was predicted as this class. The intervals are of 95 %. `confusions`: all wrong predictions with their number of
    images, most frequent first.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    confused_with: str
    confused_share: float
    predicted: bool = True
    precision_interval: Interval = (0.0, 1.0)
    recall_interval: Interval = (0.0, 1.0)
    confusions: Sequence[tuple[str, int]] = ()

    @property
    def missed(self) -> float:
        """The share (0 to 1) of the class's images that were predicted as another class; 0 if it has none."""
        return 1 - self.recall if self.support else 0.0


@dataclass(frozen=True)
class Fold:
    """A fold of the cross-validation."""

    fold: int
    images: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Report:
    """Everything that the page shows. `metrics` are the flat numbers of the test split, `intervals` those of some of them by name, `cross_validation`
    the numbers over the folds. `score`: of the test images.

    `akin`: how many test images are near copies of training images, or in a group with them. `trained_on`: in words. `curves`: none if there are not two
    epochs. `warnings` come before all numbers. `overconfidence`: mean confidence minus accuracy, -1 to 1. `classes` are in the order shown. `params`:
    values by section and key; `unusual`: those that somebody set, by dotted name. `numbered_classes`: the classes that the confusion matrix shows with a
    number, name by label.
    """

    dataset_name: str
    dataset_digest: str
    source: str
    image_shape: tuple[int, int, int]
    method: str
    model_digest: str
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    score: Score
    cross_validation: Mapping[str, float]
    overconfidence: float
    akin: int
    trained_on: str
    warnings: Sequence[str]
    classes: Sequence[ClassRow]
    confusions: Sequence[Confusion]
    folds: Sequence[Fold]
    gallery: Gallery
    params: Mapping[str, Mapping[str, object]]
    unusual: Mapping[str, object]
    curves: Sequence[Picture]
    epochs: int
    confusion_matrix: Picture
    reliability: Picture
    fold_picture: Picture
    numbered_classes: Mapping[str, str] = field(default_factory=dict)
    how_sure: "HowSure | None" = None
    slices: "Slices | None" = None
    label_doubts: "LabelDoubts | None" = None

    @property
    def is_better(self) -> bool:
        """Whether the model is shown to be better than the majority-class baseline; if not, the page praises nothing."""
        return self.score.is_shown_better(self.metrics["accuracy_low"])

    @property
    def digits(self) -> int:
        """Decimals of an accuracy in per cent: a second one is meaningful only if its interval is narrow."""
        return 2 if self.metrics["accuracy_high"] - self.metrics["accuracy_low"] < NARROW else 1

    @property
    def names(self) -> set[str]:
        """All class names that the page shows."""
        pairs: list[Confusion | Answer] = [*self.confusions, *self.gallery.mistakes, *self.gallery.unsure]
        doubted = self.label_doubts.names if self.label_doubts else set()
        return (
            doubted
            | {name for pair in pairs for name in (pair.label, pair.predicted)}
            | {name for row in self.classes for name in (row.name, row.confused_with, self.score.majority_class)}
        )

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
        {"css_px": css_px, "as_yaml": as_yaml, "is_small_png": is_small_png},
        report=report,
        brief=brief_names(report.names),
        headline=headline(report.score, report.metrics["accuracy_low"], report.digits),
        agreement=agreement(report.metrics, report.cross_validation) if report.is_better else "",
        calibration=calibration(report.metrics, report.overconfidence) if report.is_better else "",
        shown_at_once=CLASSES_SHOWN_AT_ONCE,
        mistakes_at_once=MISTAKES_SHOWN_AT_ONCE,
    )


def css_px(png: bytes) -> tuple[int, int]:
    """(width, height) at which a chart is shown, in CSS px. Bytes 16 to 23 of a PNG hold its size."""
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    return round(width / PICTURE_DOTS_PER_CSS_PX), round(height / PICTURE_DOTS_PER_CSS_PX)


def as_yaml(value: object) -> str:
    """A parameter's value as in params.yaml."""
    return str(value).lower() if isinstance(value, bool) else str(value)
