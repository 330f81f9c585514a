import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest

from pipeline.evaluation.counts import Score
from pipeline.evaluation.metrics import Confusion
from pipeline.labels.doubts_section import LabelDoubt, LabelDoubts
from pipeline.names import shown
from pipeline.reports.evaluation_gallery import Answer, Gallery
from pipeline.reports.evaluation_report import ClassRow, Fold, Picture, Report, css_px, render
from pipeline.reports.evaluation_words import agreement, calibration, headline
from pipeline.reports.page import brief_names, percent
from tests.odd_names import LONG, ODD_NAMES

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (600).to_bytes(4, "big") + (300).to_bytes(4, "big")
PICTURE = Picture(PNG, PNG + b"dark", "what it shows")
CROSS_VALIDATION = {"accuracy_mean": 0.91, "accuracy_std": 0.012, "accuracy_low": 0.9, "accuracy_high": 0.92, "folds": 2}
METRICS = {"accuracy": 0.9, "accuracy_low": 0.88, "accuracy_high": 0.92, "top_3_accuracy": 0.99}
METRICS |= {"macro_f1": 0.89, "log_loss": 0.31, "calibration_error": 0.01, "images": 2000, "groups": 2000}
SCORE = Score(2000, 1800, "shirt", 1000, {})
MISTAKE = Answer(PNG, "test/7.png", "shirt", "coat", 0.98, PNG + b"map", "top left")
REPORT = Report(
    dataset_name="garments",
    dataset_digest="0123abcd",
    source="data/garments",
    image_shape=(28, 28, 1),
    method="resnet, fitted to images",
    model_digest="89ef",
    metrics=METRICS,
    intervals={"macro_f1": (0.87, 0.91), "log_loss": (0.28, 0.35)},
    score=SCORE,
    cross_validation=CROSS_VALIDATION,
    overconfidence=0.005,
    akin=0,
    trained_on="augmented images",
    warnings=[],
    classes=[
        ClassRow("shirt", 0.8, 0.7, 0.75, 1000, "coat", 0.2, recall_interval=(0.67, 0.73), confusions=[("coat", 200), ("hat", 100)]),
        ClassRow("coat", 0.9, 0.95, 0.92, 1000, "", 0.0),
        ClassRow("hat", 0.0, 0.0, 0.0, 0, "", 0.0, predicted=False),
    ],
    confusions=[Confusion("shirt", "coat", 200, 0.2)],
    folds=[Fold(0, 500, 0.9, 0.3), Fold(1, 500, 0.92, 0.28)],
    gallery=Gallery([MISTAKE], [Answer(PNG, "test/9.png", "coat", "coat", 0.51)], ("#d55e00", "#0072b2"), is_exact=True),
    params={"general": {"seed": 1}, "augment": {"horizontal_flip": True}},
    unusual={"train.epochs": 9},
    curves=[PICTURE, PICTURE],
    epochs=2,
    confusion_matrix=PICTURE,
    reliability=PICTURE,
    fold_picture=PICTURE,
    label_doubts=LabelDoubts([LabelDoubt(PNG, "train/3.png", "coat", "shirt", 0.97, 0.9, 0.8, -1.25)], 7, 4000),
)


class Page(HTMLParser):
    """What a page refers to, its text, and whether each element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.alts: list[str | None] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.references += [values[name] or "" for name in ("src", "srcset", "href", "action", "data") if name in values]
        if tag == "img":
            self.alts.append(values.get("alt"))
        if tag not in ("img", "source", "meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(report: Report) -> str:
    body = render(report).split("</style>")[1]
    return re.sub(r" ([,.;])", r"\1", " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split()))


def check_page(html: str) -> Page:
    """The page, if it is whole and refers to nothing outside itself."""
    page = Page(html)
    pictures = [reference for reference in page.references if not reference.startswith("#")]
    assert pictures
    assert all(reference.startswith("data:image/png;base64,") for reference in pictures)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"https?:|@import|url\(", html)
    assert page.open == []
    assert page.alts
    assert None not in page.alts
    return page


def test_the_page_is_whole_and_the_same_twice() -> None:
    check_page(render(REPORT))
    assert render(REPORT) == render(REPORT)


WITHOUT_TOP_K = replace(REPORT, metrics={key: value for key, value in METRICS.items() if key != "top_3_accuracy"})
PERFECT = replace(
    REPORT,
    label_doubts=LabelDoubts([], 0, 4000),
    metrics={**METRICS, "accuracy": 1.0},
    score=Score(2000, 2000, "shirt", 1000, {}),
    classes=[ClassRow(name, 1.0, 1.0, 1.0, 1000, "", 0.0) for name in ("shirt", "coat")],
    confusions=[],
    gallery=replace(REPORT.gallery, mistakes=[]),
)
MANY_CLASSES = replace(REPORT, classes=[ClassRow(f"kind {i}", 0.5, 0.5, 0.5, 10, "", 0.0) for i in range(100)])


WORSE = replace(
    REPORT,
    metrics={
        **METRICS,
        "accuracy": 22 / 52,
        "accuracy_low": 0.299,
        "accuracy_high": 0.558,
        "images": 52,
        "groups": 52,
        "calibration_error": 0.01,
    },
    score=Score(52, 22, "bees", 30, {"ants": 22}),
    cross_validation={**CROSS_VALIDATION, "accuracy_mean": 0.55, "accuracy_low": 0.48, "accuracy_high": 0.62},
    warnings=["No better than always guessing bees, which is right for 30 of 52 test images."],
    label_doubts=LabelDoubts([], 0, 200, "They cannot doubt a label."),
)
UNCLEAR = replace(
    WORSE,
    metrics={**METRICS, "accuracy": 33 / 52, "accuracy_low": 0.499, "accuracy_high": 0.752, "images": 52, "groups": 52},
    score=Score(52, 33, "bees", 30, {}),
)


@pytest.mark.parametrize(
    ("report", "shown"),
    [
        (REPORT, "Right on 90.0 % of 2,000 test images, against 50.0 % by always guessing one class"),
        (
            REPORT,
            "Test accuracy 90.0 %, 95 % interval 88.0 % to 92.0 %; always guessing shirt, the most frequent class: 50.0 %.",
        ),
        (REPORT, "2-fold cross-validation on the training images: 91.0 %, 95 % interval 90.0 % to 92.0 %."),
        (REPORT, "200 of 2,000 images wrong"),
        (REPORT, "Baseline 50.0 % always guessing shirt"),
        (
            replace(REPORT, metrics={**METRICS, "accuracy_low": 0.899, "accuracy_high": 0.901}),
            "Test accuracy 90.00 %",
        ),  # it means something
        (REPORT, "Top-3 accuracy"),
        (REPORT, "hat not in the test split"),
        (REPORT, "70.0 % 67.0 to 73.0"),
        (REPORT, "Macro F1 89.0 % 95 % interval 87.0 % to 91.0 %; the 2 classes that are tested or predicted, weighted equally"),
        (REPORT, "Log loss 0.310 95 % interval 0.280 to 0.350;"),
        (REPORT, "shirt predicted as coat 200 · 20.0 %"),
        (REPORT, "shirt : 700 of 1,000 right; predicted as coat 200, hat 100"),  # the matrix as text
        (REPORT, "on augmented images, so"),
        (replace(REPORT, params={"chosen": {"label_smoothing": 0.1}}), "on augmented images and smoothed labels, so"),
        (replace(REPORT, params={"train": {"label_smoothing": "auto"}}), "on augmented images, so"),
        (replace(REPORT, curves=[], epochs=0), "None: the classifier is fitted in one step."),
        (replace(REPORT, curves=[], epochs=1), "None: the model was fitted for one epoch."),
        (
            replace(REPORT, akin=2),
            "2 test images are near copies of training images, or in a group with them, so the accuracy may be too high",
        ),
        (replace(REPORT, metrics={**METRICS, "groups": 12}), "88.0 % to 92.0 %, as the images belong to 12 groups;"),
        (replace(REPORT, metrics={**METRICS, "groups": 12}), "Accuracy interval: cluster bootstrap over groups of images"),
        (REPORT, "Accuracy interval: Wilson score, 95 %"),
        (REPORT, "hat not in the test split – – – 0"),
        (
            replace(REPORT, classes=[ClassRow("cap", 0.0, 0.0, 0.0, 9, "coat", 1.0, predicted=False)]),
            "never predicted 0.0 % 9 coat 100.0 %",
        ),
        (REPORT, "Set in params.yaml, other than usual train.epochs 9"),
        (REPORT, "augment horizontal_flip true"),  # as params.yaml has it
        (replace(REPORT, warnings=["Never predicted: hat."]), "Never predicted: hat."),
        (REPORT, "speaks for the prediction speaks against it"),
        (REPORT, "A map splits the score of the prediction (its logit less a constant) into places of the image, coarsely"),
        (REPORT, "It does not show why the place speaks for the class"),
        (
            replace(REPORT, gallery=replace(REPORT.gallery, is_exact=False)),
            "A map shares out a part of the score of the prediction, what the places add to it directly, coarsely",
        ),
        (
            REPORT,
            "Least sure answers The test images that the model is least sure of, right or wrong, without those above. coat (right) 51.0 %",
        ),
        (REPORT, "doubt 0.90, similar images 0.80, margin -1.2"),
        (REPORT, "on average over the epochs; the lower, the more doubtful. They are ranked by the two doubts."),
        (PERFECT, "0 of 2,000 images wrong"),
        (PERFECT, "Most confident mistakes None: every test image was classified correctly."),
        (MANY_CLASSES, "The other 85 classes"),
        (MANY_CLASSES, "kind 99"),
        (WORSE, "No better than always guessing bees; never predicts ants"),
        (WORSE, "Test accuracy 42.3 %, 95 % interval 29.9 % to 55.8 %; always guessing bees, the most frequent class: 57.7 %."),
        (WORSE, "Training labels to check They cannot doubt a label."),
        (UNCLEAR, "Not shown to be better than always guessing bees"),
    ],
)
def test_the_page_says(report: Report, shown: str) -> None:
    assert shown in text_of(report)


@pytest.mark.parametrize(
    ("report", "left_out"),
    [
        (WITHOUT_TOP_K, "Top-"),
        (PERFECT, "Training labels"),
        (WORSE, "intervals of test and cross-validation overlap"),
        (WORSE, "well calibrated"),
        (WORSE, "train/3.png"),
        (UNCLEAR, "Right on"),
        (replace(REPORT, unusual={}), "other than usual"),
    ],
)
def test_the_page_leaves_out_what_there_is_not(report: Report, left_out: str) -> None:
    assert left_out in text_of(REPORT)
    assert left_out not in text_of(report)


def test_names_are_escaped() -> None:
    name = "<b>bold</b> & \"quoted\" <script>alert('x')</script>"
    row = ClassRow(name, 0.5, 0.5, 0.5, 10, name, 0.5)
    gallery = replace(REPORT.gallery, unsure=[Answer(PNG, name, name, name, 0.9)])
    doubts = LabelDoubts([LabelDoubt(PNG, name, name, name, 0.9, 0.9, None)], 1, 2)
    page = Page(render(replace(REPORT, dataset_name=name, classes=[row, row], gallery=gallery, label_doubts=doubts)))
    assert name in page.text
    assert "script" not in page.tags
    assert page.alts[3] == f"Test image {name}, {name}, predicted as {name}"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.93, 0.95, "is higher than in cross-validation"), (0.85, 0.89, "is lower than"), (0.88, 0.905, "overlap")],
)
def test_agreement_compares_the_intervals(low: float, high: float, expected: str) -> None:
    assert expected in agreement({**METRICS, "accuracy_low": low, "accuracy_high": high}, CROSS_VALIDATION)


@pytest.mark.parametrize(
    ("error", "surplus", "expected"),
    [
        (0.01, 0.01, "The model is well calibrated."),
        (0.05, 0.048, "The model is overconfident: its mean confidence is 4.8 percentage points above its accuracy."),
        (0.05, -0.048, "The model is underconfident: its mean confidence is 4.8 percentage points below its accuracy."),
        (0.05, 0.001, "Some probabilities are too high and others too low."),
    ],
)
def test_calibration_in_words(error: float, surplus: float, expected: str) -> None:
    assert calibration({**METRICS, "calibration_error": error}, surplus) == expected


def test_few_images_do_not_show_how_well_a_model_is_calibrated() -> None:
    few = {**METRICS, "accuracy": 1.0, "accuracy_low": 0.51, "accuracy_high": 1.0, "calibration_error": 0.1, "images": 4}

    assert calibration(few, -0.1) == (
        "The mean confidence is 10.0 percentage points below its accuracy, within its 95 % interval: 4 test images do not show more."
    )


@pytest.mark.parametrize(
    ("score", "low", "expected"),
    [
        (Score(100, 60, "a", 50, {}), 0.501, "Right on 60.0 % of 100 test images, against 50.0 % by always guessing one class"),
        (
            Score(100, 60, "a", 50, {"b": 1}),
            0.501,
            "Right on 60.0 % of 100 test images, against 50.0 % by always guessing one class; never predicts b",
        ),
        (Score(100, 60, "a", 50, {}), 0.5, "Not shown to be better than always guessing a"),  # the interval includes it
        (Score(100, 50, "a", 50, {"b": 25, "c": 25}), 0.4, "No better than always guessing a; never predicts 2 classes"),
        (Score(100, 50, "line\nfeed", 50, {}), 0.4, 'No better than always guessing "line\\nfeed"'),
    ],
)
def test_the_headline_is_a_verdict_that_can_turn_out_either_way(score: Score, low: float, expected: str) -> None:
    assert headline(score, low, 1).replace("\u00a0", " ") == expected


def test_percent_keeps_its_sign_on_the_line() -> None:
    assert percent(0.9263, 2) == "92.63\u00a0%"


def test_the_size_of_a_chart_is_read_from_its_bytes() -> None:
    assert css_px(PNG) == (400, 200)  # 1.5 dots per CSS px


def test_names_are_on_the_page_letter_by_letter() -> None:
    rows = [ClassRow(name, 0.5, 0.5, 0.5, 10, name, 0.5) for name in ODD_NAMES]
    page = Page(render(replace(REPORT, classes=rows, numbered_classes={"#1": "日本語"})))

    assert [name for name in ODD_NAMES if shown(name) not in page.text] == []
    assert "\t" not in page.text
    assert "\r" not in page.text
    assert "#1日本語" in page.text


def test_a_very_long_name_loses_its_middle_in_passing_unless_it_would_be_like_another() -> None:
    one, other, alone = f"{LONG}1{LONG}", f"{LONG}2{LONG}", "x" * 200

    assert brief_names(["cat", "a\nb", one, other, alone]) == {
        "cat": "cat",
        "a\nb": '"a\\nb"',
        one: one,
        other: other,
        alone: "x" * 24 + "…" + "x" * 23,
    }
