"""NumPy archives of images and labels, by the names that Keras, MedMNIST and people give the arrays."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.sources.layouts import open_source
from tests.source_trees import pixels

GREY = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)
COLOUR = np.arange(3 * 2 * 4 * 3, dtype=np.uint8).reshape(3, 2, 4, 3)
LABELS = np.array([10, 9, 10], np.uint8)


def save(folder: Path, **arrays: object) -> Path:
    np.savez(folder / "set.npz", **arrays)  # type: ignore[arg-type]
    return folder / "set.npz"


def labels(path: Path) -> list[tuple[str, str | None]]:
    return [(record.label, record.split) for record in open_source(path).records]


def test_the_layout_of_keras_is_read(tmp_path: Path) -> None:
    path = save(tmp_path, x_train=GREY, y_train=LABELS, x_test=GREY[:1] + 100, y_test=LABELS[1:2])

    source = open_source(path)

    assert [record[:5] for record in source.records] == [
        ("x_train/0.png", "10", "train", None, 8),
        ("x_train/1.png", "9", "train", None, 8),
        ("x_train/2.png", "10", "train", None, 8),
        ("x_test/0.png", "9", "test", None, 8),
    ]
    assert (source.name, source.class_names, source.count) == ("set", ["9", "10"], 4)
    assert (pixels(open_source(path)) == np.concatenate([GREY, GREY[:1] + 100])).all()


def test_the_layout_of_medmnist_is_read_packed(tmp_path: Path) -> None:
    kinds = {"images": COLOUR, "labels": LABELS[:, None]}
    arrays = {f"{split}_{kind}": array for split in ("train", "val", "test") for kind, array in kinds.items()}
    np.savez_compressed(tmp_path / "set.npz", **arrays)  # type: ignore[arg-type]

    assert labels(tmp_path)[::3] == [("10", "train"), ("10", "validation"), ("10", "test")]
    assert (pixels(open_source(tmp_path))[:3] == COLOUR).all()


@pytest.mark.parametrize(("images_name", "labels_name"), [("images", "labels"), ("X", "y"), ("data", "target"), ("x_train", "y_train")])
def test_arrays_without_a_split_and_a_training_set_alone_are_of_no_split(tmp_path: Path, images_name: str, labels_name: str) -> None:
    path = save(tmp_path, **{images_name: GREY[..., None], labels_name: LABELS, "mean": np.zeros(3)})

    assert labels(path) == [("10", None), ("9", None), ("10", None)]
    assert (pixels(open_source(path)) == GREY).all()


@pytest.mark.parametrize(
    ("arrays", "names", "order"),
    [
        ({"labels": np.array([1, 0, 1]), "class_names": np.array(["dog", "Größe"])}, ["Größe", "dog", "Größe"], ["dog", "Größe"]),
        ({"labels": np.array(["b", "a", "b"])}, ["b", "a", "b"], None),
        ({"labels": np.array([b"b", b"a", b"b"])}, ["b", "a", "b"], None),
    ],
    ids=["numbers with class names", "text", "bytes"],
)
def test_labels_may_be_numbers_of_class_names_or_text(
    tmp_path: Path, arrays: dict[str, np.ndarray], names: list[str], order: list[str] | None
) -> None:
    path = save(tmp_path, images=GREY, **arrays)

    assert (labels(path), open_source(path).class_names) == ([(name, None) for name in names], order)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (GREY.astype(np.int64), GREY),
        (GREY.astype(">u2"), GREY),
        (GREY.astype(np.float32), GREY),
        (GREY.astype(np.float64) / 255, GREY),
        (GREY > 11, np.where(GREY > 11, 255, 0)),
        (np.asfortranarray(COLOUR), COLOUR),
        (np.asfortranarray(COLOUR / 255), COLOUR),
    ],
)
def test_numbers_of_other_kinds_are_brought_to_0_to_255(tmp_path: Path, images: np.ndarray, expected: np.ndarray) -> None:
    assert (pixels(open_source(save(tmp_path, images=images, labels=LABELS))) == expected).all()


def test_more_images_than_are_read_at_once_stay_with_their_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.containers.idx.IMAGES_READ_AT_ONCE", 10)
    numbers = np.arange(25) % 7
    images = np.broadcast_to(numbers[:, None, None], (25, 2, 2)).astype(np.uint8)

    path = save(tmp_path, images=images, labels=numbers)

    assert labels(path) == [(str(number), None) for number in numbers]
    assert (pixels(open_source(path)) == images).all()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": GREY, "b": LABELS}, r"should have images and labels \(x_train and y_train.*Found: a\.npy, b\.npy"),
        ({"x_train": GREY, "y_train": LABELS, "x_test": GREY}, r"expected one array of labels for x_test\.npy, found none"),
        ({"labels": LABELS[:2]}, r"labels\.npy has the shape \(2,\)\. Expected one label for each of 3 images"),
        ({"labels": np.eye(3)}, r"labels\.npy has the shape \(3, 3\)"),
        ({"images": np.zeros((3, 3, 32, 32))}, r"images\.npy should be numbers of shape .* found float64 \(3, 3, 32, 32\)"),
        ({"images": np.zeros((3, 0, 2))}, r"found float64 \(3, 0, 2\)"),
        ({"images": GREY * 1000.0}, r"values from 0 to 23000\. Expected 0 to 255, or fractions"),
        ({"images": GREY - 1.0}, "values from -1 to 22"),
        ({"images": np.where(GREY == 3, np.nan, 0)}, "values from nan to nan"),
        ({"images": np.array([GREY, None], object)}, r"images\.npy holds Python objects, which are not loaded"),
        ({"X": GREY}, r"has images twice: X\.npy, images\.npy"),
        ({"labels": LABELS * 0}, "are of one class, 0"),
        ({"class_names": np.array(["a", "b"])}, "goes from 9 to 10, but 2 classes are named, from 0"),
        ({"class_names": np.array(["a", "a"])}, "should be a list of names, each once"),
    ],
)
def test_arrays_that_cannot_be_understood_are_named(tmp_path: Path, arrays: dict[str, object], words: str) -> None:
    others = {} if "a" in arrays or "x_train" in arrays else {"images": GREY, "labels": LABELS}

    with pytest.raises(SourceError, match=words):
        open_source(save(tmp_path, **{**arrays, **others, **arrays}))


def test_a_damaged_archive_and_an_array_that_ends_too_early_are_one_line(tmp_path: Path) -> None:
    path = save(tmp_path, images=GREY, labels=LABELS)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content[:-1])
    with pytest.raises(SourceError, match=r"set\.npz is damaged: images\.npy ends too early"):
        open_source(path)

    path.write_bytes(b"PK no zip")
    with pytest.raises(SourceError, match=r"set\.npz is damaged or encrypted"):
        open_source(path)


def test_of_two_archives_in_a_folder_one_must_be_named(tmp_path: Path) -> None:
    save(tmp_path, images=GREY, labels=LABELS).rename(tmp_path / "other.npz")
    save(tmp_path, images=GREY, labels=LABELS)

    with pytest.raises(SourceError, match=r"has 2 \.npz files\. Set ingest.source to one of them, .*other\.npz for example"):
        open_source(tmp_path)
