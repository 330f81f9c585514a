"""The kind of a source is told from its content, or is the one that was asked for; where there is none, it says what was looked for."""

import os
import pickle
import random
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import SourceError
from pipeline.sources.layouts import FORMATS, source_name
from tests.archive_files import write_zip
from tests.source_trees import found, png, write, write_idx, write_images
from tests.test_layouts import read

CATS = ("cat/a.png", "cat/b.png", "dog/a.png", "dog/b.png")


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """A folder and files of each kind, by its name in FORMATS; class folders are files only in an archive."""
    root = write_images(tmp_path_factory.mktemp("layouts"), *(f"folders/{name}" for name in CATS), "table/a.png", "table/b.png")
    with zipfile.ZipFile(root / "folders.zip", "w") as zipped, tarfile.open(root / "folders.tgz", "w:gz") as tarred:
        for name in CATS:
            zipped.write(root / "folders" / name, name)
        tarred.add(root / "folders", "folders")
    (root / "table" / "t.csv").write_text("path,label\na.png,1\nb.png,2\n", encoding="utf-8")
    (root / "parquet").mkdir()
    pq.write_table(pa.table({"image": [png(), png(1)], "label": [1, 2]}), root / "parquet" / "p.parquet")
    write_idx(root / "idx", np.zeros((2, 2, 2), np.uint8), [0, 1])
    (root / "npz").mkdir()
    np.savez(root / "npz" / "n.npz", images=np.zeros((4, 2, 2), np.uint8), labels=np.arange(4) % 2)
    return {
        "folders": [root / "folders", root / "folders.zip", root / "folders.tgz"],
        "table": [root / "table", root / "table" / "t.csv"],
        "parquet": [root / "parquet", root / "parquet" / "p.parquet"],
        "idx": [root / "idx", root / "idx" / "train-images-idx3-ubyte"],
        "npz": [root / "npz", root / "npz" / "n.npz"],
    }


@pytest.mark.parametrize("layout", ["folders", "table", "parquet", "idx", "npz"])
def test_a_layout_is_detected_and_can_be_asked_for(layouts: dict[str, list[Path]], layout: str) -> None:
    for path in layouts[layout]:
        assert found(read(path)) == found(read(path, format=layout)) != []


@pytest.mark.parametrize("layout", FORMATS[1:])
def test_another_layout_than_the_one_that_was_asked_for_is_refused(layouts: dict[str, list[Path]], layout: str) -> None:
    for folder in [paths[0] for name, paths in layouts.items() if name != layout]:
        with pytest.raises(SourceError):
            read(folder, format=layout)


def test_images_are_the_same_in_a_folder_and_in_archives(layouts: dict[str, list[Path]]) -> None:
    sources = [read(path) for path in layouts["folders"]]

    folder, zipped, tarred = ({record.path.removeprefix("folders/"): record.read() for record in source.records} for source in sources)

    assert folder == zipped == tarred
    assert list(folder) == list(CATS)


def test_a_record_says_all_that_is_known_before_reading(tmp_path: Path) -> None:
    root = write_images(tmp_path / "My Pets", "train/cat/deep/a.png", "train/dog/c.png", "test/dog/b.png")

    source = read(root)

    assert (source.name, source.class_names, source.count) == ("My-Pets", None, 3)
    records = list(source.records)
    assert [record[:5] for record in records] == [
        ("test/dog/b.png", "dog", "test", None, len(png(2))),
        ("train/cat/deep/a.png", "cat", "train", None, len(png(0))),
        ("train/dog/c.png", "dog", "train", None, len(png(1))),
    ]
    assert pickle.loads(pickle.dumps(records[1].read))() == (root / "train/cat/deep/a.png").read_bytes()


def test_a_file_that_vanishes_or_is_emptied_after_it_was_listed_is_named(tmp_path: Path) -> None:
    root = write_images(tmp_path / "in", *CATS, "cat/c.png")
    source = read(root)
    (root / "cat/b.png").unlink()
    (root / "cat/c.png").write_bytes(b"")

    assert [path for path, _, _ in found(source)] == ["cat/a.png", "dog/a.png", "dog/b.png"]
    assert [entry[:2] for entry in source.left_out] == [("cat/b.png", "missing"), ("cat/c.png", "empty")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("l.csv", "path,label\nimgs/a.png,Größe\n".encode("latin-1"), r"l\.csv is not UTF-8 text\. Save it as UTF-8"),
        ("l.csv", b"path,label\nimgs/a.png,1,2\n", r"l\.csv, line 2: 3 fields, but the first line has 2"),
        ("l.jsonl", b'{"path": ', r"l\.jsonl, line 1 is not valid JSON"),
        ("l.parquet", b"PAR1 not really", r"l\.parquet cannot be read as Parquet"),
    ],
)
def test_a_damaged_table_beside_images_is_never_passed_over(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (write_images(tmp_path, "imgs/a.png", "imgs/b.png") / name).write_bytes(content)

    with pytest.raises(SourceError, match=words):
        read(tmp_path)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], r"no images in a supported layout\. Looked for: class folders.*Found: nothing\.$"),
        (
            ["b.png", "a.png"],
            r"no classes found: 2 images in the source itself, for example a\.png\. Put the images of each class",
        ),
        (["sub/y.pdf", "x.docx"], r"no images that are read here\. Found: .*sub/y\.pdf"),
        (["cat/a.png", "cat/b.png"], r"no classes found: 2 images in cat, for example cat/a\.png"),
        (["train/cat/a.png", "test/cat/b.png"], r"no classes found: 2 images in test/cat and train/cat"),
    ],
)
def test_a_source_without_classes_is_refused_with_what_is_there(tmp_path: Path, names: list[str], words: str) -> None:
    write_images(tmp_path, *(name for name in names if name.endswith(".png")))
    write(tmp_path, *(name for name in names if not name.endswith(".png")))

    with pytest.raises(SourceError, match=words) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_of_archives_is_one_source(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, label in enumerate(("cat", "dog")):
        write_zip(tmp_path / "in" / f"{label}.zip", [(f"{i}.png", png(10 * number + i)) for i in range(2)])

    assert [record[:2] for record in found(read(tmp_path / "in"))] == [
        ("cat/0.png", "cat"),
        ("cat/1.png", "cat"),
        ("dog/0.png", "dog"),
        ("dog/1.png", "dog"),
    ]


def test_a_missing_source_a_file_that_is_no_archive_and_a_special_file_are_one_line(tmp_path: Path) -> None:
    os.mkfifo(write(tmp_path, "a.zip") / "fifo")

    for name, words in {
        "nowhere": "nowhere does not exist",
        "a.zip": r"a\.zip: expected class folders .*\. Found: a file of an unknown format\.$",
        "fifo": "fifo is neither a folder nor a regular file",
    }.items():
        with pytest.raises(SourceError, match=words):
            read(tmp_path / name)


def test_a_file_without_read_permission_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "a.zip", [("cat/a.png", png())])

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, who may read everything

    with pytest.raises(SourceError, match=r"a\.zip cannot be read: permission denied\. Give yourself read access"):
        read(path)


def test_a_source_gives_the_data_set_its_name() -> None:
    assert source_name(Path("/a/My Flowers.tar.gz")) == "My-Flowers"
    assert source_name(Path("/a/v1.2:x")) == "v1-2-x"


NESTED = (
    "owl/2023.png",
    "owl/2024/1.png",
    "owl/2024/new/1.png",
    "owl/2024/z.png",
    "owl/2024-a/1.png",
    "owl/2025.png",
    "jay/a/b/1.png",
    "jay/z.png",
    "jay/a b.png",
)


@pytest.mark.parametrize("packed", ["folder", "zip", "tar"])
def test_images_are_in_the_order_of_their_paths_with_sub_folders_between_the_files_around_them(tmp_path: Path, packed: str) -> None:
    source = write_images(tmp_path / "birds", *NESTED)
    if packed != "folder":
        source = Path(shutil.make_archive(str(tmp_path / "packed"), packed, source))

    assert [record.path for record in read(source, class_from="first_folder").records] == sorted(NESTED, key=lambda path: path.split("/"))


def test_images_of_a_table_are_in_the_order_of_their_paths_as_text(tmp_path: Path) -> None:
    source = write_images(tmp_path / "birds", *NESTED)
    lines = (f"{path},{path[:3]}\n" for path in random.Random(1).sample(NESTED, len(NESTED)))
    (source / "labels.csv").write_text("file,label\n" + "".join(lines), encoding="utf-8")

    assert [record.path for record in read(source, format="table").records] == sorted(NESTED)
