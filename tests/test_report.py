import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pipeline.evaluation.metrics import Confusion
from pipeline.reports.evaluation_report import ClassRow, Doubt, Fold, Mistake, Picture, Report, agreement, calibration, css_px, render
from pipeline.reports.page import percent

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (600).to_bytes(4, "big") + (300).to_bytes(4, "big")
PICTURE = Picture(PNG, PNG + b"dark", "what it shows")
CROSS_VALIDATION = {"accuracy_mean": 0.91, "accuracy_std": 0.012, "accuracy_low": 0.9, "accuracy_high": 0.92, "folds": 2}
METRICS = {
    "accuracy": 0.9,
    "accuracy_low": 0.88,
    "accuracy_high": 0.92,
    "top_3_accuracy": 0.99,
    "macro_f1": 0.89,
    "log_loss": 0.31,
    "calibration_error": 0.01,
    "images": 2000,
}
REPORT = Report(
    dataset_name="garments",
    dataset_digest="0123abcd",
    source="data/garments",
    image_shape=(28, 28, 1),
    model_name="resnet",
    model_digest="89ef",
    metrics=METRICS,
    cross_validation=CROSS_VALIDATION,
    overconfidence=0.005,
    warnings=[],
    classes=[
        ClassRow("shirt", 0.8, 0.7, 0.75, 1000, "coat", 0.2),
        ClassRow("coat", 0.9, 0.95, 0.92, 1000, "", 0.0),
        ClassRow("hat", 0.0, 0.0, 0.0, 0, "", 0.0),
    ],
    confusions=[Confusion("shirt", "coat", 200, 0.2)],
    folds=[Fold(0, 500, 0.9, 0.3), Fold(1, 500, 0.92, 0.28)],
    mistakes=[Mistake(PNG, "test/7.png", "shirt", "coat", 0.98)],
    doubts=[Doubt("train/3.png", "coat", "shirt", 0.97, 1)],
    params={"general": {"seed": 1}, "augment": {"horizontal_flip": True}},
    curves=[PICTURE, PICTURE],
    confusion_matrix=PICTURE,
    reliability=PICTURE,
    fold_picture=PICTURE,
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
    return " ".join(Page(render(report)).text.replace("\u00a0", " ").split())


def test_the_page_refers_to_nothing_outside_itself() -> None:
    html = render(REPORT)
    page = Page(html)
    assert page.references
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"https?:|@import|url\(", html)


def test_every_element_is_closed_and_every_picture_has_words() -> None:
    page = Page(render(REPORT))
    assert page.open == []
    assert page.alts
    assert all(page.alts)


def test_the_verdict_tells_accuracy_interval_folds_and_images() -> None:
    text = text_of(REPORT)
    assert "90.00 % of 2,000 unseen images are labelled correctly." in text
    assert "95 % interval 88.00 % to 92.00 %" in text
    assert "91.00 % ± 1.20 %" in text
    assert "200 of 2,000 images wrong" in text


def test_few_images_get_one_decimal() -> None:
    assert "90.0 % of 300 unseen images" in text_of(replace(REPORT, metrics={**METRICS, "images": 300}))


def test_names_are_escaped() -> None:
    name = "<b>bold</b> & \"quoted\" <script>alert('x')</script>"
    row = ClassRow(name, 0.5, 0.5, 0.5, 10, name, 0.5)
    hostile = replace(REPORT, dataset_name=name, classes=[row, row], mistakes=[Mistake(PNG, name, name, name, 0.9)])
    page = Page(render(hostile))
    assert name in page.text
    assert "script" not in page.tags
    assert page.alts[-1] == f"Test image {name}, {name}, predicted as {name}"


def test_a_report_has_the_same_text_twice() -> None:
    assert render(REPORT) == render(REPORT)


def test_the_top_k_tile_is_left_out_with_its_metric() -> None:
    assert "Top-3 accuracy" in text_of(REPORT)
    assert "Top-" not in text_of(replace(REPORT, metrics={key: value for key, value in METRICS.items() if key != "top_3_accuracy"}))


def test_a_perfect_model_has_no_mistakes_to_show() -> None:
    classes = [ClassRow("shirt", 1.0, 1.0, 1.0, 1000, "", 0.0), ClassRow("coat", 1.0, 1.0, 1.0, 1000, "", 0.0)]
    text = text_of(replace(REPORT, metrics={**METRICS, "accuracy": 1.0}, classes=classes, confusions=[], mistakes=[], doubts=[]))
    assert "0 of 2,000 images wrong" in text
    assert "There are none: every test image got its label." in text
    assert "second look" not in text


def test_many_classes_are_folded_away_but_all_there() -> None:
    classes = [ClassRow(f"kind {i}", 0.5, 0.5, 0.5, 10, "", 0.0) for i in range(100)]
    text = text_of(replace(REPORT, classes=classes))
    assert "The other 85 classes" in text
    assert "kind 99" in text


def test_a_class_without_test_images_says_so() -> None:
    assert "hat not in the test split" in text_of(REPORT)


def test_parameters_are_shown_as_params_yaml_has_them() -> None:
    assert "augment horizontal_flip true" in re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", render(REPORT)))


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.93, 0.95, "better than the folds"), (0.85, 0.89, "worse than the folds"), (0.88, 0.905, "agree")]
)
def test_agreement_compares_the_intervals(low: float, high: float, expected: str) -> None:
    assert expected in agreement(replace(REPORT, metrics={**METRICS, "accuracy_low": low, "accuracy_high": high}))


@pytest.mark.parametrize(
    ("error", "surplus", "expected"),
    [
        (0.01, 0.01, "taken at their word"),
        (0.05, 0.048, "4.8 percentage points surer than it is right"),
        (0.05, -0.048, "4.8 percentage points less sure"),
        (0.05, 0.001, "too high and others too low"),
    ],
)
def test_calibration_in_words(error: float, surplus: float, expected: str) -> None:
    assert expected in calibration(replace(REPORT, metrics={**METRICS, "calibration_error": error}, overconfidence=surplus))


def test_percent_keeps_its_sign_on_the_line() -> None:
    assert percent(0.9263, 2) == "92.63\u00a0%"


def test_the_size_of_a_chart_is_read_from_its_bytes() -> None:
    assert css_px(PNG) == (400, 200)  # 1.5 dots per CSS px
