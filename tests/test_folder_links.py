"""Sources made of links: by folder, by file, by DVC's cache; and links that lead round in a circle or to nothing."""

import os
import shutil
from pathlib import Path

import pytest

from tests.layout_trees import Tree, each
from tests.test_layouts import counts, read, stop_of

CATS = each(6, "cat", "dog")


@pytest.fixture
def store(tmp_path: Path) -> Tree:
    """A folder elsewhere, to which the links of a source lead."""
    tree = Tree(tmp_path / "store")
    tree.root.mkdir()
    return tree


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def link(path: Path, target: Path | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def test_a_folder_of_links_to_files_elsewhere_is_read(source: Path, store: Tree) -> None:
    for one in store.pictures("{i}.jpg", CATS):
        link(source / one.label / f"{one.i}.jpg", store.root / one.path)

    assert counts(list(read(source).records)) == {"none": CATS}


def test_links_that_are_relative_are_read(source: Path, store: Tree) -> None:
    for one in store.pictures("{i}.jpg", CATS):
        link(source / one.label / f"{one.i}.jpg", f"../../store/{one.path}")

    assert counts(list(read(source).records)) == {"none": CATS}


def test_the_endings_of_the_targets_do_not_matter(source: Path, store: Tree) -> None:
    for one in store.pictures("{i:032x}", CATS):
        link(source / one.label / f"{one.i}.jpg", store.root / one.path)

    assert counts(list(read(source).records)) == {"none": CATS}


def test_a_class_folder_that_is_a_link_is_read(source: Path, store: Tree) -> None:
    store.pictures("{label}/{i}.jpg", {**CATS, "fox": 6})
    for label in CATS:
        shutil.move(store.root / label, source / label)
    link(source / "fox", store.root / "fox")

    assert counts(list(read(source).records)) == {"none": {**CATS, "fox": 6}}


def test_class_folders_that_are_all_links_are_read(source: Path, store: Tree) -> None:
    store.pictures("{label}_of_2024/{i}.jpg", CATS)
    for label in CATS:
        link(source / label, store.root / f"{label}_of_2024")

    assert counts(list(read(source).records)) == {"none": CATS}


def test_a_source_that_is_a_link_is_read(tmp_path: Path, store: Tree) -> None:
    store.pictures("{label}/{i}.jpg", CATS)
    link(tmp_path / "pets", store.root)

    assert counts(list(read(tmp_path / "pets").records)) == {"none": CATS}


def test_split_folders_that_are_links_are_read(source: Path, store: Tree) -> None:
    store.pictures("a/{label}/{i}.jpg", CATS)
    store.pictures("b/{label}/{i}.jpg", each(3, "cat", "dog"))
    link(source / "train", store.root / "a")
    link(source / "test", store.root / "b")

    assert counts(list(read(source).records)) == {"train": CATS, "test": each(3, "cat", "dog")}


def test_links_of_the_cache_of_dvc_are_read(source: Path, tmp_path: Path) -> None:
    """`cache.type symlink`: each file leads to .dvc/cache/files/md5/0a/1b…, which has no ending and cannot be written."""
    cache = Tree(tmp_path / ".dvc/cache/files/md5")
    for one in cache.pictures("{n:02x}/{i:030x}", CATS):
        (cache.root / one.path).chmod(0o444)
        link(source / one.label / f"IMG_{one.i}.JPG", cache.root / one.path)

    assert counts(list(read(source).records)) == {"none": CATS}


def test_links_of_the_hub_of_hugging_face_are_read(tmp_path: Path) -> None:
    """datasets--me--pets/snapshots/0a1b/train/cat/0.jpg leads to ../../../../blobs/<sha>."""
    hub = Tree(tmp_path / "datasets--me--pets")
    snapshot = hub.root / "snapshots/0a1b"
    for one in hub.pictures("blobs/{i:064x}", CATS):
        link(snapshot / "train" / one.label / f"{one.i}.jpg", f"../../../../{one.path}")

    assert counts(list(read(snapshot).records)) == {"none": CATS}


def test_a_table_of_links_is_read(source: Path, store: Tree) -> None:
    pictures = store.pictures("{i}.jpg", CATS)
    for one in pictures:
        link(source / "images" / f"{one.i}.jpg", store.root / one.path)
    Tree(source).table("labels.csv", "image,label", [(f"images/{one.i}.jpg", one.label) for one in pictures])

    assert counts(list(read(source).records)) == {"none": CATS}


def test_a_table_that_is_a_link_is_read(source: Path, store: Tree) -> None:
    pictures = Tree(source).pictures("images/{i}.jpg", CATS)
    store.table("labels.csv", "image,label", [(one.path, one.label) for one in pictures])
    link(source / "labels.csv", store.root / "labels.csv")

    assert counts(list(read(source).records)) == {"none": CATS}


@pytest.mark.parametrize("target", [".", "..", "../source/cat"])
def test_a_link_that_leads_round_in_a_circle_changes_nothing(source: Path, target: str) -> None:
    Tree(source).pictures("{label}/{i}.jpg", CATS)
    link(source / "cat" / "again", target)

    opened = read(source)

    assert counts(list(opened.records)) == {"none": CATS}
    assert [one.path for one in opened.left_out if "again" in one.path] == ["cat/again"]


def test_a_class_that_leads_to_another_class_is_not_read_twice_without_a_word(source: Path) -> None:
    Tree(source).pictures("{label}/{i}.jpg", CATS)
    link(source / "kitty", "cat")

    message = stop_of(source)

    assert "kitty" in message
    assert "cat" in message.replace("kitty", "")


def test_a_link_to_nothing_is_named_and_the_rest_is_read(source: Path, store: Tree) -> None:
    Tree(source).pictures("{label}/{i}.jpg", CATS)
    link(source / "cat" / "99.jpg", store.root / "gone.jpg")

    opened = read(source)

    assert counts(list(opened.records)) == {"none": CATS}
    assert [one.path for one in opened.left_out] == ["cat/99.jpg"]


def test_a_class_of_broken_links_stops_and_is_named(source: Path, store: Tree) -> None:
    Tree(source).pictures("{label}/{i}.jpg", CATS)
    for i in range(5):
        link(source / "fox" / f"{i}.jpg", store.root / f"gone{i}.jpg")

    message = stop_of(source)

    assert "fox" in message
    assert "5" in message
    assert "link" in message


def test_a_class_folder_that_leads_to_nothing_stops_and_is_named(source: Path, store: Tree) -> None:
    Tree(source).pictures("{label}/{i}.jpg", CATS)
    link(source / "fox", store.root / "gone")

    message = stop_of(source)

    assert "fox" in message
    assert "link" in message


def test_nothing_but_broken_links_stops_and_says_so(source: Path, tmp_path: Path) -> None:
    """git-annex before `git annex get`, DVC's cache after it was emptied: the files are there by name only."""
    for i in range(12):
        link(source / ("cat", "dog")[i % 2] / f"{i}.jpg", f"../.git/annex/objects/{i}.jpg")

    message = stop_of(source)

    assert "12" in message
    assert "link" in message


def test_links_are_not_followed_if_that_is_said_and_a_class_of_links_stops(source: Path, store: Tree) -> None:
    store.pictures("fox/{i}.jpg", {"fox": 6})
    Tree(source).pictures("{label}/{i}.jpg", CATS)
    link(source / "fox", store.root / "fox")

    message = stop_of(source, follow_links=False)

    assert "fox" in message
    assert "ingest.follow_links" in message


def test_links_among_files_are_left_out_by_name_if_they_are_not_followed(source: Path, store: Tree) -> None:
    Tree(source).pictures("{label}/{i}.jpg", CATS)
    store.pictures("x{i}.jpg", {"cat": 2})
    for i in range(2):
        link(source / "cat" / f"x{i}.jpg", store.root / f"x{i}.jpg")

    opened = read(source, follow_links=False)

    assert counts(list(opened.records)) == {"none": CATS}
    assert sorted(one.path for one in opened.left_out) == ["cat/x0.jpg", "cat/x1.jpg"]


def test_two_links_to_one_file_are_two_images_of_it(source: Path, store: Tree) -> None:
    """Duplicates are a finding of the checks, whether they are copies or links."""
    Tree(source).pictures("{label}/{i}.jpg", CATS)
    store.pictures("x.jpg", {"cat": 1})
    for name in ("a.jpg", "b.jpg"):
        link(source / "cat" / name, store.root / "x.jpg")

    assert counts(list(read(source).records)) == {"none": {"cat": 8, "dog": 6}}


def test_hard_links_are_files_like_others(source: Path, store: Tree) -> None:
    for one in store.pictures("{i}.jpg", CATS):
        (source / one.label).mkdir(exist_ok=True)
        os.link(store.root / one.path, source / one.label / f"{one.i}.jpg")

    assert counts(list(read(source, follow_links=False).records)) == {"none": CATS}


def test_a_zip_that_is_a_link_is_read(tmp_path: Path, store: Tree) -> None:
    store.pictures("{label}/{i}.jpg", CATS)
    shutil.make_archive(str(tmp_path / "real"), "zip", store.root)
    link(tmp_path / "pets.zip", tmp_path / "real.zip")

    assert counts(list(read(tmp_path / "pets.zip").records)) == {"none": CATS}


def test_links_to_a_drive_that_is_not_there_say_so(source: Path, store: Tree) -> None:
    for label in CATS:
        link(source / label, store.root / label)

    said = stop_of(source)

    assert "has nothing but 2 links without images, for example cat: a link to " in said
    assert "/cat, which is not there: is the drive mounted?" in said
    assert "layout" not in said


def test_links_to_empty_folders_say_so(source: Path, store: Tree) -> None:
    for label in CATS:
        (store.root / label).mkdir()
        link(source / label, store.root / label)

    said = stop_of(source)

    assert "for example cat: a link to " in said
    assert "/cat, a folder without any file: is the drive mounted?" in said
    assert "are read" not in said
    assert "layout" not in said


@pytest.mark.parametrize("ignore", [["*"], ["cat", "dog"], ["*.jpg"]])
def test_globs_that_leave_out_everything_are_named(source: Path, ignore: list[str]) -> None:
    Tree(source).pictures("{label}/{i}.jpg", CATS)
    if ignore == ["*.jpg"]:
        (source / "read.me").write_text("hello", encoding="utf-8")

    said = stop_of(source, ignore=ignore)

    assert f"no image is left, since ingest.ignore, {' and '.join(ignore)}, leaves out" in said
    assert "supported layout" not in said
