"""Formats that are not read: each is named, and what docs/data.md says about them is followed here."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest
import scipy.io

from pipeline.containers import image_parquet, npz, refused
from pipeline.errors import SourceError
from tests.container_sources import labels_of, pixels_of, read_folder, readable
from tests.layout_trees import encoded
from tests.mixed_layouts import write_zip
from tests.test_layouts import read

IMAGES = np.arange(6 * 5 * 7 * 3, dtype=np.uint8).reshape(6, 5, 7, 3)
LABELS = np.array([10, 1, 2, 10, 1, 2], np.uint8)
DATA_PAGE = Path(__file__).parent.parent / "docs" / "data.md"


def recipes() -> dict[str, str]:
    """The programs of the section on other formats, by the file that each reads first."""
    section = DATA_PAGE.read_text(encoding="utf-8").split("### Other formats\n")[1].split("\n## ")[0].split("\n### ")[0]
    programs = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return {re.findall(r'"([\w.-]+\.\w+)"', program)[0]: program for program in programs}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train_32x32.mat", r"train_32x32\.mat is a MATLAB file\. Convert it as docs/data\.md shows under \"Other formats\", to \.npz"),
        ("a/set.h5", r"a/set\.h5 is an HDF5 file\. Convert it"),
        ("images.pkl", r"images\.pkl is a pickle, which is not loaded, since it can run code\. Convert it"),
        ("images.pt", "is a file of PyTorch, which is not loaded"),
        ("train/data.mdb", r"is an LMDB database\. Write its images into a folder for each class"),
        ("data-00000-of-00001.arrow", "is a data set of Hugging Face, saved by save_to_disk"),
        ("train.rec", "is a file of a training library"),
    ],
)
def test_a_format_that_is_not_read_is_named_with_what_to_do(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"anything")

    with pytest.raises(SourceError, match=r"^ingest\.source: .*" + words) as error:
        read_folder(refused, tmp_path)
    assert "\n" not in str(error.value)


def test_arrays_of_other_shapes_or_names_are_described(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x_train=np.zeros((6, 784)), y_train=LABELS)

    with pytest.raises(
        SourceError, match=r"set\.npz is NumPy arrays, but not images and labels: x_train \(6, 784\), y_train \(6,\)\. Expected"
    ):
        read_folder(refused, tmp_path)


def test_a_table_of_numbers_without_a_header_is_named(tmp_path: Path) -> None:
    (tmp_path / "mnist.csv").write_text(",".join(map(str, range(65))) + "\r\n")
    with pytest.raises(SourceError, match=r"mnist\.csv is a table of numbers without a header\. .*label,pixel0,pixel1"):
        read_folder(refused, tmp_path)


def test_other_files_are_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,label\na.png,1\n")

    assert read_folder(refused, tmp_path) is None
    assert refused.candidates(["a.png", "b.mat", "c.csv", ".d.mat", "matrix"]) == ["b.mat", "c.csv"]


def run(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    exec(compile(program, "recipe", "exec"), {})


def test_the_recipe_for_matlab_files_keeps_images_and_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("train", "test"):
        scipy.io.savemat(tmp_path / f"{split}_32x32.mat", {"X": IMAGES.transpose(1, 2, 3, 0), "y": LABELS[:, None]})

    run(recipes()["train_32x32.mat"], tmp_path, monkeypatch)

    reading = readable(npz, tmp_path / "svhn.npz")
    assert labels_of(reading)[:3] == [("0", "train"), ("1", "train"), ("2", "train")]
    assert (pixels_of(reading)[6:] == IMAGES).all()


def test_the_recipe_for_labels_in_matlab_beside_images_makes_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jpg").mkdir()
    for number in range(1, 7):
        (tmp_path / f"jpg/image_{number:05}.jpg").write_bytes(encoded(number, "jpg"))
    scipy.io.savemat(tmp_path / "imagelabels.mat", {"labels": LABELS[None]})
    with pytest.raises(SourceError, match=r"imagelabels\.mat"):
        read(tmp_path)

    run(recipes()["imagelabels.mat"], tmp_path, monkeypatch)

    assert {record.path: record.label for record in read(tmp_path).records} == {
        f"jpg/image_{number:05}.jpg": str(label) for number, label in enumerate(LABELS, 1)
    }


def test_the_recipe_for_archives_in_an_archive_makes_a_folder_of_archives(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        write_zip(tmp_path / f"{label}.zip", [(f"{i}.jpg", encoded(i + 10 * (label == "dog"), "jpg")) for i in range(2)])
    write_zip(tmp_path / "dogs-vs-cats.zip", [(f"{label}.zip", (tmp_path / f"{label}.zip").read_bytes()) for label in ("cat", "dog")])
    with pytest.raises(SourceError, match=r"cat\.zip"):
        read(tmp_path / "dogs-vs-cats.zip")
    command = re.findall(r"^\$ python (-m zipfile .*)$", DATA_PAGE.read_text(encoding="utf-8"), re.MULTILINE)[0]

    subprocess.run([sys.executable, *command.split()], cwd=tmp_path, check=True)

    assert sorted(record.label for record in read(tmp_path / "dogs-vs-cats").records) == ["cat", "cat", "dog", "dog"]


def test_the_recipe_for_hdf5_files_keeps_images_and_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["images"], file["labels"] = IMAGES, LABELS

    run(recipes()["images.h5"], tmp_path, monkeypatch)

    reading = readable(npz, tmp_path / "images.npz")
    assert [label for label, _ in labels_of(reading)] == ["10", "1", "2", "10", "1", "2"]
    assert (pixels_of(reading) == IMAGES).all()


def test_the_recipe_for_pickles_keeps_images_and_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images.pkl").write_bytes(pickle.dumps((list(IMAGES), LABELS.tolist())))

    run(recipes()["images.pkl"], tmp_path, monkeypatch)

    assert (pixels_of(readable(npz, tmp_path / "images.npz")) == IMAGES).all()


def test_the_recipe_for_saved_data_sets_keeps_class_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = b'{"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}'
    table = pa.table({"image": [b"1", b"2"], "label": [1, 0]}).replace_schema_metadata({"huggingface": features})
    with pa.ipc.new_stream(tmp_path / "data-00000-of-00001.arrow", table.schema) as stream:
        stream.write_table(table)

    run(recipes()["data-00000-of-00001.arrow"], tmp_path, monkeypatch)

    assert labels_of(readable(image_parquet, tmp_path / "train.parquet")) == [("dog", None), ("cat", None)]
