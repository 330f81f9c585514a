"""NumPy arrays of images and labels, by the names that Keras, MedMNIST and people give them, in whatever order of axes."""

import io
import pickle
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.containers import npz
from pipeline.errors import SourceError
from tests.container_sources import labels_of, left_out_of, mutations, pixels_of, read_folder, readable, records_of, survives

GREY = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)
COLOUR = np.arange(3 * 2 * 5 * 3, dtype=np.uint8).reshape(3, 2, 5, 3)
LABELS = np.array([10, 9, 10], np.uint8)
MANY = np.arange(6 * 5 * 7 * 3, dtype=np.uint8).reshape(6, 5, 7, 3)
MANY_LABELS = np.array([0, 1, 0, 1, 2, 2])


def save(folder: Path, **arrays: object) -> Path:
    folder.mkdir(exist_ok=True)
    np.savez(folder / "set.npz", **arrays)  # type: ignore[arg-type]
    return folder / "set.npz"


def save_npy(folder: Path, **arrays: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def test_the_layout_of_keras_is_read(tmp_path: Path) -> None:
    reading = readable(npz, save(tmp_path, x_train=GREY, y_train=LABELS, x_test=GREY[:2] + 100, y_test=LABELS[1:]))

    assert [record[:5] for record in records_of(reading)] == [
        ("set.npz/x_train/0.png", "10", "train", None, 8),
        ("set.npz/x_train/1.png", "9", "train", None, 8),
        ("set.npz/x_train/2.png", "10", "train", None, 8),
        ("set.npz/x_test/0.png", "9", "test", None, 8),
        ("set.npz/x_test/1.png", "10", "test", None, 8),
    ]
    assert reading.class_names == ["9", "10"]
    assert reading.counts == {("train", "10"): 2, ("train", "9"): 1, ("test", "9"): 1, ("test", "10"): 1}
    assert (pixels_of(reading) == np.concatenate([GREY, GREY[:2] + 100])).all()


def test_the_layout_of_medmnist_is_read_packed(tmp_path: Path) -> None:
    kinds = {"images": COLOUR, "labels": LABELS[:, None]}
    arrays = {f"{split}_{kind}": array for split in ("train", "val", "test") for kind, array in kinds.items()}
    np.savez_compressed(tmp_path / "set.npz", **arrays)  # type: ignore[arg-type]

    reading = readable(npz, tmp_path)

    assert labels_of(reading)[::3] == [("10", "train"), ("10", "validation"), ("10", "test")]
    assert (pixels_of(reading)[:3] == COLOUR).all()


@pytest.mark.parametrize(
    ("images_name", "labels_name", "split"),
    [
        ("images", "labels", None),
        ("X", "y", None),
        ("data", "target", None),
        ("images", "image_labels", None),
        ("x_train", "y_train", "train"),
        ("trainX", "trainY", "train"),
        ("train_set_x", "train_set_y", "train"),
    ],
)
def test_names_say_what_an_array_is(tmp_path: Path, images_name: str, labels_name: str, split: str | None) -> None:
    reading = readable(npz, save(tmp_path, **{images_name: GREY[..., None], labels_name: LABELS, "mean": np.zeros(3)}))

    assert labels_of(reading) == [("10", split), ("9", split), ("10", split)]
    assert (pixels_of(reading) == GREY).all()
    assert left_out_of(reading) == []


@pytest.mark.parametrize("by_columns", [False, True], ids=["C order", "Fortran order"])
@pytest.mark.parametrize("stored", [".npz", ".npy"])
@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (MANY[..., 0], MANY[..., 0]),
        (MANY[..., :1], MANY[..., 0]),
        (MANY, MANY),
        (np.concatenate([MANY, MANY[..., :1]], axis=-1), np.concatenate([MANY, MANY[..., :1]], axis=-1)),
        (MANY[..., :1].transpose(0, 3, 1, 2), MANY[..., 0]),
        (MANY.transpose(0, 3, 1, 2), MANY),
        (MANY[..., 0].transpose(1, 2, 0), MANY[..., 0]),
        (MANY.transpose(1, 2, 3, 0), MANY),
    ],
    ids=["N H W", "N H W 1", "N H W 3", "N H W 4", "N 1 H W", "N 3 H W", "H W N", "H W 3 N"],
)
def test_the_axes_may_have_any_order(tmp_path: Path, images: np.ndarray, expected: np.ndarray, stored: str, by_columns: bool) -> None:
    images = np.asfortranarray(images) if by_columns else np.ascontiguousarray(images)
    source = save_npy(tmp_path, X=images, Y=MANY_LABELS) if stored == ".npy" else save(tmp_path, X=images, Y=MANY_LABELS)

    reading = readable(npz, source)

    assert (pixels_of(reading) == expected).all()
    assert [label for label, _ in labels_of(reading)] == list("010122")


@pytest.mark.parametrize(
    ("shape", "orders"),
    [
        ((6, 5, 6), r"\(N, H, W\) or \(H, W, N\)"),
        ((6, 3, 7, 3), r"\(N, H, W, C\) or \(N, C, H, W\)"),
        ((3, 5, 3, 3), r"\(N, H, W, C\) or \(H, W, C, N\)"),
    ],
)
def test_axes_that_can_be_understood_in_two_ways_are_named(tmp_path: Path, shape: tuple[int, ...], orders: str) -> None:
    path = save(tmp_path, images=np.zeros(shape, np.uint8), labels=np.arange(shape[0]) // 2)

    with pytest.raises(SourceError, match=rf"set\.npz: images\.npy of shape .* labels can be {orders}\. Save"):
        readable(npz, path)


@pytest.mark.parametrize(
    ("arrays", "names", "order"),
    [
        ({"labels": np.array([1, 0, 1]), "class_names": np.array(["dog", "Größe"])}, ["Größe", "dog", "Größe"], ["dog", "Größe"]),
        ({"labels": np.array([1.0, 0.0, 1.0])}, ["1", "0", "1"], ["0", "1"]),
        ({"labels": np.array([-1, 0, -1])}, ["-1", "0", "-1"], ["-1", "0"]),
        ({"labels": np.array([True, False, True])}, ["true", "false", "true"], None),
        ({"labels": np.array([[1, 0, 1]])}, ["1", "0", "1"], ["0", "1"]),
        ({"labels": np.array([[0, 1.0], [1, 0], [0, 1]])}, ["1", "0", "1"], ["0", "1"]),
        ({"labels": np.array([[0, 1], [1, 0], [0, 1]]), "classes": np.array(["a", "b"])}, ["b", "a", "b"], ["a", "b"]),
        ({"labels": np.array(["b", "a", "b"])}, ["b", "a", "b"], None),
        ({"labels": np.array([b"b", b"a", b"b"])}, ["b", "a", "b"], None),
    ],
    ids=["class names", "whole floats", "negative", "booleans", "a row", "one-hot", "one-hot with names", "text", "bytes"],
)
def test_labels_may_be_numbers_of_class_names_or_text(
    tmp_path: Path, arrays: dict[str, np.ndarray], names: list[str], order: list[str] | None
) -> None:
    reading = readable(npz, save(tmp_path, images=GREY, **arrays))

    assert [label for label, _ in labels_of(reading)] == names
    assert reading.class_names == order


def test_an_image_with_an_empty_label_is_left_out(tmp_path: Path) -> None:
    reading = readable(npz, save(tmp_path, images=GREY, labels=np.array(["a", "", "a"])))

    assert labels_of(reading) == [("a", None), ("a", None)]
    assert left_out_of(reading) == [("set.npz/images/1.png", "unlabelled", "its label is empty")]


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
    found = pixels_of(readable(npz, save(tmp_path, images=images, labels=LABELS)))

    assert found.dtype == np.uint8
    assert (found == expected).all()


@pytest.mark.parametrize(
    ("images", "mode", "suffix"),
    [
        (GREY.astype(np.uint16) * 2000, "I;16", ".png"),
        (GREY.astype(np.int32) * 2000, "I;16", ".png"),
        (GREY.astype(np.int16) * 100 - 1000, "F", ".tiff"),
        (GREY.astype(np.int64) * 10000, "F", ".tiff"),
        (GREY / 10 - 1, "F", ".tiff"),
        ((GREY * 1000.0)[..., None], "F", ".tiff"),
    ],
    ids=["16 bits", "32 bits", "signed", "beyond 16 bits", "around zero", "large fractions"],
)
def test_other_ranges_are_passed_on_as_they_are(tmp_path: Path, images: np.ndarray, mode: str, suffix: str) -> None:
    reading = readable(npz, save(tmp_path, images=images, labels=LABELS))

    record = records_of(reading)[1]
    assert record.path == f"set.npz/images/1{suffix}"
    assert Image.open(io.BytesIO(pickle.loads(pickle.dumps(record)).read())).mode == mode
    assert (pixels_of(reading) == images.reshape(3, 2, 4).astype(np.float32)).all()


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (GREY / 255, GREY, r"x_train\.npy has values from 0 to 0\.09.*, but .*x_test\.npy from 0 to 255"),
        (GREY, GREY / 255, r"x_train\.npy has values from 0 to 255, but .*x_test\.npy from 0 to 0\.0901961"),
        (GREY / 23, GREY / 20, r"x_train\.npy has values from 0 to 1, but .*x_test\.npy from 0 to 1\.15"),
        (GREY, GREY.astype(np.uint16) * 200, r"x_train\.npy has values from 0 to 255, but .*x_test\.npy from 0 to 4600"),
    ],
)
def test_splits_in_different_ranges_are_refused(tmp_path: Path, train: np.ndarray, test: np.ndarray, words: str) -> None:
    with pytest.raises(SourceError, match=words + r"\. Save all in the same range"):
        readable(npz, save(tmp_path, x_test=test, y_test=LABELS, x_train=train, y_train=LABELS))


def test_more_images_than_are_read_at_once_stay_with_their_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.containers.in_memory.IMAGES_READ_AT_ONCE", 10)
    numbers = np.arange(25) % 7
    images = np.broadcast_to(numbers[:, None, None], (25, 2, 2)).astype(np.uint8)

    for source in (save(tmp_path / "z", images=images, labels=numbers), save_npy(tmp_path / "y", images=images, labels=numbers)):
        reading = readable(npz, source)
        assert labels_of(reading) == [(str(number), None) for number in numbers]
        assert (pixels_of(reading) == images).all()


def test_a_file_per_split_is_one_data_set(tmp_path: Path) -> None:
    for name, count in (("train", 3), ("test", 2), ("val", 1)):
        np.savez(tmp_path / f"flowers_{name}.npz", x=GREY[:count], y=LABELS[:count])
    (tmp_path / "folders" / "train").mkdir(parents=True)
    (tmp_path / "folders" / "test").mkdir()
    for name in ("train", "test"):
        np.savez(tmp_path / "folders" / name / "set.npz", x=GREY, y=LABELS)

    files = {path.name: path for path in tmp_path.glob("*.npz")}
    reading = npz.read(files)
    assert reading is not None
    assert Counter(split for _, split in labels_of(reading)) == {"train": 3, "test": 2, "validation": 1}
    assert records_of(reading)[0].path == "flowers_test.npz/x/0.png"
    assert Counter(split for _, split in labels_of(readable(npz, tmp_path / "folders"))) == {"train": 3, "test": 3}


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (("X.npy", "Y.npy"), None),
        (("x_train.npy", "y_train.npy"), "train"),
        (("images.npy", "labels.npy"), None),
        (("train/images.npy", "train/labels.npy"), "train"),
        (("kmnist-train-imgs.npz", "kmnist-train-labels.npz"), "train"),
    ],
)
def test_pairs_of_files_are_read(tmp_path: Path, names: tuple[str, str], split: str | None) -> None:
    for name, array in zip(names, (GREY, LABELS), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (np.savez if name.endswith("z") else np.save)(tmp_path / name, array)

    reading = readable(npz, tmp_path)

    assert labels_of(reading) == [("10", split), ("9", split), ("10", split)]
    assert (pixels_of(reading) == GREY).all()


def test_of_two_data_sets_one_must_be_named(tmp_path: Path) -> None:
    save(tmp_path, images=GREY, labels=LABELS).rename(tmp_path / "other.npz")
    np.savez(tmp_path / "statistics.npz", mean=np.zeros(3))
    assert len(labels_of(readable(npz, tmp_path))) == 3

    save(tmp_path, images=GREY, labels=LABELS)
    with pytest.raises(SourceError, match=r"more than one set of arrays: other\.npz and set\.npz\. Set ingest\.source to one of them"):
        read_folder(npz, tmp_path)


def test_arrays_of_other_things_are_not_read(tmp_path: Path) -> None:
    assert read_folder(npz, tmp_path) is None
    save(tmp_path, x=np.zeros((3, 512)), y=LABELS)
    save_npy(tmp_path, mean=np.zeros((3, 4)), masks=GREY)
    assert read_folder(npz, tmp_path) is None
    assert npz.candidates(["a/x.npy", "b.NPZ", "c.png", ".d.npy"]) == ["a/x.npy", "b.NPZ"]


def test_an_array_beside_that_could_be_images_is_reported(tmp_path: Path) -> None:
    reading = readable(npz, save(tmp_path, images=GREY, labels=LABELS, masks=GREY, images_extra=GREY, label_map=LABELS))

    assert [entry[:2] for entry in left_out_of(reading)] == [("set.npz: masks.npy", "stray"), ("set.npz: images_extra.npy", "stray")]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x_train": GREY, "y_train": LABELS, "x_test": GREY}, r"x_test\.npy: expected one array of labels for these images, found none"),
        ({"labels": LABELS[:2]}, r"should be numbers of 2 images, as many as labels has labels, .*Found uint8 \(3, 2, 4\)"),
        ({"labels": np.eye(3)[:, :2]}, r"marks 0 classes for image 2"),
        ({"labels": np.ones((3, 2))}, r"marks 2 classes for image 0\. Expected one"),
        ({"labels": np.full((3, 2), 0.5)}, r"has values other than 0 and 1"),
        ({"labels": np.zeros((3, 1, 1))}, r"should have one label per image\. Found float64 \(3, 1, 1\)"),
        ({"labels": np.array([0.5, 1, 1])}, r"has labels with fractions, such as 0\.5"),
        ({"labels": np.array([1, 2, 3])}, "all of its 3 images have different labels"),
        ({"images": np.zeros((3, 5, 32, 32))}, r"images\.npy should be numbers of .*Found float64 \(3, 5, 32, 32\)"),
        ({"images": np.zeros((3, 0, 2))}, r"Found float64 \(3, 0, 2\)"),
        ({"images": np.zeros((3, 784, 1))}, r"Found float64 \(3, 784, 1\)"),
        ({"images": np.zeros((3, 2, 2), complex)}, r"Found complex128 \(3, 2, 2\)"),
        (
            {"images": COLOUR * 1000.0},
            r"values from 0 to 89000\. Expected 0 to 255, or fractions from 0 to 1, in images with several channels",
        ),
        ({"images": COLOUR - 1.0}, "values from -1 to 88"),
        ({"images": np.where(GREY == 3, np.nan, 0)}, "values from nan to nan"),
        ({"images": np.where(GREY == 3, np.inf, 0)}, "values from 0 to inf"),
        ({"images": np.where(GREY == 3, 1e300, 0)}, r"values from 0 to 1e\+300"),
        ({"labels": np.array([np.inf, 1, 1])}, "has labels with fractions, such as inf"),
        ({"images": np.array([GREY, None], object), "labels": LABELS[:2]}, r"images\.npy holds Python objects, which are not loaded"),
        ({"labels": np.array([1, None, 2], object)}, r"labels\.npy holds Python objects, which are not loaded"),
        ({"X": GREY}, r"there are images twice: set\.npz: X\.npy, set\.npz: images\.npy"),
        ({"class_names": np.array(["a", "b"])}, "goes from 9 to 10, but 2 classes are named, from 0"),
        ({"class_names": np.array(["a", "a"])}, "should be a list of names, each once"),
    ],
)
def test_arrays_that_cannot_be_understood_are_named(tmp_path: Path, arrays: dict[str, object], words: str) -> None:
    others = {} if "x_train" in arrays else {"images": GREY, "labels": LABELS}

    with pytest.raises(SourceError, match=words):
        readable(npz, save(tmp_path, **{**arrays, **others, **arrays}))


def test_a_split_in_the_name_of_the_file_that_its_arrays_contradict_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "test.npz", x_train=GREY, y_train=LABELS)

    with pytest.raises(SourceError, match=r"test\.npz: x_train\.npy names two splits, test and train"):
        readable(npz, tmp_path)


def test_a_damaged_archive_and_an_array_that_ends_too_early_are_one_line(tmp_path: Path) -> None:
    path = save(tmp_path, images=GREY, labels=LABELS)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content[:-1])
    with pytest.raises(SourceError, match=r"set\.npz is damaged: images\.npy ends too early"):
        readable(npz, path)

    path.write_bytes(b"PK no zip")
    with pytest.raises(SourceError, match=r"set\.npz is damaged or encrypted"):
        readable(npz, path)


@pytest.mark.parametrize("name", ["set.npz", "packed.npz", "images.npy", "labels.npy"])
def test_any_damage_is_refused_or_harmless(tmp_path: Path, name: str) -> None:
    np.savez_compressed(tmp_path / "packed.npz", images=MANY, labels=MANY_LABELS)
    save(tmp_path, images=MANY, labels=MANY_LABELS)
    save_npy(tmp_path, images=MANY, labels=MANY_LABELS)
    files = {
        path.name: path for path in tmp_path.iterdir() if path.suffix == Path(name).suffix and (path.name == name or path.suffix == ".npy")
    }
    ends: Counter[str] = Counter()

    for content in mutations((tmp_path / name).read_bytes(), 400, seed=2):
        (tmp_path / name).write_bytes(content)
        ends[survives(npz, files)] += 1

    assert ends["refused"] > 100
    assert ends["refused in several lines"] == 0
