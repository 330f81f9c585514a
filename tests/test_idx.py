"""idx files of the MNIST family, by whatever names they go, and what does not fit together."""

import pickle
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.containers import idx
from pipeline.errors import SourceError
from tests.container_sources import labels_of, mutations, pixels_of, read_folder, readable, records_of, survives
from tests.source_trees import write_idx

IMAGES = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)


def splits(folder: Path) -> list[str | None]:
    return [split for _, split in labels_of(readable(idx, folder))]


@pytest.mark.parametrize("ending", [".gz", ""])
def test_idx_files_become_images(tmp_path: Path, ending: str) -> None:
    write_idx(tmp_path, IMAGES, [1, 0, 1], ending=ending)
    write_idx(tmp_path, IMAGES[:1], [0], "t10k-", ending)
    (tmp_path / "classes.txt").write_text("Kurtka\nСапоги\n", encoding="utf-8")

    reading = readable(idx, tmp_path)
    records = records_of(reading)

    assert [record[:5] for record in records] == [
        ("train/0.png", "Сапоги", "train", None, 8),
        ("train/1.png", "Kurtka", "train", None, 8),
        ("train/2.png", "Сапоги", "train", None, 8),
        ("t10k/0.png", "Kurtka", "test", None, 8),
    ]
    assert reading.counts == {("train", "Сапоги"): 2, ("train", "Kurtka"): 1, ("test", "Kurtka"): 1}
    assert (pixels_of(reading) == [*IMAGES, IMAGES[0]]).all()
    assert pickle.loads(pickle.dumps(records[1])).read() == records[1].read()


def test_idx_files_without_names_are_numbered(tmp_path: Path) -> None:
    write_idx(tmp_path, IMAGES[:2], [3, 0])

    assert readable(idx, tmp_path).class_names == ["0", "1", "2", "3"]
    assert splits(tmp_path) == ["train", "train"]


def test_names_with_a_prefix_and_with_a_dot_are_understood(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", IMAGES[:2], [0, 1], "emnist-letters-train-")
    write_idx(tmp_path / "a", IMAGES[:1], [1], "emnist-letters-test-")
    write_idx(tmp_path / "b", IMAGES[:2], [0, 1], "mine-")
    for file in list((tmp_path / "b").iterdir()):
        file.rename(file.with_name(file.name.replace("-idx", ".idx")))

    assert splits(tmp_path / "a") == ["train", "train", "test"]
    assert splits(tmp_path / "b") == [None, None]


def test_a_mapping_of_emnist_names_the_classes(tmp_path: Path) -> None:
    write_idx(tmp_path, IMAGES[:2], [1, 2], "emnist-letters-train-")
    (tmp_path / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n")

    assert labels_of(readable(idx, tmp_path)) == [("A", "train"), ("B", "train")]


def test_more_images_than_are_read_at_once_stay_with_their_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.containers.in_memory.IMAGES_READ_AT_ONCE", 10)
    labels = [i % 7 for i in range(25)]
    write_idx(tmp_path, np.repeat(np.array(labels, np.uint8), 2).reshape(25, 1, 2), labels)

    assert [label for label, _ in labels_of(readable(idx, tmp_path))] == [str(label) for label in labels]
    assert pixels_of(readable(idx, tmp_path))[:, 0, 0].tolist() == labels


def test_one_of_the_files_stands_for_its_set(tmp_path: Path) -> None:
    write_idx(tmp_path, IMAGES[:2], [0, 1], "emnist-letters-train-", ".gz")
    write_idx(tmp_path, IMAGES[:1], [1], "emnist-letters-test-", ".gz")
    write_idx(tmp_path, IMAGES, [2, 0, 1], "emnist-digits-train-", ".gz")
    (tmp_path / "classes.txt").write_text("a\nb\n")

    reading = readable(idx, tmp_path / "emnist-letters-test-labels-idx1-ubyte.gz")

    assert labels_of(reading) == [("a", "train"), ("b", "train"), ("b", "test")]


def test_files_in_a_folder_carry_its_name(tmp_path: Path) -> None:
    write_idx(tmp_path / "MNIST" / "raw", IMAGES[:2], [0, 1])
    write_idx(tmp_path / "MNIST" / "raw", IMAGES[:1], [1], "t10k-")

    assert [record.path for record in records_of(readable(idx, tmp_path))] == [
        "MNIST/raw/train/0.png",
        "MNIST/raw/train/1.png",
        "MNIST/raw/t10k/0.png",
    ]


def test_other_files_are_not_asked_for(tmp_path: Path) -> None:
    paths = ["a/x.png", "classes.txt", "a/classes.txt", "b/train-images-idx3-ubyte.gz", "b/classes.txt", ".b/train-images-idx3-ubyte"]

    assert idx.candidates(paths) == ["b/train-images-idx3-ubyte.gz", "b/classes.txt"]
    assert idx.read({"classes.txt": tmp_path}) is None


def replace(name: str, at: slice, content: bytes) -> Callable[[Path], None]:
    """A fault: other bytes in one of the files."""

    def apply(folder: Path) -> None:
        changed = bytearray((folder / name).read_bytes())
        changed[at] = content
        (folder / name).write_bytes(changed)

    return apply


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (replace("train-images-idx3-ubyte", slice(8, 99), struct.pack(">II", 0, 2)), "has images of 0 x 2 px"),
        (replace("train-images-idx3-ubyte", slice(8, 16), struct.pack(">II", 2**31, 2**31)), "has images of 2147483648 x 2147483648 px"),
        (replace("train-images-idx3-ubyte", slice(4, 8), struct.pack(">I", 3)), "has 3 images, but train-labels-idx1-ubyte has 2 labels"),
        (replace("train-images-idx3-ubyte", slice(-1, None), b""), "train-images-idx3-ubyte ends too early"),
        (replace("train-images-idx3-ubyte", slice(8, 12), struct.pack(">I", 1)), "train-images-idx3-ubyte is longer than its header says"),
        (replace("train-labels-idx1-ubyte", slice(2, 3), b"\x0d"), "not an idx file of bytes in 1 dimensions: it starts with 00 00 0d 01"),
        (replace("train-labels-idx1-ubyte", slice(4, 8), b"\xff" * 4), "train-labels-idx1-ubyte ends too early"),
        (
            lambda folder: (folder / "train-labels-idx1-ubyte").unlink(),
            r"has no file of labels beside it\. Expected train-labels-idx1-ubyte",
        ),
        (
            lambda folder: (folder / "train-images-idx3-ubyte").unlink(),
            r"has no file of images beside it\. Expected train-images-idx3-ubyte",
        ),
        (
            lambda folder: write_idx(folder, IMAGES[:2], [0, 1], "a-train-"),
            r"more than one set of idx files: train-images-idx3-ubyte and a-train-images-idx3-ubyte\. Set ingest\.source to one",
        ),
        (lambda folder: write_idx(folder / "raw", IMAGES[:2], [0, 1]), "more than one set of idx files: .*raw/train-images"),
        (lambda folder: write_idx(folder, IMAGES[:2], [0, 1], "training-"), "more than one set of idx files"),
        (lambda folder: (folder / "classes.txt").write_text("one\n"), "names 1 classes, but the labels go up to 1"),
        (lambda folder: (folder / "classes.txt").write_text("a\na\n"), "names a class twice"),
    ],
    ids=[
        "no pixels",
        "huge",
        "another count",
        "cut off",
        "too long",
        "of floats",
        "more labels",
        "no labels",
        "no images",
        "two sets",
        "two folders",
        "two of train",
        "too few names",
        "a name twice",
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path: Path, spoil: Callable[[Path], object], words: str) -> None:
    write_idx(tmp_path, IMAGES[:2], [0, 1])
    spoil(tmp_path)

    with pytest.raises(SourceError, match=words):
        records_of(readable(idx, tmp_path))


def test_damaged_idx_files_are_named(tmp_path: Path) -> None:
    write_idx(tmp_path, IMAGES[:2], [0, 1], ending=".gz")
    replace("train-images-idx3-ubyte.gz", slice(20, None), b"")(tmp_path)

    with pytest.raises(SourceError, match=r"train-images-idx3-ubyte\.gz is damaged"):
        read_folder(idx, tmp_path)


def test_pixels_that_differ_from_the_checksum_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path, IMAGES[:2], [0, 1], ending=".gz")
    replace("train-images-idx3-ubyte.gz", slice(-8, -4), b"\1\2\3\4")(tmp_path)

    with pytest.raises(SourceError, match=r"train-images-idx3-ubyte\.gz is damaged: CRC check failed"):
        records_of(readable(idx, tmp_path))


@pytest.mark.parametrize("ending", [".gz", ""])
def test_any_damage_is_refused_or_harmless(tmp_path: Path, ending: str) -> None:
    write_idx(tmp_path, IMAGES, [1, 0, 1], ending=ending)
    ends: Counter[str] = Counter()
    for kind in ("images-idx3", "labels-idx1"):
        file = tmp_path / f"train-{kind}-ubyte{ending}"
        good = file.read_bytes()
        for content in mutations(good, 300, seed=1):
            file.write_bytes(content)
            ends[survives(idx, {path.name: path for path in tmp_path.iterdir()})] += 1
        file.write_bytes(good)

    assert ends["refused"] > 300
    assert set(ends) <= {"refused", "read"}
