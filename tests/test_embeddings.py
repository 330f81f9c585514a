"""Every packed image goes through the network once in its life: rows are kept by content, shard by shard."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.arrays import write_array
from pipeline.errors import StorageError
from pipeline.features.embeddings import write_embeddings, write_no_embeddings
from pipeline.features.extractor import Extractor, embedder, stage_extractor
from pipeline.features.kept_rows import SHARD
from pipeline.features.stage_rows import stage_rows

SHAPE = (6, 5, 3)


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


class Counting:
    """A network that counts the images that it is asked about; its rows are the sums of the columns, then of the rows, of pixels."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        self.seen += len(pictures)
        return rows_of(pictures)

    def extractor(self, *identity: object) -> Extractor:
        return Extractor(self, (11,), np.float32, identity, {})


def rows_of(pictures: np.ndarray) -> np.ndarray:
    values = pictures.astype(np.float32).sum(axis=3)
    return np.concatenate([values.sum(axis=1), values.sum(axis=2)], axis=1)


def embed(root: Path, train: np.ndarray, test: np.ndarray, views: int = 2, identity: object = "a") -> tuple[list[np.ndarray], int]:
    """(embeddings of train and test, number of images that the network saw)."""
    network = Counting()
    for part, pictures in (("train", train), ("test", test)):
        write_array(root / part / "images.npy", pictures)
    write_embeddings([root / "train", root / "test"], views, network.extractor(identity), root / "kept")
    return [np.load(root / part / "embeddings.npy") for part in ("train", "test")], network.seen


def test_rows_are_those_of_the_image_and_its_mirror_image(tmp_path: Path) -> None:
    train, test = images(SHARD + 7), images(3, seed=1)

    (found, of_test), seen = embed(tmp_path, train, test)

    assert (found.shape, found.dtype.name, seen) == ((SHARD + 7, 2, 11), "float32", 2 * (SHARD + 10))
    assert (found[:, 0] == rows_of(train)).all()
    assert (found[:, 1] == rows_of(train[:, :, ::-1])).all()
    assert (of_test[:, 0] == rows_of(test)).all()
    assert not (found[:, 0] == found[:, 1]).all()


def test_without_flips_there_is_one_view(tmp_path: Path) -> None:
    (found, _), seen = embed(tmp_path, images(20), images(3, seed=1), views=1)

    assert (found.shape, seen) == ((20, 1, 11), 23)


def test_of_a_hundred_times_as_many_images_the_new_ones_alone_are_computed(tmp_path: Path) -> None:
    known, test = images(1000), images(100, seed=1)
    (before, _), _ = embed(tmp_path, known, test)
    train = np.concatenate([images(10, seed=2), known[::-1]])

    (found, _), seen = embed(tmp_path, train, test)

    assert seen == 20  # ten images and their mirror images
    assert (found[10:] == before[::-1]).all()
    assert (found[:, 0] == rows_of(train)).all()


def test_copies_are_computed_once(tmp_path: Path) -> None:
    train = np.repeat(images(5), 3, axis=0)
    symmetric = np.zeros((4, *SHAPE), np.uint8)

    (found, of_test), seen = embed(tmp_path, train, symmetric)

    assert seen == 2 * 5 + 1
    assert (found[:, 1] == rows_of(train[:, :, ::-1])).all()
    assert of_test.shape == (4, 2, 11)


def test_another_network_computes_anew_and_the_rows_of_the_first_go(tmp_path: Path) -> None:
    embed(tmp_path, images(20), images(3, seed=1))

    assert embed(tmp_path, images(20), images(3, seed=1), identity="b")[1] == 46
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_rows_of_images_that_are_gone_go(tmp_path: Path) -> None:
    embed(tmp_path, images(20), images(3, seed=1))
    embed(tmp_path, images(20, seed=2), images(3, seed=1))

    assert embed(tmp_path, images(20), images(3, seed=1))[1] == 40


def test_a_network_that_is_not_pretrained_has_no_rows(tmp_path: Path) -> None:
    write_no_embeddings([tmp_path / "train", tmp_path / "test"], 2)

    assert [np.load(tmp_path / part / "embeddings.npy").shape for part in ("train", "test")] == [(0, 2, 1280)] * 2


KILLED = """\
import os, signal, sys
from pathlib import Path
import numpy as np
from pipeline.features.embeddings import write_embeddings
from tests.test_embeddings import Counting
network = Counting()
extractor = network.extractor("a")
def compute(pictures):
    if network.seen >= 1024:
        os.kill(os.getpid(), signal.SIGKILL)
    return network(pictures)
object.__setattr__(extractor, "compute", compute)
root = Path(sys.argv[1])
write_embeddings([root / "train", root / "test"], 2, extractor, root / "kept")
"""


def test_a_run_that_is_killed_loses_its_last_shard_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    train, test = images(1500), images(3, seed=1)
    undisturbed, _ = embed(tmp_path / "undisturbed", train, test)
    for part, pictures in (("train", train), ("test", test)):
        write_array(tmp_path / "killed" / part / "images.npy", pictures)
    root = Path(__file__).parent.parent
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "killed")], cwd=root, env={**os.environ, "PYTHONPATH": str(root)})

    found, seen = embed(tmp_path / "killed", train, test)

    assert killed.returncode == -signal.SIGKILL
    assert seen == 2 * 1503 - 1024
    for one, other in zip(found, undisturbed, strict=True):
        assert one.tobytes() == other.tobytes()


def test_rows_of_a_stage_are_read_from_where_they_are_kept(tmp_path: Path) -> None:
    pictures = images(SHARD)
    write_array(tmp_path / "images.npy", np.concatenate([pictures, pictures[:4]]))
    network = Counting()

    rows = stage_rows(tmp_path / "images.npy", 2, network.extractor("a"), tmp_path / "kept")

    assert (rows.shape, len(rows), rows.dtype.name, network.seen) == ((2 * SHARD + 8, 11), 2 * SHARD + 8, "float32", 2 * SHARD)
    wanted = np.array([2 * SHARD + 7, 0, 5, 5, SHARD + 1])
    expected = [pictures[3][:, ::-1], pictures[0], pictures[2][:, ::-1], pictures[2][:, ::-1], pictures[(SHARD + 1) // 2][:, ::-1]]
    assert (rows[wanted] == rows_of(np.stack(expected))).all()
    again = stage_rows(tmp_path / "images.npy", 2, network.extractor("a"), tmp_path / "kept")
    assert (network.seen, (again[wanted] == rows[wanted]).all()) == (2 * SHARD, True)


def test_rows_that_another_run_has_removed_are_one_line(tmp_path: Path) -> None:
    write_array(tmp_path / "images.npy", images(3))
    rows = stage_rows(tmp_path / "images.npy", 1, Counting().extractor("a"), tmp_path / "kept")
    for file in (tmp_path / "kept").rglob("*.rows.npy"):
        file.unlink()

    with pytest.raises(StorageError, match="run the same command again"):
        rows[np.array([1])]


def test_the_pretrained_network_gives_the_same_rows_in_any_company(tmp_path: Path) -> None:
    shape = (32, 24, 3)
    extractor = embedder("efficientnet_lite0", shape)
    pictures = np.random.default_rng(0).integers(0, 256, (11, *shape), dtype=np.uint8)

    assert (extractor.compute(pictures)[3:5] == extractor.compute(pictures[3:5])).all()
    assert extractor.identity == embedder("efficientnet_lite0", shape).identity
    assert extractor.identity != embedder("efficientnet_lite0", (24, 32, 3)).identity
    stage = stage_extractor("efficientnet_lite0", shape, 7)
    assert stage.compute(pictures).shape == (11, *stage.row_shape)
    assert stage.compute(pictures).dtype == stage.dtype == np.float16
