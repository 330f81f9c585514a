"""What tables and folders contradict each other in: it is a stop that says so, whatever else stands beside it."""

from pathlib import Path

import pytest

from tests.layout_trees import Tree, each
from tests.test_layouts import counts, read, stop_of
from tests.test_label_columns import advised

CATS = each(12, "cat", "dog")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "set")
    tree.root.mkdir()
    return tree


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
