"""idx files of the MNIST family, by whatever names they go, and what does not fit together."""

import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import SourceError
from pipeline.sources.idx import find_idx_folder
from pipeline.sources.layouts import open_source


def write_idx(folder: Path, images_name: str, labels_name: str, labels: list[int], images: int | None = None) -> None:
    count = len(labels) if images is None else images
    folder.mkdir(parents=True, exist_ok=True)
    (folder / images_name).write_bytes(struct.pack(">IIII", 0x803, count, 1, 2) + bytes(i % 256 for i in range(2 * count)))
    (folder / labels_name).write_bytes(struct.pack(">II", 0x801, len(labels)) + bytes(labels))


def splits(folder: Path) -> list[str | None]:
    return [record.split for record in open_source(folder).records]


def test_names_with_a_prefix_and_with_a_dot_are_understood(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", "emnist-letters-train-images-idx3-ubyte", "emnist-letters-train-labels-idx1-ubyte", [0, 1])
    write_idx(tmp_path / "a", "emnist-letters-test-images-idx3-ubyte", "emnist-letters-test-labels-idx1-ubyte", [1])
    write_idx(tmp_path / "b", "train-images.idx3-ubyte", "train-labels.idx1-ubyte", [0, 1])

    assert splits(tmp_path / "a") == ["train", "train", "test"]
    assert splits(tmp_path / "b") == [None, None]


def test_a_record_holds_its_pixels_and_can_be_sent_elsewhere(tmp_path: Path) -> None:
    write_idx(tmp_path, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", [0, 1])

    _, second = open_source(tmp_path).records

    assert second[:5] == ("train/1.png", "1", None, None, 2)
    assert np.asarray(Image.open(io.BytesIO(pickle.loads(pickle.dumps(second)).read()))).tolist() == [[2, 3]]


def test_more_images_than_are_read_at_once_stay_with_their_labels(tmp_path: Path) -> None:
    labels = [i % 7 for i in range(2500)]
    images = np.repeat(np.array(labels, np.uint8), 2)
    write_idx(tmp_path, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", labels)
    with (tmp_path / "train-images-idx3-ubyte").open("r+b") as file:
        file.seek(16)
        file.write(images.tobytes())

    records = list(open_source(tmp_path).records)

    assert [record.label for record in records] == [str(label) for label in labels]
    assert [np.asarray(Image.open(io.BytesIO(record.read())))[0, 0] for record in records[::100]] == labels[::100]


def test_one_of_the_files_stands_for_its_folder(tmp_path: Path) -> None:
    write_idx(tmp_path / "digits", "train-images-idx3-ubyte", "train-labels-idx1-ubyte", [0, 1])

    assert open_source(tmp_path / "digits" / "train-labels-idx1-ubyte").name == "digits"


def test_images_without_pixels_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", [0, 1])
    (tmp_path / "train-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, 2, 0, 2))

    with pytest.raises(SourceError, match="has images of 0 x 2 px"):
        open_source(tmp_path)


def test_a_folder_around_the_files_is_looked_through(tmp_path: Path) -> None:
    write_idx(tmp_path / "MNIST" / "raw", "train-images-idx3-ubyte", "train-labels-idx1-ubyte", [0])

    assert find_idx_folder(tmp_path) == tmp_path / "MNIST" / "raw"


def test_two_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    for name in ("digits", "letters"):
        write_idx(tmp_path, f"{name}-train-images-idx3-ubyte", f"{name}-train-labels-idx1-ubyte", [0, 1])

    with pytest.raises(SourceError, match="more than one set of idx files: letters-train, digits-train"):
        open_source(tmp_path)


def test_images_and_labels_of_other_counts_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", [0, 1], images=3)

    with pytest.raises(SourceError, match="has 3 images, but train-labels-idx1-ubyte has 2 labels"):
        open_source(tmp_path)


def test_missing_labels_and_a_file_of_another_kind_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", [0, 1])
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(b"\0\0\x0d\x01" + labels.read_bytes()[4:])  # of floats
    with pytest.raises(SourceError, match="no idx file of bytes in 1 dimensions: it starts with 00 00 0d 01"):
        open_source(tmp_path)

    labels.unlink()
    with pytest.raises(SourceError, match=r"has no labels beside it\. Expected train-labels-idx1-ubyte"):
        open_source(tmp_path)


def test_images_that_end_too_early_are_refused_when_they_are_read(tmp_path: Path) -> None:
    write_idx(tmp_path, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", [0, 1])
    images = tmp_path / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1])

    with pytest.raises(SourceError, match="train-images-idx3-ubyte ends too early"):
        list(open_source(tmp_path).records)


@pytest.mark.parametrize(("text", "words"), [("one\n", "names 1 classes, but the labels go up to 1"), ("a\na\n", "names a class twice")])
def test_class_names_that_do_not_fit_are_refused(tmp_path: Path, text: str, words: str) -> None:
    write_idx(tmp_path, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", [0, 1])
    (tmp_path / "classes.txt").write_text(text, encoding="utf-8")

    with pytest.raises(SourceError, match=words):
        open_source(tmp_path)
