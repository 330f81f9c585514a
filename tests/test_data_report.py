import html
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline.images.thumbnails import thumbnail
from pipeline.quality.kinds import kinds
from pipeline.reports.data_charts import Bar, median_px, short_list, size_chart
from pipeline.reports.data_report import (
    DataReport,
    Example,
    FindingGroup,
    Picture,
    differ,
    is_pixelated,
    render,
    thumbnails_per_class,
)
from tests.test_report import Page

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
    looked_for=["leak", "conflict", "duplicate", "empty"],
)


def text_of(report: DataReport) -> str:
    body = render(report).decode().split("</style>")[1]
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ").split())
    return re.sub(r" ([,.;])", r"\1", text)


def noise(seed: int, side_px: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), np.uint8))


def test_the_page_refers_to_nothing_outside_itself() -> None:
    page_text = render(REPORT).decode()
    page = Page(page_text)
    assert {reference.split(",")[0] for reference in page.references if not reference.startswith("#")} == {"data:image/png;base64"}
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"https?:|@import|url\(", page_text)


def test_every_element_is_closed_and_every_picture_has_words() -> None:
    every_kind = [FindingGroup(kind, "rejected", 30, [Example(PAIR * 3, kind)] * 15) for kind in kinds()]
    page = Page(render(replace(REPORT, findings=every_kind, sizes_px={(i, 2 * i): i for i in range(1, 50)})).decode())
    assert page.open == []
    assert all(page.alts)


def test_links_lead_to_the_sections_of_the_findings() -> None:
    page_text = render(REPORT).decode()
    links = re.findall(r'href="#([^"]+)"', page_text)
    assert links == ["leak-rejected", "duplicate-kept"]
    assert all(f'id="{link}"' in page_text for link in links)


def test_the_verdict_tells_what_was_taken_and_what_was_left_out() -> None:
    text = text_of(REPORT)
    assert "69,812 of 70,000 files taken in 2 classes; 188 left out." in text
    assert "Left out: 3 leaks. Kept: 1 duplicate." in text
    assert "Source archives/pets.zip · digest 0123456789ab " in text


def test_a_data_set_with_nothing_against_it() -> None:
    text = text_of(replace(REPORT, left_out=0, findings=[]))
    assert "All 69,812 images taken, in 2 classes. Nothing was found that speaks against it." in text
    assert "Looked for and not found: leaks, contradictions, duplicates, empty files." in text


def test_findings_that_are_not_accepted_are_the_verdict_and_come_first() -> None:
    conflict = FindingGroup("conflict", "failed", 2, [Example(PAIR, "")])
    page_text = render(replace(REPORT, findings=[*REPORT.findings, conflict])).decode()
    assert "<h1>Not accepted: 2 contradictions.</h1>" in page_text
    assert re.findall(r'<section class="long" id="([^"]+)"', page_text) == ["conflict-failed", "leak-rejected", "duplicate-kept"]


def test_a_source_without_any_usable_image_has_a_report() -> None:
    empty = FindingGroup("empty", "rejected", 2, [Example([Picture("cat/1.png", "cat", None, None)], "empty file")])
    nothing = replace(REPORT, images=0, left_out=2, class_names=[], counts={}, sizes_px={}, modes={}, formats={}, findings=[empty])
    text = text_of(nothing)
    assert "0 of 2 files taken in 0 classes; 2 left out." in text
    assert "cat/1.png · cat empty file And 1 more in findings.csv." in text


def test_splits_without_images_are_not_shown() -> None:
    assert dict(REPORT.splits) == {"train": 59_812, "test": 10_000}
    assert "Validation" not in text_of(REPORT)


def test_the_table_of_classes_tells_counts_and_share() -> None:
    text = text_of(REPORT)
    assert "The largest class is cat with 50,000 images, the smallest dog with 19,812." in text
    assert "cat train 40,000 test 10,000 71.6 %" in text
    assert "dog train 19,812 test 0 28.4 %" in text


def test_classes_of_one_size_are_said_to_be_so() -> None:
    even = replace(REPORT, images=10, class_names=["a", "b"], counts={"train": {"a": 4, "b": 4}, "test": {"a": 1, "b": 1}})
    assert "Every class has 5 images." in text_of(even)


def test_one_size_is_told_and_many_are_drawn() -> None:
    assert "One size only: 28 × 28 px." in text_of(REPORT)
    assert "svg" not in Page(render(REPORT).decode()).tags
    many = replace(REPORT, sizes_px={(100 + i, 80): 1 + i for i in range(9)})
    assert "9 sizes, width × height; the median is 106 × 80 px." in text_of(many)
    assert "svg" in Page(render(many).decode()).tags


def test_modes_and_formats_are_counted() -> None:
    text = text_of(REPORT)
    assert "One mode only: grey (L)." in text
    assert "PNG 69,811 JPEG 1" in text
    assert "Formats" not in text_of(replace(REPORT, formats={}))


def test_examples_are_cut_off_and_counted() -> None:
    group = FindingGroup("near_leak", "kept", 40, [Example([picture] * 6, f"example {i}.") for i, picture in enumerate(PAIR * 10)])
    text = text_of(replace(REPORT, findings=[group]))
    assert "example 11." in text
    assert "example 12." not in text
    assert "And 28 more in findings.csv." in text
    assert text.count("and 2 others") == 12


def test_a_finding_without_pictures_is_a_list_of_notes() -> None:
    group = FindingGroup("small_class", "kept", 1, [Example([], "dog: 3 images, the folds are 5")])
    page = render(replace(REPORT, findings=[group])).decode()
    assert '<ul class="list">' in page
    assert "dog: 3 images, the folds are 5" in page


def test_a_file_without_a_picture_stands_beside_those_that_have_one() -> None:
    pair = [PAIR[0], Picture("cat/cut off.png", None, None, None)]
    text = text_of(replace(REPORT, findings=[FindingGroup("undecodable", "rejected", 1, [Example(pair, "")])]))
    assert "cat train train/a.png cannot be shown cat/cut off.png" in text


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
    assert set(page.alts) == {HOSTILE}


def test_a_name_that_is_not_text_is_shown_by_its_bytes() -> None:
    assert rb"cat/\udcff.png" in render(replace(REPORT, source="cat/\udcff.png"))


def test_a_report_has_the_same_bytes_twice() -> None:
    assert render(REPORT) == render(replace(REPORT, findings=REPORT.findings[::-1], modes=dict(REPORT.modes)))


@pytest.mark.parametrize(
    "report",
    [replace(REPORT, looked_for=["leek"]), replace(REPORT, findings=[FindingGroup("leek", "kept", 0, [])])],
    ids=["looked for", "found"],
)
def test_an_unknown_kind_is_an_error(report: DataReport) -> None:
    with pytest.raises(ValueError, match=r"'leek' is no kind of finding. Expected one of leak, conflict, .*needs its words in kinds.toml"):
        render(report)


def test_many_classes_are_folded_away_and_the_page_stays_small() -> None:
    names = [f"kind {i}" for i in range(200)]
    pictures = [thumbnail(noise(i)) for i in range(8)]
    counts = {"train": dict.fromkeys(names, 10)}
    examples = [Example([Picture("a.png", "kind 1", "train", thumbnail(noise(9, 128), 128))] * 2, "")] * 12
    groups = [FindingGroup(kind, "kept", 12, examples) for kind in kinds() if "leak" in kind or "duplicate" in kind or "conflict" in kind]
    page = render(replace(REPORT, class_names=names, counts=counts, thumbnails=dict.fromkeys(names, pictures), findings=groups))
    assert len(page) < 10e6
    assert b"The other 160 classes" in page
    assert page.count(b'alt="kind 199"') == 5


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


def test_a_small_image_keeps_its_pixels() -> None:
    pixels = np.arange(28 * 28, dtype=np.uint16).reshape(28, 28).astype(np.uint8)
    found = np.asarray(Image.open(io.BytesIO(thumbnail(Image.fromarray(pixels)))))
    np.testing.assert_array_equal(found, pixels)


def test_a_large_image_is_reduced_and_keeps_its_shape() -> None:
    assert Image.open(io.BytesIO(thumbnail(Image.new("RGB", (1000, 500))))).size == (64, 32)
    assert Image.open(io.BytesIO(thumbnail(Image.new("1", (5000, 2)), 100))).size == (100, 1)


def test_a_photo_is_a_jpeg_below_8_kb() -> None:
    encoded = thumbnail(noise(0))
    assert Image.open(io.BytesIO(encoded)).format == "JPEG"
    assert len(encoded) < 8192
    assert encoded == thumbnail(noise(0))


def test_transparency_becomes_white() -> None:
    found = Image.open(io.BytesIO(thumbnail(Image.new("RGBA", (4, 4), (255, 0, 0, 0)))))
    assert found.getpixel((0, 0)) == (255, 255, 255)


def test_only_small_pngs_are_shown_as_squares() -> None:
    assert is_pixelated(PNG)
    assert not is_pixelated(thumbnail(Image.new("L", (300, 100))))
    assert not is_pixelated(thumbnail(noise(0)))
