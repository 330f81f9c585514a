"""What tables and folders contradict each other in: it is a stop that says so, whatever else stands beside it."""

import pytest

from tests.layout_trees import Tree, each
from tests.test_label_columns import advised
from tests.test_layouts import counts, read, stop_of

CATS = each(12, "cat", "dog")


@pytest.mark.parametrize(("train", "test"), [(range(16), range(12, 24)), (range(16), range(16)), (range(20), range(19, 24))])
@pytest.mark.parametrize("header", ["Filename,Label", "Filename"])
def test_a_table_without_splits_hides_no_contradiction_of_split_tables(tree: Tree, header: str, train: range, test: range) -> None:
    """DeepWeeds: labels.csv of all images, beside tables of several random subsets."""
    rows = [(one.path, one.label) for one in tree.pictures("images/{i}.jpg", CATS)]
    tree.table("labels.csv", "Filename,Label", rows)
    for name, part in (("train", train), ("test", test)):
        tree.table(f"{name}_subset0.csv", header, [rows[i][: header.count(",") + 1] for i in part])

    message = stop_of(tree.root)

    assert f"images/{test[0] if train != test else 0}.jpg different splits: " in message
    assert "_subset0.csv" in message
    assert sum(sum(split.values()) for split in counts(list(read(tree.root, ignore=advised(message, "ignore")).records)).values()) == 24


@pytest.mark.parametrize("is_column_of_labels", [True, False])
def test_a_column_of_splits_against_lists_of_files_stops(tree: Tree, is_column_of_labels: bool) -> None:
    rows = [(one.path, one.label, "test" if one.i < 6 else "train") for one in tree.pictures("images/{i}.jpg", CATS)]
    tree.table("labels.csv", "image,label" + ",split" * is_column_of_labels, [row[: 2 + is_column_of_labels] for row in rows])
    if not is_column_of_labels:
        tree.table("splits.csv", "image,split", [(path, split) for path, _, split in rows])
    tree.lines("train.txt", [path for path, _, _ in rows[:18]])
    tree.lines("test.txt", [path for path, _, _ in rows[18:]])

    assert "images/18.jpg different splits: train (" in stop_of(tree.root)


def test_tables_that_agree_on_splits_are_read_together(tree: Tree) -> None:
    rows = [(one.path, one.label) for one in tree.pictures("images/{i}.jpg", CATS)]
    tree.table("labels.csv", "Filename,Label", rows)
    tree.table("train.csv", "Filename,Label", rows[:16])
    tree.table("test.csv", "Filename,Label", rows[16:])

    assert counts(list(read(tree.root).records)) == {"train": each(8, "cat", "dog"), "test": each(4, "cat", "dog")}


NAMES = [("cat", "dog"), ("A", "B"), ("0", "1"), ("horse", "mouse"), ("Cat", "Dog")]


@pytest.mark.parametrize("classes", NAMES)
@pytest.mark.parametrize("name", ["{word}{i}.jpg", "{word}_{i}.jpg", "IMG_{i}.jpg"])
@pytest.mark.parametrize("swapped", [1, 12, 24])
def test_labels_against_class_folders_of_the_same_names_stop(tree: Tree, classes: tuple[str, str], name: str, swapped: int) -> None:
    rows = [
        (one.path, classes[one.label == classes[0]] if one.i < swapped else one.label)
        for one in tree.pictures(f"{{label}}/{name}", each(12, *classes), words={one: one.lower() for one in classes})
    ]
    tree.table("labels.csv", "image,label", rows)

    message = stop_of(tree.root)

    assert f"{swapped} of 24 images disagree, such as {min(path for path, _ in rows[:swapped])}, which is " in message
    assert "ingest.format: table" in message
    assert "ingest.format: folders" in message


@pytest.mark.parametrize("classes", NAMES)
def test_images_of_class_folders_that_an_agreeing_table_does_not_list_keep_their_class(tree: Tree, classes: tuple[str, str]) -> None:
    rows = [(one.path, one.label) for one in tree.pictures("{label}/{label}{i}.jpg", each(12, *classes))]
    tree.table("labels.csv", "image,label", rows[4:])

    assert counts(list(read(tree.root).records)) == {"none": each(12, *classes)}


def test_a_finer_table_than_short_class_folders_stops(tree: Tree) -> None:
    rows = [(one.path, f"{one.label}{one.i // 2 % 2}") for one in tree.pictures("{label}/{label}{i}.jpg", CATS)]
    tree.table("labels.csv", "image,label", rows)

    assert "the folders are cat and dog, and labels.csv says cat0, cat1, dog0 and dog1" in stop_of(tree.root)


@pytest.mark.parametrize("labels", [("cat", "dog"), ("0", "1"), ("a", "b")])
def test_folders_of_the_first_letters_of_hashes_are_no_classes(tree: Tree, labels: tuple[str, str]) -> None:
    hashes = [f"{one}{other}{i}c4e5f6a7b8{i:04}" for i in range(6) for one in "01ab" for other in "0a"]
    rows = []
    for i, name in enumerate(hashes):
        tree.picture(f"{name[0]}/{name[1]}/{name}.jpg", labels[i % 2])
        rows.append((name, labels[i % 2]))
    tree.table("train.csv", "id,label", rows)

    assert sum(counts(list(read(tree.root).records)).popitem()[1].values()) == 48


def test_a_table_that_counts_the_folders_from_zero_agrees_with_them(tree: Tree) -> None:
    rows = [(one.path, int(one.label) - 1) for one in tree.pictures("{label}/IMG_{i}.jpg", each(6, "1", "2", "3"))]
    tree.table("labels.csv", "image,label", rows)

    assert counts(list(read(tree.root).records)) == {"none": each(6, "1", "2", "3")}


@pytest.mark.parametrize("labels", [("dog", "wolf"), ("fox", "cat")])
def test_a_folder_that_the_table_calls_as_another_folder_stops(tree: Tree, labels: tuple[str, str]) -> None:
    rows = [(one.path, labels[one.label == "dog"]) for one in tree.pictures("{label}/IMG_{i}.jpg", CATS)]
    tree.table("labels.csv", "image,label", rows)

    assert "the folders are cat and dog, and labels.csv says " in stop_of(tree.root)


@pytest.mark.parametrize("is_bare", [True, False])
@pytest.mark.parametrize("columns", [{}, {"label": "label"}, {"path": "image", "label": "label"}])
@pytest.mark.parametrize("moved", [("train", "test"), ("train",), ("test",)])
def test_a_column_of_splits_against_flat_split_folders_stops(
    tree: Tree, is_bare: bool, columns: dict[str, str], moved: tuple[str, ...]
) -> None:
    rows = []
    for split, other in (("train", "test"), ("test", "train")):
        for one in tree.pictures(f"{split}/{split}{{i}}.jpg", each(6, "cat", "dog")):
            path = one.path.rpartition("/")[2] if is_bare else one.path
            rows.append((path, one.label, other if one.i < 2 and split in moved else split))
    tree.table("labels.csv", "image,label,split", rows)

    message = stop_of(tree.root, columns=columns)

    assert (
        f"{2 * len(moved)} images are in another split by labels.csv than by the folders, such as {moved[-1]}/{moved[-1]}0.jpg" in message
    )
    assert "ingest.format: table" in message
    assert sum(counts(list(read(tree.root, columns=columns, format="table").records))["test"].values()) == 12 + 2 * (
        ("train" in moved) - ("test" in moved)
    )


@pytest.mark.parametrize("name", ["train", "train_images", "data/train"])
def test_a_column_may_split_the_only_labelled_folder_of_a_competition(tree: Tree, name: str) -> None:
    rows = [(one.path, one.label, "test" if one.i < 6 else "train") for one in tree.pictures(f"{name}/{{i}}.jpg", CATS)]
    tree.unlabelled("test/{i}.jpg", start=50)
    tree.table("labels.csv", "image,label,split", rows)

    assert counts(list(read(tree.root).records)) == {"train": each(9, "cat", "dog"), "test": each(3, "cat", "dog")}


def test_a_table_with_another_word_for_one_of_the_class_folders_stops(tree: Tree) -> None:
    rows = [(one.path, "felis" if one.label == "cat" else one.label) for one in tree.pictures("{label}/{i}.jpg", CATS)]
    tree.table("labels.csv", "image,label", rows)

    message = stop_of(tree.root)

    assert "the folders are cat and dog, and labels.csv says dog and felis" in message
    assert counts(list(read(tree.root, format="table").records)) == {"none": each(12, "dog", "felis")}
