"""idx files of the MNIST family, by whatever names they go, and what does not fit together."""

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.containers.idx import find_idx_folder
from pipeline.errors import SourceError
from pipeline.sources.layouts import open_source
from tests.source_trees import found, pixels, write_idx

IMAGES = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)


def splits(folder: Path) -> list[str | None]:
    return [split for _, _, split in found(open_source(folder))]


@pytest.mark.parametrize("ending", [".gz", ""])
def test_idx_files_become_images(tmp_path: Path, ending: str) -> None:
    write_idx(tmp_path, IMAGES, [1, 0, 1], ending=ending)
    write_idx(tmp_path, IMAGES[:1], [0], "t10k-", ending)
    (tmp_path / "classes.txt").write_text("Kurtka\nСапоги\n", encoding="utf-8")

    records = list(open_source(tmp_path).records)

    assert [record[:5] for record in records] == [
        ("train/0.png", "Сапоги", "train", None, 8),
        ("train/1.png", "Kurtka", "train", None, 8),
        ("train/2.png", "Сапоги", "train", None, 8),
        ("t10k/0.png", "Kurtka", "test", None, 8),
    ]
    assert (pixels(open_source(tmp_path)) == [*IMAGES, IMAGES[0]]).all()
    assert pickle.loads(pickle.dumps(records[1])).read() == records[1].read()


def test_idx_files_without_names_are_numbered(tmp_path: Path) -> None:
    write_idx(tmp_path, IMAGES[:2], [3, 0])

    assert open_source(tmp_path).class_names == ["0", "1", "2", "3"]
    assert splits(tmp_path) == [None, None]


def test_names_with_a_prefix_and_with_a_dot_are_understood(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", IMAGES[:2], [0, 1], "emnist-letters-train-")
    write_idx(tmp_path / "a", IMAGES[:1], [1], "emnist-letters-test-")
    write_idx(tmp_path / "b", IMAGES[:2], [0, 1])
    for file in list((tmp_path / "b").iterdir()):
        file.rename(file.with_name(file.name.replace("-idx", ".idx")))

    assert splits(tmp_path / "a") == ["train", "train", "test"]
    assert splits(tmp_path / "b") == [None, None]


def test_more_images_than_are_read_at_once_stay_with_their_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.containers.idx.IMAGES_READ_AT_ONCE", 10)
    labels = [i % 7 for i in range(25)]
    write_idx(tmp_path, np.repeat(np.array(labels, np.uint8), 2).reshape(25, 1, 2), labels)

    assert [label for _, label, _ in found(open_source(tmp_path))] == [str(label) for label in labels]
    assert pixels(open_source(tmp_path))[:, 0, 0].tolist() == labels


def test_one_of_the_files_stands_for_its_folder_and_a_folder_around_is_looked_through(tmp_path: Path) -> None:
    write_idx(tmp_path / "MNIST" / "raw", IMAGES[:2], [0, 1])

    assert open_source(tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").name == "raw"
    assert find_idx_folder(tmp_path) == tmp_path / "MNIST" / "raw"


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
        (replace("train-images-idx3-ubyte", slice(4, 8), struct.pack(">I", 3)), "has 3 images, but train-labels-idx1-ubyte has 2 labels"),
        (replace("train-images-idx3-ubyte", slice(-1, None), b""), "train-images-idx3-ubyte ends too early"),
        (replace("train-labels-idx1-ubyte", slice(2, 3), b"\x0d"), "not an idx file of bytes in 1 dimensions: it starts with 00 00 0d 01"),
        (
            lambda folder: (folder / "train-labels-idx1-ubyte").unlink(),
            r"has no file of labels beside it\. Expected train-labels-idx1-ubyte",
        ),
        (lambda folder: write_idx(folder, IMAGES[:2], [0, 1], "a-train-"), "more than one set of idx files: train, a-train"),
        (lambda folder: (folder / "classes.txt").write_text("one\n"), "names 1 classes, but the labels go up to 1"),
        (lambda folder: (folder / "classes.txt").write_text("a\na\n"), "names a class twice"),
    ],
    ids=["no pixels", "another count", "cut off", "of floats", "no labels", "two sets", "too few names", "a name twice"],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path: Path, spoil: Callable[[Path], object], words: str) -> None:
    write_idx(tmp_path, IMAGES[:2], [0, 1])
    spoil(tmp_path)

    with pytest.raises(SourceError, match=words):
        list(open_source(tmp_path).records)


def test_damaged_idx_files_are_named(tmp_path: Path) -> None:
    write_idx(tmp_path, IMAGES[:2], [0, 1], ending=".gz")
    replace("train-images-idx3-ubyte.gz", slice(20, None), b"")(tmp_path)

    with pytest.raises(SourceError, match=r"train-images-idx3-ubyte\.gz is damaged"):
        open_source(tmp_path)
