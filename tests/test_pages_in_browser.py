"""Both reports in a real browser: however odd the names, no page is wider than the window, and no table is pushed aside."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver

from pipeline.evaluation.metrics import Confusion
from pipeline.reports import data_report, evaluation_report
from pipeline.reports.evaluation_report import ClassRow, Mistake, Picture
from pipeline.reports.label_doubts import LabelDoubt, LabelDoubts
from pipeline.reports.page import brief_names
from pipeline.reports.pictures import confusion_matrix
from tests import test_data_report, test_report
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


def evaluation_page() -> str:
    pairs = list(zip(ODD_NAMES, ODD_NAMES[::-1], strict=True))
    png = confusion_matrix(confusions(len(ODD_NAMES)), ODD_NAMES)
    return evaluation_report.render(
        replace(
            test_report.REPORT,
            classes=[ClassRow(name, 0.5, 0.5, 0.5, 10, other, 0.5) for name, other in pairs],
            confusions=[Confusion(*pair, 3, 0.1) for pair in pairs],
            mistakes=[Mistake(test_data_report.PNG, f"{label}/1.png", label, predicted, 0.9) for label, predicted in pairs],
            label_doubts=LabelDoubts(
                [LabelDoubt(test_data_report.PNG, f"{label}/2.png", label, predicted, 0.9, 0.9, None) for label, predicted in pairs],
                len(pairs),
                4000,
                "",
                brief_names(ODD_NAMES),
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
    return data_report.render(report).decode()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in (*ARGUMENTS, f"user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.mark.parametrize("write", [evaluation_page, data_page], ids=lambda write: write.__name__)
@pytest.mark.parametrize("width_px", [400, 1400])
def test_odd_names_fit_into_the_page(browser: webdriver.Chrome, tmp_path: Path, write: Callable[[], str], width_px: int) -> None:
    (tmp_path / "page.html").write_text(write(), encoding="utf-8")
    window = {"width": width_px, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", window)
    browser.get((tmp_path / "page.html").as_uri())

    assert browser.execute_script("return document.documentElement.scrollWidth") <= width_px
    if width_px > 1000:  # on a telephone, tables and charts are scrolled within the page
        assert browser.execute_script(WIDER_THAN_THEIR_PLACE) == []
