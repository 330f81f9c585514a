"""What a user can say about a layout: columns, where the class stands, what to ignore, labels of several classes."""

import pytest

from tests.layout_trees import Tree, each
from tests.test_layouts import counts, read, stop_of

CATS = each(6, "cat", "dog")


def test_columns_are_chosen_by_name(tree: Tree) -> None:
    pictures = tree.pictures("a/{i}.jpg", CATS)
    rows = [(f"a/{one.i}.jpg", f"b/{one.i}.jpg", one.label, one.i % 3, ("train", "test")[one.n % 2], f"p{one.n}") for one in pictures]
    tree.table("t.csv", "img,thumb,kind,grade,fold,person", rows)

    columns = {"path": "img", "label": "kind", "split": "fold", "group": "person"}
    records = list(read(tree.root, columns=columns).records)

    assert counts(records) == {"train": each(3, "cat", "dog"), "test": each(3, "cat", "dog")}
    assert {record.path: record.group for record in records}["a/0.jpg"] == "p0"


def test_one_column_can_be_chosen_and_the_others_found(tree: Tree) -> None:
    pictures = tree.pictures("a/{i}.jpg", CATS)
    tree.table("t.csv", "filename,label,breed", [(one.path, one.label, f"breed {one.i % 3}") for one in pictures])

    assert counts(list(read(tree.root, columns={"label": "breed"}).records)) == {"none": each(4, "breed 0", "breed 1", "breed 2")}


def test_a_column_that_does_not_exist_is_refused_with_those_that_do(tree: Tree) -> None:
    pictures = tree.pictures("a/{i}.jpg", CATS)
    tree.table("t.csv", "filename,label", [(one.path, one.label) for one in pictures])

    message = stop_of(tree.root, columns={"label": "lable"})

    assert "lable" in message
    assert "label" in message.replace("lable", "")
    assert "filename" in message


@pytest.mark.parametrize(
    ("template", "class_from"),
    [
        ("2023/{label}/{i}.jpg", "last_folder"),
        ("{label}/{i}/x.jpg", "first_folder"),
        ("{label}_{i}.jpg", "file_name"),
        ("all/{label}.{i}.jpg", "file_name"),
        ("all/{label}-{i}.jpg", "{class}-*.jpg"),
        ("all/{i}_{label}.jpg", "*_{class}.jpg"),
        ("{label}/raw/{i}.jpg", "{class}/raw/*.jpg"),
        ("p{i}/{label}/0.jpg", "{group}/{class}/*.jpg"),
        ("p{i}/{label}/0.jpg", "*/{class}/*"),
    ],
)
def test_the_class_is_taken_from_where_it_is_said_to_stand(tree: Tree, template: str, class_from: str) -> None:
    tree.pictures(template, CATS)

    assert counts(list(read(tree.root, class_from=class_from).records)) == {"none": CATS}


def test_a_place_where_all_images_have_one_class_is_refused(tree: Tree) -> None:
    tree.pictures("a/cats/{i}.jpg", CATS)
    tree.pictures("b/cats/{i}.jpg", CATS)

    assert "cats" in stop_of(tree.root, class_from="last_folder")


def test_a_glob_names_the_split(tree: Tree) -> None:
    tree.pictures("images/train/{label}/{i}.jpg", CATS)
    tree.pictures("images/test/{label}/{i}.jpg", each(3, "cat", "dog"))
    tree.stray("masks/train/cat/{i}.jpg", 4)

    source = read(tree.root, class_from="images/{split}/{class}/*.jpg")

    assert counts(list(source.records)) == {"train": CATS, "test": each(3, "cat", "dog")}
    assert {one.path for one in source.left_out} >= set(tree.strays)


def test_a_glob_names_the_group(tree: Tree) -> None:
    tree.pictures("{i}/{label}/x.jpg", CATS)

    groups = {record.path: record.group for record in read(tree.root, class_from="{group}/{class}/*.jpg").records}

    assert groups["3/dog/x.jpg"] == "3"


@pytest.mark.parametrize("class_from", ["{class}/*.png", "*_{class}_*.jpg"])
def test_a_glob_that_fits_no_file_is_refused_with_an_example_of_a_file(tree: Tree, class_from: str) -> None:
    tree.pictures("all/{label}{i}.jpg", CATS)

    message = stop_of(tree.root, class_from=class_from)

    assert class_from in message
    assert "all/" in message


@pytest.mark.parametrize("class_from", ["first folder", "{split}/*.jpg", "*.jpg", "{class}/{class}/*.jpg", "{clas}/*.jpg"])
def test_a_glob_without_a_class_or_with_unknown_parts_is_refused(tree: Tree, class_from: str) -> None:
    tree.pictures("{label}/{i}.jpg", CATS)

    with pytest.raises(ValueError, match="class_from"):
        read(tree.root, class_from=class_from)


@pytest.mark.parametrize("ignore", [["fox/*"], ["fox"], ["fox/**"], ["**/fox/*.jpg"]], ids=str)
def test_what_is_ignored_is_not_read(tree: Tree, ignore: list[str]) -> None:
    tree.pictures("{label}/{i}.jpg", each(4, "cat", "dog", "fox"))

    assert counts(list(read(tree.root, ignore=ignore).records)) == {"none": each(4, "cat", "dog")}


def test_a_table_can_be_ignored(tree: Tree) -> None:
    pictures = tree.pictures("{label}/{i}.jpg", CATS)
    tree.table("predictions.csv", "image,label", [(one.path, ("fox", "wolf")[one.i // 2 % 2]) for one in pictures])

    message = stop_of(tree.root)

    assert "predictions.csv" in message
    assert counts(list(read(tree.root, ignore=["predictions.csv"]).records)) == {"none": CATS}
    assert counts(list(read(tree.root, format="folders").records)) == {"none": CATS}
    assert counts(list(read(tree.root, format="table").records)) == {"none": each(6, "fox", "wolf")}


def test_labels_of_several_classes_are_combined_if_that_is_said(tree: Tree) -> None:
    labels = {"car": 4, "person": 4, "car person": 4}
    pictures = tree.pictures("a/{i}.jpg", labels)
    tree.table("t.csv", "image,labels", [(one.path, one.label) for one in pictures])

    assert "car person" in stop_of(tree.root, multi_label="fail")
    assert counts(list(read(tree.root, multi_label="combine").records)) == {"none": labels}


def test_several_columns_of_ones_are_combined_if_that_is_said(tree: Tree) -> None:
    pictures = tree.pictures("a/{i}.jpg", {"car": 4, "person": 4, "both": 4})
    rows = [(one.path, int(one.label != "person"), int(one.label != "car")) for one in pictures]
    tree.table("t.csv", "image,car,person", rows)

    assert "multi_label" in stop_of(tree.root)
    found = counts(list(read(tree.root, multi_label="combine").records))["none"]
    assert sorted(found.values()) == [4, 4, 4]
    assert {"car", "person"} < set(found)


def test_names_of_two_words_are_not_several_classes(tree: Tree) -> None:
    """`polar bear` beside `bear`: `polar` alone is no class, so that this is a name."""
    labels = each(4, "bear", "polar bear", "sea lion", "lion")
    pictures = tree.pictures("a/{i}.jpg", labels)
    tree.table("t.csv", "image,label", [(one.path, one.label) for one in pictures])

    assert counts(list(read(tree.root).records)) == {"none": labels}


def test_an_unknown_format_is_refused(tree: Tree) -> None:
    tree.pictures("{label}/{i}.jpg", CATS)

    with pytest.raises(ValueError, match="format"):
        read(tree.root, format="folder")


@pytest.mark.parametrize("wanted", ["parquet", "idx", "npz", "cifar", "tfrecord", "webdataset", "table"])
def test_a_format_that_the_source_has_not_is_refused_by_name(tree: Tree, wanted: str) -> None:
    tree.pictures("{label}/{i}.jpg", CATS)

    assert wanted in stop_of(tree.root, format=wanted)
