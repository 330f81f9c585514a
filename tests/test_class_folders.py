"""Which class and split a file belongs to follows from its path, and what has no place is named."""

import os
from pathlib import Path, PurePosixPath

import pytest

from pipeline.errors import SourceError
from pipeline.stores.class_folders import open_folder, place_files


def places(*names: str) -> list[tuple[str, str, str | None]]:
    found, _ = place_files([PurePosixPath(name) for name in names])
    return [(place.name, place.label, place.split) for place in found.values()]


def strays(*names: str) -> dict[str, str]:
    return dict(place_files([PurePosixPath(name) for name in names])[1])


def test_a_readme_beside_the_wrapping_folder_does_not_hide_the_classes() -> None:
    assert places("set/cat/a.jpg", "set/dog/b.jpg", "README.md") == [("cat/a.jpg", "cat", None), ("dog/b.jpg", "dog", None)]


def test_two_wrapping_folders_are_looked_through() -> None:
    assert places("x/y/train/cat/a.jpg", "x/y/test/dog/b.jpg") == [("train/cat/a.jpg", "cat", "train"), ("test/dog/b.jpg", "dog", "test")]


def test_a_folder_beside_train_and_test_is_no_class() -> None:
    names = ("train/cat/a.jpg", "test/cat/b.jpg", "thumbnails/cat/c.jpg", "annotations/d.xml")

    assert [place[1:] for place in places(*names)] == [("cat", "train"), ("cat", "test")]
    assert strays(*names) == {"thumbnails/cat/c.jpg": "lies outside of train/, test/ and val/"}


def test_a_class_may_be_called_train_beside_others() -> None:
    assert places("train/a.jpg", "bus/b.jpg") == [("train/a.jpg", "train", None), ("bus/b.jpg", "bus", None)]


def test_an_image_in_no_class_folder_is_named() -> None:
    assert strays("train/cat/a.jpg", "test/cat/b.jpg", "train/c.jpg", "d.JPG") == {
        "train/c.jpg": "lies in no class folder",
        "d.JPG": "lies outside of train/, test/ and val/",
    }
    assert strays("cat/a.jpg", "dog/b.jpg", "c.jpg") == {"c.jpg": "lies in no class folder"}


def test_a_path_that_leads_out_is_named() -> None:
    assert strays("cat/a.jpg", "dog/b.jpg", "../c.jpg", "cat/../../d.jpg") == dict.fromkeys(
        ["../c.jpg", "cat/../../d.jpg"], "its path leads out of the source"
    )


def test_one_name_in_two_encodings_of_unicode_is_one_class() -> None:
    assert {label for _, label, _ in places("Cafe\u0301/a.jpg", "Caf\u00e9/b.jpg", "tea/c.jpg")} == {"Caf\u00e9", "tea"}


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"image")
    return root


def test_links_to_folders_are_named_and_not_followed(tmp_path: Path) -> None:
    root = write(tmp_path / "source", "cat/a.jpg", "dog/b.jpg")
    (root / "owl").symlink_to(write(tmp_path / "elsewhere", "c.jpg"))
    (root / "cat" / "around").symlink_to(root)

    source = open_folder(root)

    assert [record.path for record in source.records] == ["cat/a.jpg", "dog/b.jpg"]
    assert sorted(source.rejected) == [("cat/around", "a link, not followed"), ("owl", "a link, not followed")]


def test_a_pipe_is_named_and_never_opened(tmp_path: Path) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg")
    os.mkfifo(root / "cat" / "pipe.jpg")

    assert open_folder(root).rejected == [("cat/pipe.jpg", "not a regular file")]


def test_a_name_that_is_not_unicode_can_be_stored(tmp_path: Path) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg")
    try:
        (root / "dog" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"latin-1")
    except OSError:
        pytest.skip("this file system takes Unicode names only")

    record = list(open_folder(root).records)[-1]

    assert (record.path, record.read()) == ("dog/caf\ufffd.jpg", b"latin-1")


@pytest.mark.parametrize("names", [["cat/a.jpg", "cat/b.jpg"], ["train/cat/a.jpg", "test/cat/b.jpg"], ["set/cat/a.jpg"]])
def test_one_class_is_refused_before_anything_is_read(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(SourceError, match=r"are of one class, cat\. Two or more are needed"):
        open_folder(write(tmp_path, *names))
