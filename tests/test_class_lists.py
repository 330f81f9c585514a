"""A list of images for each class, called after it."""

import pytest

from tests.layout_trees import Tree, each
from tests.test_layouts import counts, read, stop_of

CATS = each(6, "cat", "dog", "fox")


def listed(tree: Tree, template: str, names: dict[str, str], *, is_bare: bool = False, ending: str = ".jpg") -> None:
    """Eighteen pictures, and a list of each class by the names of the lists."""
    pictures = tree.pictures(template, CATS)
    for label, name in names.items():
        paths = [one.path.removesuffix(".jpg") + ending for one in pictures if one.label == label]
        tree.lines(name, [path.rpartition("/")[2] if is_bare else path for path in paths])


@pytest.mark.parametrize("is_bare", [True, False])
@pytest.mark.parametrize("name", ["{}.txt", "lists/{}.txt", "{}.lst", "{}.csv"])
def test_lists_that_are_called_after_classes_give_them(tree: Tree, is_bare: bool, name: str) -> None:
    listed(tree, "images/{i}.jpg", {label: name.format(label) for label in CATS}, is_bare=is_bare)

    source = read(tree.root)

    assert counts(list(source.records)) == {"none": CATS}
    assert source.reading is not None
    assert source.reading.origin.classes == f"the names of {name.format('cat')}, {name.format('dog')} and {name.format('fox')}"


def test_lists_in_folders_of_splits_give_the_splits(tree: Tree) -> None:
    for split, count in (("train", 6), ("test", 3)):
        pictures = tree.pictures("images/{i}.jpg", each(count, "cat", "dog"), split, start=100 * count)
        for label in ("cat", "dog"):
            tree.lines(f"{split}/{label}.txt", [one.path for one in pictures if one.label == label])

    assert counts(list(read(tree.root).records)) == {"train": each(6, "cat", "dog"), "test": each(3, "cat", "dog")}


@pytest.mark.parametrize(
    "names", [("part_a", "part_b", "part_c"), ("fold0", "fold1", "fold2"), ("list_a", "list_b", "list_c"), ("raw", "cropped", "resized")]
)
def test_lists_that_are_called_after_parts_give_no_classes(tree: Tree, names: tuple[str, ...]) -> None:
    listed(tree, "images/{i}.jpg", {label: f"{name}.txt" for label, name in zip(CATS, names, strict=True)})

    assert "no classes found" in stop_of(tree.root)


def test_lists_that_share_images_give_no_classes(tree: Tree) -> None:
    listed(tree, "images/{i}.jpg", {label: f"{label}.txt" for label in CATS})
    tree.lines("fox.txt", [f"images/{i}.jpg" for i in range(6)])

    assert "no classes found" in stop_of(tree.root)


def test_lists_beside_class_folders_are_none_of_the_classes(tree: Tree) -> None:
    pictures = tree.pictures("{label}/{i}.jpg", CATS)
    tree.lines("easy.txt", [one.path for one in pictures[:9]])
    tree.lines("hard.txt", [one.path for one in pictures[9:]])

    assert counts(list(read(tree.root).records)) == {"none": CATS}
