"""CSV tables of pixels, as on Kaggle, and other tables, which are none."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.containers import pixel_tables
from pipeline.errors import SourceError
from tests.container_sources import labels_of, left_out_of, mutations, pixels_of, read_folder, readable, records_of, survives

GREY = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)
NUMBERED = [f"pixel{i}" for i in range(64)]


def write(file: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([header, *rows])
    return file


def columns(images: np.ndarray, labels: Sequence[object]) -> list[list[object]]:
    return [[label, *image.reshape(-1).tolist()] for label, image in zip(labels, images, strict=True)]


@pytest.mark.parametrize(
    "names",
    [
        NUMBERED,
        [f"pixel{i + 1:04d}" for i in range(64)],
        [f"{i}x{j}" for i in range(1, 9) for j in range(1, 9)],
        [str(i) for i in range(64)],
    ],
)
def test_a_column_per_pixel_is_read(tmp_path: Path, names: list[str]) -> None:
    file = write(tmp_path / "train.csv", ["label", *names], columns(GREY, [10, 9, 10]))

    reading = readable(pixel_tables, file)

    assert reading.class_names == ["9", "10"]
    assert labels_of(reading) == [("10", None), ("9", None), ("10", None)]
    assert (pixels_of(reading) == GREY).all()
    assert records_of(reading)[2].path == "train/00002.png"


def test_three_values_per_pixel_are_colours(tmp_path: Path) -> None:
    images = np.arange(2 * 8 * 8 * 3, dtype=np.uint64).astype(np.uint8).reshape(2, 8, 8, 3)
    rows = [[*image.reshape(-1).tolist(), label] for image, label in zip(images, "ab", strict=True)]

    reading = readable(pixel_tables, write(tmp_path / "a.csv", [*(f"pixel{i:04d}" for i in range(192)), "label"], rows))

    assert (pixels_of(reading) == images).all()


def test_pixels_in_one_cell_with_the_use_of_each_row_are_read(tmp_path: Path) -> None:
    uses = ["Training", "PublicTest", "PrivateTest"]
    rows = [[label, " ".join(map(str, image.reshape(-1))), use] for label, image, use in zip([6, 0, 0], GREY, uses, strict=True)]

    reading = readable(pixel_tables, write(tmp_path / "fer2013.csv", ["emotion", "pixels", "Usage"], rows))

    assert labels_of(reading) == [("6", "train"), ("0", "test"), ("0", "test")]
    assert (pixels_of(reading) == GREY).all()


def test_a_table_per_split_is_read_and_one_without_labels_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "mnist_train.csv", ["label", *NUMBERED], columns(GREY, [0, 1, ""]))
    write(tmp_path / "mnist_test.csv", ["label", *NUMBERED], columns(GREY[:1], [1]))
    write(tmp_path / "mine.csv", NUMBERED, [row[1:] for row in columns(GREY[:1], [1])])
    write(tmp_path / "sample_submission.csv", ["ImageId", "Label"], [[1, 0]])

    reading = readable(pixel_tables, tmp_path)

    assert labels_of(reading) == [("1", "test"), ("0", "train"), ("1", "train")]
    assert left_out_of(reading) == [
        ("mine.csv", "unlabelled", "it has no column of labels"),
        ("mnist_train/00002.png", "unlabelled", "its row has no label"),
    ]


def test_other_tables_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", ["path", "label"], [["a.png", 1]])
    write(tmp_path / "b.csv", ["label", *NUMBERED[:20]], [[0] * 21])
    write(tmp_path / "c.csv", ["label", *(f"feature{i}" for i in range(64))], [[0] * 65])
    write(tmp_path / "d.csv", ["path", "label", "pixels"], [["a.png", 1, 50176]])
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "no text.csv").write_bytes(b"\0\xff" * 200_000)

    assert read_folder(pixel_tables, tmp_path) is None
    assert pixel_tables.candidates(["a/b.CSV", "a.tsv", ".c.csv"]) == ["a/b.CSV"]


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        (["label", *NUMBERED], [[0, *[256] * 64]], r"should have rows of whole numbers from 0 to 255: .*256"),
        (["label", *NUMBERED], [[0, *[0.5] * 64]], r"should have rows of whole numbers from 0 to 255: .*0\.5"),
        (["label", *NUMBERED], [[0, *[""] * 64]], "should have square images of whole numbers from 0 to 255"),
        (["label", *NUMBERED], [[0, 1]], "Expected 65 columns, got 2"),
        (["label", *reversed(NUMBERED)], [], "columns of pixels are not in the order of their numbers"),
        (["label", *NUMBERED, "pixel64"], [[0] * 66], "found 65 values in a row, which is no square"),
        (["emotion", "pixels"], [[0, "1 " * 64], [0, "1 2 3"]], "found 3 values in a row, which is no square"),
        (["emotion", "pixels"], [[0, "256 " * 64]], "256 out of bounds"),
        (["emotion", "pixels"], [[0, "1 " * 64 + "x"]], "invalid literal"),
        (["emotion", "pixels", "Usage"], [[0, "1 " * 64, "spare"]], "'spare' is not a split"),
    ],
)
def test_pixels_that_cannot_be_understood_are_named(
    tmp_path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        records_of(readable(pixel_tables, write(tmp_path / "a.csv", header, rows)))


@pytest.mark.parametrize("joined", [False, True])
def test_any_damage_is_refused_or_harmless(tmp_path: Path, joined: bool) -> None:
    rows = columns(GREY, [1, 0, 1])
    file = tmp_path / "a.csv"
    write(file, ["label", "pixels"], [[row[0], " ".join(map(str, row[1:]))] for row in rows]) if joined else write(
        file, ["label", *NUMBERED], rows
    )
    ends: Counter[str] = Counter()

    for content in mutations(file.read_bytes(), 300, seed=7):
        file.write_bytes(content)
        ends[survives(pixel_tables, {"a.csv": file})] += 1

    assert ends["refused"] > 50
    assert set(ends) <= {"refused", "read", "nothing"}


def test_tables_of_other_sizes_side_by_side_are_named(tmp_path: Path) -> None:
    write(tmp_path / "small.csv", ["label", *NUMBERED], columns(GREY, [0, 1, 0]))
    write(tmp_path / "large.csv", ["label", *(f"pixel{i}" for i in range(100))], [[0] * 101])

    with pytest.raises(SourceError, match=r"large\.csv has 100 columns of pixels, but small\.csv 64\. Expected one data set"):
        read_folder(pixel_tables, tmp_path)
