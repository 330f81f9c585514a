import html
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline.dataset.intake import KEPT_FACTS
from pipeline.images.thumbnails import thumbnail
from pipeline.names import quoted
from pipeline.quality.findings import Action, Finding, Subject
from pipeline.quality.kinds import kinds
from pipeline.reports.data_charts import Bar, median_px, short_list, size_chart
from pipeline.reports.data_page import data_page
from pipeline.reports.data_report import DataReport, Example, FindingGroup, Picture, differ, render, thumbnails_per_class
from pipeline.reports.page import is_small_png
from tests.test_report import Page, check_page

HOSTILE = "<script>alert('x')</script> & \"quoted\" \u202eسهم " + "long" * 60
PNG = thumbnail(Image.new("L", (28, 28), 200))
PAIR = [Picture("train/a.png", "cat", "train", PNG), Picture("test/b.png", "cat", "test", PNG)]
REPORT = DataReport(
    name="pets",
    source="archives/pets.zip",
    digest="0123456789abcdef" * 4,
    images=69_812,
    left_out=188,
    class_names=["cat", "dog"],
    counts={"train": {"cat": 40_000, "dog": 19_812}, "validation": {"cat": 0, "dog": 0}, "test": {"cat": 10_000}},
    sizes_px={(28, 28): 69_812},
    modes={"L": 69_812},
    formats={"PNG": 69_811, "JPEG": 1},
    thumbnails={"cat": [PNG] * 20, "dog": [PNG]},
    findings=[
        FindingGroup("duplicate", "kept", 1, [Example(PAIR, "the same pixels")]),
        FindingGroup("leak", "rejected", 3, [Example(PAIR, "")]),
    ],
    checked=["leak", "conflict", "duplicate", "empty"],
)


def text_of(report: DataReport) -> str:
    body = render(report).decode().split("</style>")[1]
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ").split())
    return re.sub(r" ([,.;])", r"\1", text)


def noise(seed: int, side_px: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), np.uint8))


def found(kind: str, action: Action, count: int, examples: list[Example]) -> DataReport:
    return replace(REPORT, findings=[FindingGroup(kind, action, count, examples)])


MANY_SIZES = {(100 + i, 80): 1 + i for i in range(9)}
NOT_ACCEPTED = replace(REPORT, findings=[*REPORT.findings, FindingGroup("conflict", "failed", 2, [Example(PAIR, "")])])
NO_PROBLEM = replace(REPORT, left_out=0, findings=[])
EVEN = replace(REPORT, images=10, class_names=["a", "b"], counts={"train": {"a": 4, "b": 4}, "test": {"a": 1, "b": 1}})
SMALL = [Example([], f"{name}: 4 training images") for name in "ab"]
ALL_SMALL = replace(EVEN, findings=[FindingGroup("small_class", "kept", 2, SMALL)])
NO_PICTURE = Picture("cat/1.png", "cat", None, None)
EMPTY = found("empty", "rejected", 2, [Example([NO_PICTURE], "empty file")])
NO_IMAGE = replace(EMPTY, images=0, left_out=2, class_names=[], counts={}, sizes_px={}, modes={}, formats={})
MANY_EXAMPLES = found("near_leak", "kept", 40, [Example([picture] * 6, f"example {i}.") for i, picture in enumerate(PAIR * 10)])


@pytest.mark.parametrize(
    ("report", "shown"),
    [
        (REPORT, "69,812 of 70,000 files used, in 2 classes; 188 left out. Found and left out: 3 leaks. Found and kept: 1 duplicate."),
        (REPORT, "Source archives/pets.zip · digest 0123456789ab "),
        (NO_PROBLEM, "69,812 images in 2 classes; none left out. No problems found."),
        (NO_PROBLEM, "Checks without findings: leaks, label conflicts, duplicates, empty files."),
        (NOT_ACCEPTED, "Not accepted: 2 label conflicts."),
        (NO_IMAGE, "0 of 2 files used, in 0 classes; 2 left out."),
        (NO_IMAGE, "cat/1.png · cat empty file 1 more in findings.csv."),
        (REPORT, "The largest class is cat with 50,000 images, the smallest dog with 19,812."),
        (REPORT, "cat train 40,000 test 10,000 71.6 %"),
        (REPORT, "dog train 19,812 test 0 28.4 %"),
        (EVEN, "Every class has 5 images."),
        (ALL_SMALL, "Found and kept: 2 small classes (all)."),
        (ALL_SMALL, "All 2 classes are small: 4 training images each."),
        (REPORT, "All images have the same size: 28 × 28 px."),
        (replace(REPORT, sizes_px=MANY_SIZES), "9 sizes, width × height; the median is 106 × 80 px."),
        (REPORT, "All images have the same mode: grey (L)."),
        (REPORT, "PNG 69,811 JPEG 1"),
        (MANY_EXAMPLES, "example 11."),
        (MANY_EXAMPLES, "28 more in findings.csv."),
        (found("small_class", "kept", 1, [Example([], "dog: 3 images")]), "dog: 3 images"),
        (found("undecodable", "rejected", 1, [Example([PAIR[0], NO_PICTURE], "")]), "cat train train/a.png no preview cat cat/1.png"),
    ],
)
def test_the_page_says(report: DataReport, shown: str) -> None:
    assert shown in text_of(report)


@pytest.mark.parametrize(
    ("report", "left_out"),
    [
        (REPORT, "Validation"),
        (replace(REPORT, formats={}), "Formats"),
        (MANY_EXAMPLES, "example 12."),
        (EVEN, "Share"),
        (ALL_SMALL, "a: 4 training images"),
    ],
)
def test_the_page_leaves_out_what_there_is_not(report: DataReport, left_out: str) -> None:
    assert left_out not in text_of(report)


def test_the_page_is_whole_with_every_kind_of_finding() -> None:
    every_kind = [FindingGroup(kind, "rejected", 30, [Example(PAIR * 3, kind)] * 15) for kind in kinds()]
    check_page(render(replace(REPORT, findings=every_kind, sizes_px={(i, 2 * i): i for i in range(1, 50)})).decode())


def test_links_lead_to_the_findings_those_not_accepted_first() -> None:
    html = render(NOT_ACCEPTED).decode()
    assert re.findall(r'<section class="long" id="([^"]+)"', html) == ["conflict-failed", "leak-rejected", "duplicate-kept"]
    assert re.findall(r'href="#([^"]+)"', html) == ["main", "leak-rejected", "duplicate-kept"]


def test_examples_show_four_pictures_each() -> None:
    assert text_of(MANY_EXAMPLES).count("and 2 others") == 12


def test_many_sizes_are_drawn() -> None:
    assert "svg" not in Page(render(REPORT).decode()).tags
    assert "svg" in Page(render(replace(REPORT, sizes_px=MANY_SIZES)).decode()).tags


def test_what_differs_in_a_pair_stands_out() -> None:
    assert differ(PAIR, "split")
    assert not differ(PAIR, "label")
    assert '<span class="wrong">train</span>' in render(REPORT).decode()


def test_names_are_escaped() -> None:
    group = FindingGroup("leak", "rejected", 9, [Example([Picture(HOSTILE, HOSTILE, HOSTILE, PNG)] * 2, HOSTILE)])
    files = FindingGroup("empty", "rejected", 9, [Example([Picture(HOSTILE, HOSTILE, HOSTILE, None)], HOSTILE)])
    counts = {"train": {HOSTILE: 3, "dog": 4}}
    hostile = replace(REPORT, name=HOSTILE, source=HOSTILE, class_names=[HOSTILE, "dog"], counts=counts, findings=[group, files])
    page = Page(render(replace(hostile, thumbnails={HOSTILE: [PNG]}, formats={HOSTILE: 1}, modes={HOSTILE: 1})).decode())
    assert HOSTILE in page.text
    assert "script" not in page.tags
    assert set(page.alts) == {"", quoted(HOSTILE)}


def test_a_name_that_is_not_text_is_shown_by_its_bytes() -> None:
    assert rb"cat/\udcff.png" in render(replace(REPORT, source="cat/\udcff.png"))


def test_a_report_has_the_same_bytes_twice() -> None:
    assert render(REPORT) == render(replace(REPORT, findings=REPORT.findings[::-1], modes=dict(REPORT.modes)))


@pytest.mark.parametrize("report", [replace(REPORT, checked=["leek"]), found("leek", "kept", 0, [])], ids=["checked", "found"])
def test_an_unknown_kind_is_an_error(report: DataReport) -> None:
    with pytest.raises(ValueError, match=r"'leek' is not a kind of finding. Expected one of leak, conflict, .*add a new one to kinds.toml"):
        render(report)


def test_many_classes_are_folded_away_and_the_page_stays_small() -> None:
    names = [f"kind {i}" for i in range(200)]
    pictures = [thumbnail(noise(i)) for i in range(8)]
    examples = [Example([Picture("a.png", "kind 1", "train", thumbnail(noise(9, 128), 128))] * 2, "")] * 12
    groups = [FindingGroup(kind, "kept", 12, examples) for kind in kinds() if "leak" in kind or "duplicate" in kind or "conflict" in kind]
    many = replace(REPORT, class_names=names, counts={"train": dict.fromkeys(names, 10)}, findings=groups)
    page = render(replace(many, thumbnails=dict.fromkeys(names, pictures)))
    assert len(page) < 10e6
    assert b"The other 160 classes" in page
    assert page.split(b"kind 199")[-1].split(b"</tr>")[0].count(b'alt=""') == 5  # the row has the name


@pytest.mark.parametrize(("class_count", "expected"), [(0, 8), (2, 8), (125, 8), (200, 5), (1000, 1), (1001, 0)])
def test_more_classes_have_fewer_pictures_each(class_count: int, expected: int) -> None:
    assert thumbnails_per_class(class_count) == expected


def test_a_short_list_sums_up_the_rest() -> None:
    counts = {"a": 1, "b": 9, "c": 8, "d": 8, "e": 7, "f": 2, "g": 3}
    assert short_list(counts, "others") == [Bar("b", 9), Bar("c", 8), Bar("d", 8), Bar("e", 7), Bar("g", 3), Bar("2 others", 3)]


def test_the_size_chart_counts_by_logarithm() -> None:
    chart = size_chart({(10, 10): 4, (1000, 10): 1, (1000, 1000): 16})
    assert chart.cells == [(0, 23, 0.5), (23, 0, 1.0), (23, 23, 0.25)]  # the square root of the share of the most frequent
    assert [px for _, px in chart.ticks] == [10, 20, 50, 100, 200, 500, 1000]
    assert [position for position, px in chart.ticks if px in (10, 100, 1000)] == pytest.approx([0, 12, 24])


def test_the_median_size_counts_every_image() -> None:
    assert median_px({(10, 50): 5, (20, 40): 1, (30, 30): 3}) == (10, 50)
    assert median_px({}) == (0, 0)


def opened(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture))


def test_a_small_image_keeps_its_pixels() -> None:
    pixels = np.arange(28 * 28, dtype=np.uint16).reshape(28, 28).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(opened(thumbnail(Image.fromarray(pixels)))), pixels)


def test_a_large_image_is_reduced_and_keeps_its_shape() -> None:
    assert opened(thumbnail(Image.new("RGB", (1000, 500)))).size == (64, 32)
    assert opened(thumbnail(Image.new("1", (5000, 2)), 100)).size == (100, 1)


def test_a_photo_is_a_jpeg_below_8_kb() -> None:
    encoded = thumbnail(noise(0))
    assert opened(encoded).format == "JPEG"
    assert len(encoded) < 8192
    assert encoded == thumbnail(noise(0))


def test_transparency_becomes_white() -> None:
    assert opened(thumbnail(Image.new("RGBA", (4, 4), (255, 0, 0, 0)))).getpixel((0, 0)) == (255, 255, 255)


def test_only_small_pngs_are_shown_as_squares() -> None:
    assert is_small_png(PNG)
    assert not is_small_png(thumbnail(Image.new("L", (300, 100))))
    assert not is_small_png(thumbnail(noise(0)))


def test_what_the_examples_show_is_not_counted_as_more() -> None:
    left, right = Subject("a/1.png", "a", "train", 0), Subject("b/1.png", "b", "train", 1)
    pair = [Finding("conflict", "rejected", one, other, "", rejected=True) for one, other in ((left, right), (right, left))]
    notes = ("the colour mode", "the size")
    shortcuts = [Finding("shortcut", "kept", Subject("", "a, b"), None, note, rejected=False) for note in notes]
    facts = np.zeros(2, KEPT_FACTS)
    counts = {"train": {"a": 1, "b": 1}}
    described = {"name": "x", "source": "x", "digest": "0", "images": 2, "counts": counts, "class_names": ["a", "b"], "rejected": 2}

    page = data_page(described, [*pair, *shortcuts], facts, {}, {0: PNG, 1: PNG}).decode()

    assert '<p class="more">' not in page
    assert [page.count(note) for note in notes] == [1, 1]
