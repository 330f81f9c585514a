"""A column for each class, with a mark in that of the image: no class vanishes because of blanks, -1 or other signs beside the mark."""

import pytest

from tests.layout_trees import Tree, each
from tests.test_label_columns import advised
from tests.test_layouts import counts, read, stop_of

ALL = each(6, "cat", "dog", "fox")


def marked(tree: Tree, yes: str, no: tuple[str, str, str], more: str = "") -> list[list[str]]:
    """The rows of eighteen pictures, six of each class; `no`: what each column has for the others."""
    return [
        [one.path, *(yes if one.label == name else other for name, other in zip(ALL, no, strict=True)), *([more] if more else [])]
        for one in tree.pictures("images/{i}.jpg", ALL)
    ]


@pytest.mark.parametrize("no", [("", "", ""), ("", "0", "0"), ("0", "", "0"), ("0", "0.0", "")])
def test_blanks_beside_ones_are_no_marks(tree: Tree, no: tuple[str, str, str]) -> None:
    tree.table("labels.csv", "image,cat,dog,fox", marked(tree, "1", no))

    assert counts(list(read(tree.root).records)) == {"none": ALL}


@pytest.mark.parametrize(
    ("yes", "no"), [("x", ""), ("X", ""), ("✓", ""), ("x", "-"), ("yes", "no"), ("TRUE", "FALSE"), ("Ja", "nein"), ("y", "n")]
)
def test_marks_may_be_words_or_signs(tree: Tree, yes: str, no: str) -> None:
    tree.table("labels.csv", "image,cat,dog,fox", marked(tree, yes, (no, no, no)))

    assert counts(list(read(tree.root).records)) == {"none": ALL}


def test_booleans_of_json_are_marks(tree: Tree) -> None:
    tree.json(
        "labels.json",
        [{"image": row[0], **dict(zip(ALL, (cell == "1" for cell in row[1:]), strict=True))} for row in marked(tree, "1", ("", "", ""))],
    )

    assert counts(list(read(tree.root).records)) == {"none": ALL}


@pytest.mark.parametrize(
    "no",
    [
        ("", "0", "-1"),
        ("", "-1", ""),
        ("0", "0", "-1"),
        ("-1", "-1", ""),
        ("", "", "?"),
        ("0", "0", "0.5"),
        ("", "", "u"),
        ("-1", "0", "-1"),
    ],
)
def test_no_class_vanishes_because_of_another_sign_in_its_column(tree: Tree, no: tuple[str, str, str]) -> None:
    """CheXpert has -1 where a finding is uncertain."""
    tree.table("labels.csv", "image,cat,dog,fox", marked(tree, "1", no))

    message = stop_of(tree.root)

    sign = next(one for one in no if one not in ("", "0"))
    assert f"its columns cat, dog and fox have 1 as for one class each, but also {sign}, which says neither yes nor no" in message
    assert "ingest.multi_label: combine" in message
    assert counts(list(read(tree.root, multi_label="combine").records)) == {"none": ALL}


def test_rows_without_any_mark_are_unlabelled(tree: Tree) -> None:
    rows = marked(tree, "1", ("0", "0", "0"))
    tree.table("labels.csv", "image,cat,dog,fox,age", [*([*row, 3] for row in rows[:15]), *([row[0], "", "", "", 4] for row in rows[15:])])

    assert counts(list(read(tree.root).records)) == {"none": each(5, *ALL)}


@pytest.mark.parametrize("column", ["Tierart", "species"])
def test_marks_beside_a_column_of_classes_are_none(tree: Tree, column: str) -> None:
    rows = [(one.path, one.label, "x" if one.i % 2 else "", "x" if one.i % 3 else "") for one in tree.pictures("images/{i}.jpg", ALL)]
    tree.table("labels.csv", f"image,{column},night,indoors", rows)

    assert counts(list(read(tree.root).records)) == {"none": ALL}


def test_two_columns_of_yes_and_no_describe_the_picture(tree: Tree) -> None:
    rows = [(one.path, one.label, str(one.i % 2 == 0), str(one.i % 2 == 1)) for one in tree.pictures("images/{i}.jpg", ALL)]
    tree.table("labels.csv", "image,diagnosis,smoke,biopsed", rows)
    assert counts(list(read(tree.root).records)) == {"none": ALL}

    tree.table("labels.csv", "image,smoke,biopsed", [(row[0], *row[2:]) for row in rows])
    assert "smoke" in stop_of(tree.root)


def test_several_marks_in_a_row_stop(tree: Tree) -> None:
    rows = marked(tree, "x", ("", "", ""))
    tree.table("labels.csv", "image,cat,dog,fox", [[*rows[0][:1], "x", "x", ""], *rows[1:]])

    assert "its columns cat, dog and fox have x, as for one class each, but several are 1 for one image" in stop_of(tree.root)


def test_columns_that_no_row_has_all_of_stop_in_a_line(tree: Tree) -> None:
    rows = [
        (one.path, ["1", ""][one.i % 2], ["", "-1", "1"][one.i % 3], ["", "1"][one.i % 2]) for one in tree.pictures("images/{i}.jpg", ALL)
    ]
    tree.table("labels.csv", "image,cat,dog,fox", rows)

    message = stop_of(tree.root)
    assert "its columns cat, dog and fox have 1" in message
    assert advised(message, "multi_label") == "combine"
