"""The images that a table means are found by name among those of the source, and nowhere else."""

import os
import unicodedata
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.tables.image_index import ImageIndex
from tests.source_trees import found, left_out, listing_of, write, write_images
from tests.test_layouts import read


def index_of(root: Path, *names: str) -> ImageIndex:
    return ImageIndex(listing_of(write(root, *names)))


@pytest.mark.parametrize(
    ("on_disk", "cell", "images"),
    [
        (["x/a.png"], "x/a.png", ["x/a.png"]),
        (["x/a.png"], "./x//a.png", ["x/a.png"]),
        (["x/a.png"], "x\\a.png", ["x/a.png"]),
        (["x/a.png"], "C:\\data\\x\\a.png", ["x/a.png"]),
        (["x/a.png"], "/data/x/a.png", ["x/a.png"]),
        (["x/a.png"], " a.png ", ["x/a.png"]),
        (["x/a.png"], "a", ["x/a.png"]),
        (["x/a.jpeg"], "a.jpg", ["x/a.jpeg"]),
        (["x/a b.png"], "https://host/a%20b.png?size=1", ["x/a b.png"]),
        (["x/a.png"], "1a2b3c4d-a.png", ["x/a.png"]),
        (["x/007.png", "x/008.png"], "7", ["x/007.png"]),
        (["one/a.png", "two/a.png"], "two/a.png", ["two/a.png"]),
        (["one/a.png", "two/a.png"], "TWO/a.png", ["two/a.png"]),
        (["one/x/a.png", "two/x/a.png"], "two/x/a.png", ["two/x/a.png"]),
        (["a.png", "one/a.png"], "a.png", ["a.png"]),
        (["x/a.png", "one/x/a.png"], "x/a.png", ["x/a.png"]),
        (["one/a.png", "two/a.png"], "a.png", ["one/a.png", "two/a.png"]),
        (["a.jpg", "a.png"], "a", ["a.jpg", "a.png"]),
        (["a.png"], "A.png", []),
        (["a.png"], "b.png", []),
        (["a.png"], "a.png/x", []),
        (["x/a.png"], "x", []),
        (["a.png"], "", []),
        (["a.png"], "a.png\nb.png", []),
    ],
)
def test_a_cell_means_the_images_of_its_name_in_the_folders_that_it_names(
    tmp_path: Path, on_disk: list[str], cell: str, images: list[str]
) -> None:
    assert index_of(tmp_path, *on_disk).find(cell) == images


def test_of_several_images_of_one_name_the_one_beside_the_table_is_meant(tmp_path: Path) -> None:
    index = index_of(tmp_path, "a.png", "one/a.png", "two/i/a.png")

    assert index.find("a.png", "one/labels.csv") == ["one/a.png"]
    assert index.find("i/a.png", "two/labels.csv") == ["two/i/a.png"]


def test_an_accent_may_be_written_otherwise_on_the_disk(tmp_path: Path) -> None:
    index = index_of(tmp_path, "e\u0301.png")

    assert index.find("\u00e9.png") == index.find(unicodedata.normalize("NFD", "\u00e9.png")) == ["\u00e9.png"]


def test_nothing_outside_the_source_is_read_and_nothing_special_is_opened(tmp_path: Path) -> None:
    root = write_images(tmp_path / "in", "a.png", "b.png", "c.png", "d.png", "folder/e.png")
    write_images(tmp_path, "secret.png", "outside/f.png")
    os.mkfifo(root / "fifo.png")
    gone = ["gone.png", "a.png/x.png", "../secret.png", str(tmp_path / "secret.png"), "C:\\x.png", "../outside/f.png", "fifo.png", "folder"]
    rows = ["a.png,cat", "b.png,dog", "c.png,cat", "d.png,dog", "folder/e.png,cat", *(f"{path},dog" for path in gone)]
    (root / "labels.csv").write_text("path,label\n" + "\n".join(rows), encoding="utf-8")

    source = read(root)

    assert [path for path, _, _ in found(source)] == ["a.png", "b.png", "c.png", "d.png", "folder/e.png"]
    assert [(entry.path, entry.finding) for entry in left_out(source)] == [("fifo.png", "special"), *((path, "missing") for path in gone)]


def test_a_name_that_may_be_one_of_two_images_is_refused_with_both(tmp_path: Path) -> None:
    write_images(tmp_path, "i/a.png", "j/a.png", "i/b.png", "i/c.png")
    (tmp_path / "labels.csv").write_text("path,label\na.png,cat\nb.png,dog\nc.png,dog\n", encoding="utf-8")

    with pytest.raises(SourceError, match=r"labels\.csv, line 2: a\.png can be i/a\.png and j/a\.png\. Write the folder before the name"):
        read(tmp_path)


def test_a_table_of_which_no_file_is_there_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path, "a.png", "b.png")
    (tmp_path / "labels.csv").write_text("path,label\nx.png,cat\ny.png,dog\n", encoding="utf-8")

    with pytest.raises(SourceError, match=r"2 rows that cannot be matched with the images: .*, for example path: x\.png"):
        read(tmp_path)


def test_a_row_of_a_folder_that_is_not_there_is_missing_and_takes_no_image_of_that_name_elsewhere(tmp_path: Path) -> None:
    write_images(tmp_path, *(f"{site}/{i}.png" for site in ("siteA", "siteB") for i in range(4)))
    rows = "".join(f"{site}/{i}.png,{label}\n" for site, label in (("siteA", "dog"), ("siteB", "cat"), ("siteC", "fox")) for i in range(4))
    (tmp_path / "labels.csv").write_text(f"path,label\n{rows}", encoding="utf-8")

    source = read(tmp_path)

    assert {(record.path, record.label) for record in source.records} == {
        (f"{site}/{i}.png", label) for site, label in (("siteA", "dog"), ("siteB", "cat")) for i in range(4)
    }
    assert sorted(entry[:2] for entry in source.left_out) == [(f"siteC/{i}.png", "missing") for i in range(4)]


def test_folders_of_another_computer_do_not_matter(tmp_path: Path) -> None:
    write_images(tmp_path, *(f"images/{i}.png" for i in range(8)))
    rows = "".join(f"C:\\Users\\me\\photos\\{i}.png,{'cat' if i % 2 else 'dog'}\n" for i in range(8))
    (tmp_path / "labels.csv").write_text(f"path,label\n{rows}", encoding="utf-8")

    assert len(list(read(tmp_path).records)) == 8
