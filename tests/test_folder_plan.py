"""Which class and split a folder has follows from the names of the folders and their relations; two meanings are an error with both."""

from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.folders.places import FolderPlan
from pipeline.folders.planning import plan_folders
from pipeline.folders.tree import tree_of
from tests.source_trees import listing_of, write


def plan(root: Path, names: str, class_from: str = "auto") -> FolderPlan:
    return plan_folders(tree_of(listing_of(write(root, *names.split()))), Path("set"), class_from)


def places(found: FolderPlan) -> dict[str, tuple[str, str | None]]:
    """(class, split) of each folder by its path."""
    return {"/".join(parts): (place.label, place.split) for parts, place in found.places.items()}


PLANS: dict[str, tuple[str, dict[str, tuple[str, str | None]]]] = {
    "classes": ("cat/deep/er/c.png dog/b.PNG", {"cat/deep/er": ("cat", None), "dog": ("dog", None)}),
    "a README hides no classes": ("set/cat/a.jpg set/dog/b.jpg README.md", {"set/cat": ("cat", None), "set/dog": ("dog", None)}),
    "two wrapping folders": (
        "x/y/train/cat/a.jpg x/y/train/dog/a.jpg x/y/test/cat/b.jpg",
        {"x/y/train/cat": ("cat", "train"), "x/y/train/dog": ("dog", "train"), "x/y/test/cat": ("cat", "test")},
    ),
    "a class called train": ("train/a.jpg dog/b.jpg", {"train": ("train", None), "dog": ("dog", None)}),
    "other names of splits": (
        "Training/x/a.jpg Training/y/a.jpg TESTING/x/a.jpg",
        {"Training/x": ("x", "train"), "Training/y": ("y", "train"), "TESTING/x": ("x", "test")},
    ),
    "validation images alone": (
        "train/cat/a.jpg train/x/a.jpg valid/x/a.jpg",
        {"train/cat": ("cat", "train"), "train/x": ("x", "train"), "valid/x": ("x", "validation")},
    ),
    "train images alone": ("train/cat/a.jpg train/dog/a.jpg", {"train/cat": ("cat", "train"), "train/dog": ("dog", "train")}),
    "splits below classes": (
        "cat/train/a.jpg cat/test/b.jpg dog/train/a.jpg dog/test/b.jpg",
        {"cat/train": ("cat", "train"), "cat/test": ("cat", "test"), "dog/train": ("dog", "train"), "dog/test": ("dog", "test")},
    ),
}


@pytest.mark.parametrize(("names", "expected"), PLANS.values(), ids=PLANS)
def test_the_class_and_split_of_a_folder_follow_from_the_names(
    tmp_path: Path, names: str, expected: dict[str, tuple[str, str | None]]
) -> None:
    assert places(plan(tmp_path, names)) == expected


@pytest.mark.parametrize(
    ("names", "left_out"),
    [
        ("train/cat/a.jpg train/dog/a.jpg test/cat/b.jpg old/cat/c.jpg old/dog/d.jpg", {"old/cat": "stray", "old/dog": "stray"}),
        ("train/cat/a.jpg train/dog/b.jpg test/cat/b.jpg train/c.jpg d.JPG", {"train": "stray", "": "stray"}),
        ("cat/a.jpg dog/b.jpg c.jpg", {"": "stray"}),
        ("cat/a.jpg dog/b.jpg docs/logo.png", {"docs": "stray"}),
    ],
)
def test_images_in_no_class_or_split_are_left_out_by_name(tmp_path: Path, names: str, left_out: dict[str, str]) -> None:
    found = plan(tmp_path, names)

    assert {"/".join(parts): finding for parts, (finding, _) in found.left_out.items()} == left_out
    assert found.class_names() == {"cat", "dog"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("val/cat/a.jpg val/dog/a.jpg test/cat/b.jpg", "set has test/ and val/, but no train/. Add train/ … out of test/ to have"),
        ("test/cat/a.jpg test/dog/a.jpg README.md poster.png", "set has test/, but no train/"),
        ("set/Valid/cat/deep/a.jpg set/notes/x.txt", "set/set has Valid/, but no train/"),
        ("test/a.jpg val/b.jpg", "set has test/ and val/, but no train/ … or take test for a class with ingest.class_from: first_folder"),
        ("cat/a.jpg dog/b.jpg test/cat/c.jpg test/dog/d.jpg", 'it has test/ beside cat and dog, and no train/ … ingest.ignore: ["test"]'),
        ("x/cat/a.jpg x/dog/b.jpg x/Val/dog/d.jpg", 'x has Val/ beside cat and dog … ingest.ignore: ["x/Val"]'),
        ("test/a.jpg dog/b.jpg", "it has test/ beside dog … 2 classes, dog and test"),
        ("train/cat/a.jpg train/dog/a.jpg val/cat/a.jpg val/fox/a.jpg", "the class fox has validation images but no training images"),
    ],
)
def test_splits_without_training_images_are_refused(tmp_path: Path, names: str, words: str) -> None:
    with pytest.raises(SourceError) as error:
        plan(tmp_path, names)

    assert [word for word in words.split(" … ") if word not in str(error.value)] == []


def test_words_of_splits_are_classes_where_that_is_said(tmp_path: Path) -> None:
    assert places(plan(tmp_path, "test/a.jpg val/b.jpg", "first_folder")) == {"test": ("test", None), "val": ("val", None)}


def test_folders_below_the_classes_count_where_that_is_said(tmp_path: Path) -> None:
    assert places(plan(tmp_path, "2023/cat/a.jpg 2023/dog/b.jpg 2024/cat/c.jpg", "last_folder")) == {
        "2023/cat": ("cat", None),
        "2023/dog": ("dog", None),
        "2024/cat": ("cat", None),
    }


@pytest.mark.parametrize("names", ["", "a.png b.png", "sub/y.pdf x.docx"])
def test_without_class_folders_there_is_no_place(tmp_path: Path, names: str) -> None:
    assert places(plan(tmp_path, names)) == {}
