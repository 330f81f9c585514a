"""A column without the usual name is taken for the labels only if something speaks for it; otherwise it is asked for, with what to write."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.tables.profiles import asks, says_class, without_number
from tests.layout_trees import Tree, each
from tests.test_layouts import counts, read, stop_of

CATS = each(4, "cat", "dog")


def advised(message: str, key: str) -> Any:
    """The value that a message says to write for a parameter of `ingest`."""
    found = re.search(rf"ingest\.{key}: (\{{.*?\}}|\[.*?\]|\"[^\"]*\"|[\w.]+)", message)
    assert found, message
    return YAML(typ="safe").load(found[1])


def labelled(tree: Tree, column: str, header: str = "file") -> None:
    """Eight pictures, and a table with this column, in which each value is of four of them."""
    rows = [(one.path, one.label) for one in tree.pictures("photos/{i}.jpg", CATS)]
    tree.table("list.csv", f"{header},{column}", rows)


OTHERS = (
    "quality reviewed hospital site notes operator size_kb rating photographer male license camera weather annotated_by label_quality file_type "
    "is_reviewed title url id2 #group? yes 12"
)
CLASSES = (
    "Klasse Fehlerklasse Kategorie espèce catégorie Clase categoría specie espécie rótulo disease cultivar variety emotion expression digit letter "
    "defect_type leafDisease bird_species level Id scientificName has_cactus is_malignant"
)


@pytest.mark.parametrize("column", OTHERS.split())
def test_a_column_is_no_label_only_because_no_other_is_left(tree: Tree, column: str) -> None:
    labelled(tree, column)

    message = stop_of(tree.root)

    assert f"the labels may be in the column {column}" in message
    assert counts(list(read(tree.root, columns=advised(message, "columns")).records)) == {"none": CATS}
    assert advised(message, "columns") == {"path": "file", "label": column}


@pytest.mark.parametrize("column", CLASSES.split())
def test_a_column_that_is_called_after_classes_has_the_labels(tree: Tree, column: str) -> None:
    labelled(tree, column)

    assert counts(list(read(tree.root).records)) == {"none": CATS}


def test_a_column_of_the_names_of_the_class_folders_has_the_labels(tree: Tree) -> None:
    pictures = [*tree.pictures("train/{label}/{i}.jpg", CATS, "train"), *tree.pictures("flat/{i}.jpg", each(2, "cat", "dog"), start=90)]
    tree.table("list.csv", "file,folder", [(one.path, one.label) for one in pictures])

    assert counts(list(read(tree.root).records))["none"] == each(6, "cat", "dog")


def test_a_column_that_a_sample_submission_asks_for_has_the_labels(tree: Tree) -> None:
    labelled(tree, "blooming", "name")
    tree.table("sample_submission.csv", "name,blooming", [("photos/0.jpg", 0.5)])

    assert counts(list(read(tree.root).records)) == {"none": CATS}


def test_a_question_has_the_labels_only_if_nothing_else_is_said(tree: Tree) -> None:
    rows = [(one.path, one.n % 2, one.i + 100) for one in tree.pictures("photos/{i}.jpg", CATS)]
    tree.table("list.csv", "file,has_tail,shot", rows)

    assert "the labels may be in the column has_tail" in stop_of(tree.root)


@pytest.mark.parametrize("names", [("Type1", "Type2"), ("label_1", "label_2"), ("label", "label2"), ("annotator1", "annotator2")])
def test_numbered_columns_are_several_labels(tree: Tree, names: tuple[str, str]) -> None:
    rows = [(one.path, one.label, ("", "cat")[one.n % 2]) for one in tree.pictures("photos/{i}.jpg", CATS)]
    tree.table("list.csv", ",".join(("file", *names)), rows)

    message = stop_of(tree.root)

    assert (
        f"{names[0]} and {names[1]} may have several labels for one image" in message or f"may be in {names[0]} and {names[1]}" in message
    )
    assert counts(list(read(tree.root, columns={"label": names[0]}).records)) == {"none": CATS}


def test_a_numbered_column_that_is_empty_or_says_the_same_is_no_second_label(tree: Tree) -> None:
    rows = [(one.path, one.label, one.label.upper(), "") for one in tree.pictures("photos/{i}.jpg", CATS)]
    tree.table("list.csv", "file,label,label2,label3", rows)

    assert counts(list(read(tree.root).records)) == {"none": CATS}


def test_a_table_that_names_no_image_is_not_to_be_read_by_its_columns(tree: Tree) -> None:
    tree.pictures("photos/{i}.jpg", CATS)
    tree.table("list.csv", "file,label", [(f"scan_{i}.jpg", "cat") for i in range(8)])

    assert "ingest.columns" not in stop_of(tree.root)


@pytest.mark.parametrize(("name", "base"), [("Type1", "type"), ("label_2", "label"), ("annotator 3", "annotator"), ("label", "label")])
def test_the_number_at_the_end_of_a_name_is_taken_off(name: str, base: str) -> None:
    assert without_number(name) == base


def test_words_that_describe_a_picture_outweigh_those_of_classes_but_the_last_word_counts_most() -> None:
    assert [says_class(name) for name in ("image_type", "image_class", "class_date", "quality_label", "")] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert [asks(name) for name in ("has_cactus", "is_valid", "island", "is")] == [True, False, False, False]


def attributed(tree: Tree, cells: Callable[[str], str]) -> None:
    """Eight pictures, and a table in the form of the VGG Image Annotator."""
    pictures = tree.pictures("photos/{i}.jpg", CATS)
    rows = [(one.path.split("/")[1], 900, cells(one.label), 0, 0, "{}", "{}") for one in pictures]
    tree.table("via.csv", "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes", rows)


@pytest.mark.parametrize("write", [json.dumps, str], ids=["JSON", "Python"])
def test_objects_of_one_key_and_a_text_are_labels_if_the_key_says_so(tree: Tree, write: Callable[[object], str]) -> None:
    attributed(tree, lambda label: write({"animal": label}))

    assert counts(list(read(tree.root).records)) == {"none": CATS}


def test_objects_of_one_key_that_says_nothing_of_classes_are_asked_for(tree: Tree) -> None:
    attributed(tree, lambda label: json.dumps({"lens": label}))

    message = stop_of(tree.root)

    assert "the labels may be in the column file_attributes (its lens)" in message
    assert counts(list(read(tree.root, columns=advised(message, "columns")).records)) == {"none": CATS}


def test_a_list_of_one_object_of_one_text_is_that_text(tree: Tree) -> None:
    pictures = tree.pictures("photos/{i}.jpg", CATS)
    tree.lines("list.jsonl", [json.dumps({"file": one.path, "labels": [{"name": one.label}]}) for one in pictures])

    assert counts(list(read(tree.root).records)) == {"none": CATS}


@pytest.mark.parametrize("column", ["label", "attributes"])
@pytest.mark.parametrize("cell", [{"animal": "cat", "sex": "f"}, {"animal": ["cat"]}, {"animal": 1}])
def test_other_objects_are_no_labels(tree: Tree, column: str, cell: dict[str, Any]) -> None:
    rows = [(one.path, json.dumps(cell)) for one in tree.pictures("photos/{i}.jpg", CATS)]
    tree.table("list.csv", f"file,{column}", rows)

    for columns in ({}, {"label": column}):
        message = stop_of(tree.root, columns=columns)
        assert f"{column} has objects of several values, such as {json.dumps(cell)}, which are no classes" in message


def test_objects_of_different_keys_are_no_labels(tree: Tree) -> None:
    rows = [(one.path, json.dumps({("animal", "plant")[one.n % 2]: one.label})) for one in tree.pictures("photos/{i}.jpg", CATS)]
    tree.table("list.csv", "file,label", rows)

    assert "label has objects of different keys, such as animal and plant" in stop_of(tree.root)


@pytest.mark.parametrize("write", [json.dumps, str], ids=["JSON", "Python"])
def test_a_list_of_one_is_a_label_and_of_several_is_refused(tree: Tree, write: Callable[[object], str]) -> None:
    pictures = tree.pictures("photos/{i}.jpg", CATS)
    tree.table("list.csv", "file,label", [(one.path, write([one.label])) for one in pictures])

    assert counts(list(read(tree.root).records)) == {"none": CATS}

    tree.table("list.csv", "file,label", [(one.path, write([one.label, "ill"])) for one in pictures])
    assert "list.csv, line 2: several labels for one image, cat and ill" in stop_of(tree.root)
    assert counts(list(read(tree.root, multi_label="combine").records)) == {"none": each(4, "cat|ill", "dog|ill")}


@pytest.mark.parametrize(
    ("columns", "first"),
    [
        ("Prüfer,Ergebnis", "Ergebnis"),
        ("camera,quality", "quality"),
        ("mag,zone", "zone"),
        ("site,operator,wing", "wing"),
        ("Kamera,Zustand,Ort", "Zustand"),
    ],
)
def test_the_column_that_is_suggested_first_is_the_likeliest(tree: Tree, columns: str, first: str) -> None:
    names = columns.split(",")
    rows = [
        (one.path, *(one.label if name == first else f"{name}{'ab'[one.i // 2 % 2]}" for name in names))
        for one in tree.pictures("photos/{i}.jpg", CATS)
    ]
    tree.table("list.csv", f"file,{columns}", rows)

    message = stop_of(tree.root)

    assert "list.csv, whose label column is unclear: the labels may be in the columns " in message
    assert advised(message, "columns") == {"path": "file", "label": first}


@pytest.mark.parametrize(("written", "meant"), [("label", "Label"), ("fine label", "Fine_Label"), ("lable", "label"), ("Klass", "Klasse")])
def test_a_column_that_is_not_there_is_told_with_the_one_that_is_meant(tree: Tree, written: str, meant: str) -> None:
    labelled(tree, meant)

    assert f"no table of the source has a column {written}. Did you mean {meant}?" in stop_of(tree.root, columns={"label": written})
    assert "Did you mean" not in stop_of(tree.root, columns={"label": "xyz"})


@pytest.mark.parametrize(
    ("written", "meant"),
    [("{clas}/*", "{class}/*"), ("{Split}/{class}/*", "{split}/{class}/*"), ("lastfolder", "last_folder"), ("filename", "file_name")],
)
def test_a_pattern_with_a_slip_is_told_with_what_is_meant(tree: Tree, written: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"Did you mean {re.escape(meant)}\\?"):
        read(tree.root, class_from=written)
    with pytest.raises(ValueError, match="should be auto, first_folder") as stopped:
        read(tree.root, class_from="{kind}/*")
    assert "Did you mean" not in str(stopped.value)
