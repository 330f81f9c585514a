"""The pages of a run in a real browser: at two widths, in both schemes and printed, for any model and however odd the names."""

import base64
import html
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pypdf
import pytest
from selenium import webdriver

from pipeline.evaluation.metrics import Confusion
from pipeline.labels.doubts_section import LabelDoubt, LabelDoubts
from pipeline.reports import data_report, evaluation_report
from pipeline.reports.evaluation_gallery import Answer
from pipeline.reports.evaluation_report import ClassRow, Picture
from pipeline.reports.pictures import confusion_matrix
from tests import test_data_report, test_report
from tests.axe import violations
from tests.compared_pages import changes_page, drift_page, flips_page
from tests.evaluated_pages import collapsed, excellent, middling
from tests.odd_names import ODD_NAMES
from tests.test_browser import ARGUMENTS, CHROMIUM, DRIVER
from tests.test_pictures import confusions

pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="no Chromium with chromedriver here: the browser test of the reports was left out"
    ),
    pytest.mark.filterwarnings("ignore"),
]
WIDER_THAN_THEIR_PLACE = """
    const wide = [...document.querySelectorAll('.scroll, section, figure, li, td, th')].filter(each => each.scrollWidth > each.clientWidth + 1);
    return wide.map(each => `${each.tagName} ${each.className}: ${each.textContent.trim().slice(0, 40)}`);
"""
HEADINGS = "return [...document.querySelectorAll('h2, h3')].map(each => each.textContent.trim().replace(/\\s+/g, ' '));"
PHONE_PX, DESKTOP_PX = 390, 1280
A4_INCHES = {"paperWidth": 8.27, "paperHeight": 11.69}
TEXT_PX = 700
"""About the width of the text on A4, in CSS px: 210 mm less the margins at 96 px an inch."""
MOST_BYTES = 3_000_000
BAR = ".7255 .2353 .0392 rg"
"""The colour of the bars, --warm, as a PDF fills with it."""


def evaluation_page() -> str:
    pairs = list(zip(ODD_NAMES, ODD_NAMES[::-1], strict=True))
    png = confusion_matrix(confusions(len(ODD_NAMES)), ODD_NAMES)
    mistakes = [Answer(test_data_report.PNG, f"{label}/1.png", label, other, 0.9, test_data_report.PNG, "centre") for label, other in pairs]
    return evaluation_report.render(
        replace(
            test_report.REPORT,
            classes=[ClassRow(name, 0.5, 0.5, 0.5, 10, other, 0.5, confusions=[(other, 5)]) for name, other in pairs],
            confusions=[Confusion(*pair, 3, 0.1) for pair in pairs],
            gallery=replace(test_report.REPORT.gallery, mistakes=mistakes, unsure=mistakes),
            label_doubts=LabelDoubts(
                [LabelDoubt(test_data_report.PNG, f"{label}/2.png", label, predicted, 0.9, 0.9, None) for label, predicted in pairs],
                len(pairs),
                4000,
            ),
            warnings=[f"Never predicted: {', '.join(ODD_NAMES)}."],
            confusion_matrix=Picture(png, png, "matrix"),
            numbered_classes={f"#{number}": name for number, name in enumerate(ODD_NAMES)},
        )
    )


def data_page() -> str:
    counts = {"train": dict.fromkeys(ODD_NAMES, 9), "test": {name: number for number, name in enumerate(ODD_NAMES, 1)}}
    pictures = dict.fromkeys(ODD_NAMES, [test_data_report.PNG] * 8)
    report = replace(test_data_report.REPORT, class_names=ODD_NAMES, counts=counts, thumbnails=pictures)
    return data_report.render(replace(report, read_as="classes from the folders; 20 % held out as test, by a hash of the pixels")).decode()


WITH_ODD_NAMES = (evaluation_page, data_page, changes_page, drift_page, flips_page)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (*ARGUMENTS, f"user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of three models, and those with odd names, as files."""
    folder = tmp_path_factory.mktemp("pages")
    texts = {each.__name__: each(tmp_path_factory.mktemp("project")) for each in (collapsed, middling, excellent)}
    texts |= {each.__name__: each() for each in WITH_ODD_NAMES}
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


def show(browser: webdriver.Chrome, page: Path, width_px: int, scheme: str = "light", media: str = "screen") -> None:
    window = {"width": width_px, "height": 900, "deviceScaleFactor": 1, "mobile": width_px == PHONE_PX}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", window)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    browser.get(page.as_uri())


@pytest.mark.parametrize("write", WITH_ODD_NAMES, ids=lambda write: write.__name__)
@pytest.mark.parametrize("width_px", [PHONE_PX, 1400])
def test_odd_names_fit_into_the_page(browser: webdriver.Chrome, pages: dict[str, Path], write: Callable[[], str], width_px: int) -> None:
    show(browser, pages[write.__name__], width_px)

    assert browser.execute_script("return document.documentElement.scrollWidth") <= width_px
    if width_px > 1000:  # on a telephone, tables and charts are scrolled within the page
        assert browser.execute_script(WIDER_THAN_THEIR_PLACE) == []


@pytest.mark.parametrize(
    ("name", "scheme", "width_px"),
    [
        ("collapsed", "light", PHONE_PX),
        ("middling", "dark", DESKTOP_PX),
        ("excellent", "light", DESKTOP_PX),
        ("evaluation_page", "dark", PHONE_PX),
        ("data_page", "light", PHONE_PX),
        ("data_page", "dark", DESKTOP_PX),
        ("changes_page", "light", PHONE_PX),
        ("changes_page", "dark", DESKTOP_PX),
        ("drift_page", "dark", PHONE_PX),
        ("flips_page", "light", PHONE_PX),
    ],
)
def test_nothing_keeps_people_from_reading_a_page(
    browser: webdriver.Chrome, pages: dict[str, Path], name: str, scheme: str, width_px: int
) -> None:
    show(browser, pages[name], width_px, scheme)

    assert violations(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width_px
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", ["collapsed", "middling", "excellent", "data_page"])
def test_a_printed_page_has_every_column_its_bars_and_no_heading_alone_at_the_foot(
    browser: webdriver.Chrome, pages: dict[str, Path], name: str
) -> None:
    show(browser, pages[name], TEXT_PX, media="print")
    assert browser.execute_script(WIDER_THAN_THEIR_PLACE) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= TEXT_PX
    headings = set(browser.execute_script(HEADINGS))

    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": False, **A4_INCHES})["data"]

    sheets = pypdf.PdfReader(io.BytesIO(base64.b64decode(printed))).pages
    assert 2 <= len(sheets) <= 30
    assert [text for sheet in sheets for text in lowest_line(sheet) if text in headings] == []
    if name != "data_page":
        assert any(BAR in drawn_by(sheet) for sheet in sheets)
        text = " ".join(sheet.extract_text() for sheet in sheets)
        last_column = re.findall(r'<td class="other"><bdi class="name">([^<]+)<', pages[name].read_text(encoding="utf-8"))
        assert last_column
        assert [cell for cell in map(html.unescape, last_column) if cell.split()[-1] not in text] == []


def drawn_by(sheet: pypdf.PageObject) -> str:
    """The operators that draw a printed page."""
    contents = sheet.get_contents()
    assert contents is not None
    return str(contents.get_data(), "latin1")


def lowest_line(sheet: pypdf.PageObject) -> list[str]:
    """The texts on the lowest line of a printed page, and that line as a whole."""
    found: list[tuple[float, str]] = []
    sheet.extract_text(visitor_text=lambda text, cm, tm, *_: found.append((cm[5] + tm[5] * cm[3], text.strip())) if text.strip() else None)
    foot = min(height for height, _ in found)
    line = [text for height, text in found if abs(height - foot) < 3]
    return [*line, " ".join(line)]


def test_a_page_stays_small_for_2_10_and_100_classes(pages: dict[str, Path]) -> None:
    assert {name: page.stat().st_size for name, page in pages.items() if page.stat().st_size > MOST_BYTES} == {}


@pytest.mark.parametrize(
    ("name", "says", "never_says"),
    [
        (
            "collapsed",
            [
                "No better than always guessing bees; never predicts ants",
                "Test accuracy 57.7 %, 95 % interval 44.2 % to 70.1 %; always guessing bees, the most frequent class: 57.7 %.",
                "No better than always guessing bees, which is right for 30 of 52 test images.",
                "Never predicted: ants (22 test images).",
                "which is not clearly better than always guessing bees (57.7%). So its doubts say nothing about the labels.",
            ],
            ["Right on", "well calibrated", "overlap", "Many of these labels are right and only unusual."],
        ),
        (
            "middling",
            [
                "Right on 60.0 % of 300 test images, against 10.0 % by always guessing one class",
                "The 95 % intervals of test and cross-validation overlap.",
                "mean confidence is",
                "Many of these labels are right and only unusual.",
            ],
            ["No better", "Never predicted", "never predicts", "well calibrated"],
        ),
        (
            "excellent",
            ["Right on 99.0 % of 2,000 test images, against 1.0 % by always guessing one class", "The other 85 classes"],
            ["No better", "never predicts", "say nothing about the labels"],
        ),
    ],
)
def test_the_page_says_what_the_model_is_worth(pages: dict[str, Path], name: str, says: list[str], never_says: list[str]) -> None:
    body = pages[name].read_text(encoding="utf-8").split("</style>")[1]
    text = re.sub(r" ([,.;])", r"\1", " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ").split()))

    assert [words for words in says if words not in text] == []
    assert [words for words in never_says if words in text] == []
