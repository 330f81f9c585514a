"""CIFAR-10 and CIFAR-100 in the files that they are published in, and pickles that are something else."""

import os
import pickle
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from pipeline.containers import cifar
from pipeline.errors import SourceError
from tests.container_sources import labels_of, mutations, pixels_of, read_folder, readable, records_of, survives

NAMES_10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FINE = [f"fine {i}" for i in range(100)]
COARSE = [f"coarse {i}" for i in range(20)]


def images(count: int, seed: int = 0) -> np.ndarray:
    """uint8 (N, 32, 32, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)


def rows(pictures: np.ndarray) -> np.ndarray:
    """uint8 (N, 3072), red before green before blue."""
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).reshape(len(pictures), 3072)


def python2_pickle(value: object) -> bytes:
    """What Python 2 writes, in protocol 2, as CIFAR's authors did: text as bytes, arrays of NumPy 1."""

    def dump(value: object) -> bytes:
        match value:
            case int():
                return b"J" + struct.pack("<i", value)
            case str():
                return b"U" + bytes([len(value)]) + value.encode()
            case bytes():
                return b"T" + struct.pack("<I", len(value)) + value
            case list():
                return b"](" + b"".join(map(dump, value)) + b"e"
            case dict():
                return b"}(" + b"".join(dump(key) + dump(inside) for key, inside in value.items()) + b"u"
            case np.ndarray():
                made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + dump(0) + b"\x85" + dump("b") + b"tR"
                dtype = (
                    b"cnumpy\ndtype\n("
                    + dump("u1")
                    + dump(0)
                    + dump(1)
                    + b"tR("
                    + dump(3)
                    + dump("|")
                    + b"NNN"
                    + dump(-1) * 2
                    + dump(0)
                    + b"tb"
                )
                shape = b"(" + b"".join(map(dump, value.shape)) + b"t"
                return made + b"(" + dump(1) + shape + dtype + b"\x89" + dump(value.tobytes()) + b"tb"
        raise AssertionError(value)

    return b"\x80\x02" + dump(value) + b"."


def cifar10(folder: Path, batches: int = 2, pickled: str = "python 2") -> np.ndarray:
    """Batches of 4 images and a test batch of 2; all images in the order of the records."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for number in range(1, batches + 2):
        name, count = (f"data_batch_{number}", 4) if number <= batches else ("test_batch", 2)
        pictures.append(images(count, number))
        content = {
            "batch_label": name,
            "labels": [3, 0, 9, 3][:count],
            "data": rows(pictures[-1]),
            "filenames": [f"{name}_s_{i:06d}.png" for i in range(count)],
        }
        (folder / name).write_bytes(python2_pickle(content) if pickled == "python 2" else pickle.dumps(content, protocol=int(pickled)))
    meta = {"num_cases_per_batch": 4, "label_names": NAMES_10, "num_vis": 3072}
    (folder / "batches.meta").write_bytes(python2_pickle(meta))
    return np.concatenate(pictures)


def cifar100(folder: Path) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    pictures = images(3)
    for name, picked in (("train", pictures[:2]), ("test", pictures[2:])):
        content = {
            "filenames": [f"{name}_{i}.png" for i in range(len(picked))],
            "batch_label": name,
            "fine_labels": [99, 7][: len(picked)],
            "coarse_labels": [19, 0][: len(picked)],
            "data": rows(picked),
        }
        (folder / name).write_bytes(python2_pickle(content))
    (folder / "meta").write_bytes(python2_pickle({"fine_label_names": FINE, "coarse_label_names": COARSE}))
    return np.concatenate([pictures[2:], pictures[:2]])


@pytest.mark.parametrize("pickled", ["python 2", "0", "2", "4"])
def test_the_python_version_of_cifar_10_is_read(tmp_path: Path, pickled: str) -> None:
    expected = cifar10(tmp_path / "cifar-10-batches-py", pickled=pickled)
    if pickled == "python 2":
        file = tmp_path / "cifar-10-batches-py" / "data_batch_1"
        assert (pickle.loads(file.read_bytes(), encoding="bytes")[b"data"] == rows(expected[:4])).all()

    reading = readable(cifar, tmp_path)
    records = records_of(reading)

    assert reading.class_names == NAMES_10
    assert reading.counts == {
        ("train", "cat"): 4,
        ("train", "airplane"): 2,
        ("train", "truck"): 2,
        ("test", "cat"): 1,
        ("test", "airplane"): 1,
    }
    assert records[5][:5] == ("cifar-10-batches-py/data_batch_2/data_batch_2_s_000001.png", "airplane", "train", None, 3072)
    assert (pixels_of(reading) == expected).all()
    assert pickle.loads(pickle.dumps(records[0])).read() == records[0].read()


def test_many_pixels_stay_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.containers.in_memory.IMAGES_READ_AT_ONCE", 7)
    pictures = images(40)
    content = {"labels": [i % 10 for i in range(40)], "data": rows(pictures)}
    (tmp_path / "data_batch_1").write_bytes(python2_pickle(content))

    reading = readable(cifar, tmp_path)

    assert [label for label, _ in labels_of(reading)] == [str(i % 10) for i in range(40)]
    assert records_of(reading)[3].path == "data_batch_1/03.png"
    assert (pixels_of(reading) == pictures).all()


@pytest.mark.parametrize(
    ("label", "names"), [(None, ["fine 99", "fine 99", "fine 7"]), ("coarse_labels", ["coarse 19", "coarse 19", "coarse 0"])]
)
def test_cifar_100_is_read_with_fine_or_coarse_labels(tmp_path: Path, label: str | None, names: list[str]) -> None:
    expected = cifar100(tmp_path)

    reading = cifar.read({path.name: path for path in tmp_path.iterdir()}, label)

    assert reading is not None
    assert labels_of(reading) == list(zip(names, ["test", "train", "train"], strict=True))
    assert reading.class_names == (COARSE if label else FINE)
    assert (pixels_of(reading) == expected).all()


@pytest.mark.parametrize("label", [None, "coarse_labels"])
def test_the_binary_versions_are_read(tmp_path: Path, label: str | None) -> None:
    pictures = images(3)
    labelled = [bytes([1, number]) + row.tobytes() for number, row in zip([9, 0, 9], rows(pictures), strict=True)]
    (tmp_path / "ten").mkdir()
    (tmp_path / "ten" / "data_batch_1.bin").write_bytes(b"".join(row[1:] for row in labelled[:2]))
    (tmp_path / "ten" / "test_batch.bin").write_bytes(labelled[2][1:])
    (tmp_path / "ten" / "batches.meta.txt").write_text("\n".join(NAMES_10) + "\n\n")
    (tmp_path / "hundred").mkdir()
    (tmp_path / "hundred" / "train.bin").write_bytes(b"".join(labelled))
    (tmp_path / "hundred" / "fine_label_names.txt").write_text("\n".join(FINE) + "\n")
    (tmp_path / "hundred" / "coarse_label_names.txt").write_text("\n".join(COARSE) + "\n")

    ten = readable(cifar, tmp_path / "ten")
    hundred = cifar.read({path.name: path for path in (tmp_path / "hundred").iterdir()}, label)

    assert labels_of(ten) == [("truck", "train"), ("airplane", "train"), ("truck", "test")]
    assert records_of(ten)[2].path == "test_batch/0.png"
    assert hundred is not None
    assert [name for name, _ in labels_of(hundred)] == (["coarse 1"] * 3 if label else ["fine 9", "fine 0", "fine 9"])
    assert (pixels_of(ten) == pictures).all()
    assert (pixels_of(hundred) == pictures).all()


def test_other_files_of_these_names_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("cat/1.jpg\ncat/2.jpg\n")
    (tmp_path / "train.bin").write_bytes(bytes(5000))
    (tmp_path / "test.bin").write_bytes(b"\xff" * 3074)

    assert read_folder(cifar, tmp_path) is None
    assert cifar.candidates(["a/train", "a/train.txt", "data_batch_1", "batches.meta", "coarse_label_names.txt", ".test"]) == [
        "a/train",
        "data_batch_1",
        "batches.meta",
        "coarse_label_names.txt",
    ]


def test_two_data_sets_side_by_side_are_named(tmp_path: Path) -> None:
    cifar10(tmp_path / "cifar-10-batches-py")
    cifar100(tmp_path / "cifar-100-python")

    with pytest.raises(SourceError, match=r"more than one CIFAR: cifar-10-batches-py/data_batch_1 and cifar-100-python/test\. Set ingest"):
        read_folder(cifar, tmp_path)


class Command:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["data_batch_1", "train"])
def test_a_pickle_that_would_run_a_command_is_refused_without_running_it(tmp_path: Path, name: str, protocol: int) -> None:
    ran = tmp_path / "ran"
    content = pickle.dumps({"data": Command(f"touch {ran}"), "labels": [0]}, protocol)
    (tmp_path / name).write_bytes(content)

    with pytest.raises(SourceError, match=rf"^ingest\.source: {name} is a pickle that asks for 'posix\.system', which CIFAR") as error:
        read_folder(cifar, tmp_path)

    assert "\n" not in str(error.value)
    assert not ran.exists()
    pickle.loads(content)
    assert ran.exists()


@pytest.mark.parametrize(
    ("instructions", "words"),
    [
        (b"cbuiltins\neval\n(Vprint(1)\ntR.", r"asks for 'builtins\.eval'"),
        (b"cnumpy\nload\n(Vx\ntR.", r"asks for 'numpy\.load'"),
        (b"c_codecs\nencode\n(Vx\nVpunycode\ntR.", "asks for 'a call'"),
        (b"(cnumpy\nndarray\no.", "asks for 'OBJ'"),
        (b"}V__class__\nNsb.", "asks for 'BUILD'|is damaged"),
        (b"}..", "should have data"),
        (b"}" + b"\x86" * 9 + b".", "should be the pickle of a dictionary"),
        (b"N" + b"q\1h\1h\1\x86" * 60 + b"}" + b"h\1Ns.", "is damaged"),
        (b"S'a\\S'\n.", "should be the pickle of a dictionary"),
        (b"r\xff\xff\xff\xff.", "is damaged"),
        (b"\x8e" + b"\xff" * 7 + b"\x7fabc.", "is damaged"),
    ],
)
def test_instructions_for_anything_but_plain_values_are_refused(tmp_path: Path, instructions: bytes, words: str) -> None:
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x03" + instructions)

    with pytest.raises(SourceError, match=words):
        read_folder(cifar, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": [0]}, r"data_batch_1 should have a list labels of 4 whole numbers\. Lists of labels there: labels"),
        ({"labels": [0, 1, 2, 10]}, "not all are batches of CIFAR-10 with labels from 0 to 9"),
        ({"labels": [0, 1, 2, -1]}, "not all are batches of CIFAR-10 with labels from 0 to 9"),
        ({"data": np.zeros((4, 784), np.uint8)}, r"should have data of shape \(N, 3072\)"),
    ],
)
def test_a_batch_that_is_none_is_refused(tmp_path: Path, change: Mapping[str, object], words: str) -> None:
    content = {"labels": [0, 1, 2, 3], "data": rows(images(4)), **change}
    (tmp_path / "data_batch_1").write_bytes(python2_pickle(content))

    with pytest.raises(SourceError, match=words):
        read_folder(cifar, tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    cifar10(tmp_path, batches=3)
    (tmp_path / "data_batch_2").unlink()
    with pytest.raises(SourceError, match=r"data_batch_2 is missing beside it\. Get all batches"):
        read_folder(cifar, tmp_path)

    cifar10(tmp_path, batches=2)
    (tmp_path / "batches.meta").write_bytes(python2_pickle({"label_names": NAMES_10[:9]}))
    with pytest.raises(SourceError, match=r"batches\.meta should name 10 classes or more, each once\. Found 9 names"):
        read_folder(cifar, tmp_path)

    with pytest.raises(SourceError, match=r"CIFAR-10 in data_batch_1 has no coarse_labels\. It has labels"):
        cifar.read({"data_batch_1": tmp_path / "data_batch_1"}, "coarse_labels")

    (tmp_path / "test_batch.bin").write_bytes(bytes(3072))
    with pytest.raises(SourceError, match=r"of test_batch\.bin, not all are batches of CIFAR-10"):
        cifar.read({"test_batch.bin": tmp_path / "test_batch.bin"})


@pytest.mark.parametrize(("name", "pickled"), [("data_batch_1", "python 2"), ("data_batch_1", "0"), ("batches.meta", "python 2")])
def test_any_damage_is_refused_or_harmless(tmp_path: Path, name: str, pickled: str) -> None:
    cifar10(tmp_path, batches=1, pickled=pickled)
    good = (tmp_path / name).read_bytes()
    ends: Counter[str] = Counter()

    for content in [*mutations(good, 200, seed=3), *(start + good[120:] for start in mutations(good[:120], 300, seed=4))]:
        (tmp_path / name).write_bytes(content)
        ends[survives(cifar, {path.name: path for path in tmp_path.iterdir()})] += 1

    assert ends["refused"] > 100
    assert set(ends) <= {"refused", "read", "nothing"}
