"""Labels that people write where there is none yet stop a run; what the stop advises works, in a table as in folders and Parquet."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.quality.class_names import not_labelled
from tests.layout_trees import Tree, each
from tests.source_trees import left_out
from tests.test_layouts import counts, read, stop_of

CATS = each(4, "cat", "dog")


def test_the_stop_shows_both_readings_and_each_can_be_had(tree: Tree) -> None:
    pictures = tree.pictures("photos/{i}.jpg", {**CATS, "TODO": 2, "?": 1})
    tree.table("list.csv", "file,label", [(one.path, one.label) for one in pictures])

    message = stop_of(tree.root)

    assert "the labels ? (1 image) and TODO (2 images) may say that an image has none yet" in message
    assert "(1) 2 classes, cat and dog, without these images: set ingest.placeholder: reject" in message
    assert "(2) 4 classes, ?, TODO, cat and dog: set ingest.placeholder: keep" in message
    without = read(tree.root, placeholder="reject")
    assert counts(list(without.records)) == {"none": CATS}
    assert {kind for _, kind, _ in left_out(without)} == {"unlabelled"}
    assert [reason.partition(": ")[2] for _, _, reason in left_out(without)].count("TODO is no label") == 2
    assert counts(list(read(tree.root, placeholder="keep").records)) == {"none": {**CATS, "TODO": 2, "?": 1}}


def test_a_placeholder_of_test_images_alone_is_no_class_without_training_images(tree: Tree) -> None:
    pictures = [(one, "train") for one in tree.pictures("a/{i}.jpg", CATS)]
    pictures += [(one, "test") for one in tree.pictures("a/{i}.jpg", each(2, "cat", "dog", "tbd"), start=50)]
    tree.table("list.csv", "file,label,split", [(one.path, one.label, split) for one, split in pictures])

    assert "the label tbd (2 images) may say" in stop_of(tree.root)
    assert counts(list(read(tree.root, placeholder="reject").records)) == {"train": CATS, "test": each(2, "cat", "dog")}


def test_a_folder_can_be_called_so_too(tree: Tree) -> None:
    tree.pictures("{label}/{i}.jpg", {**CATS, "xxx": 3})

    message = stop_of(tree.root)

    assert "the label xxx (3 images) may say" in message
    assert counts(list(read(tree.root, placeholder="reject").records)) == {"none": CATS}
    for settings in ({"placeholder": "keep"}, {"class_from": "first_folder"}):
        assert counts(list(read(tree.root, **settings).records)) == {"none": {**CATS, "xxx": 3}}


def test_files_of_many_images_are_treated_alike(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("L", (4, 4)).save(content, "PNG")
    labels = ["cat", "dog", "unlabelled", "cat", "dog"]
    pq.write_table(pa.table({"image": [content.getvalue()] * 5, "label": labels}), tmp_path / "d.parquet")

    assert "ingest.placeholder: reject" in stop_of(tmp_path / "d.parquet")
    source = read(tmp_path / "d.parquet", placeholder="reject")
    assert counts(list(source.records)) == {"none": each(2, "cat", "dog")}
    assert [one.reason for one in source.left_out] == ["unlabelled is no label"]


@pytest.mark.parametrize(
    "name", ["TODO", "to do", "To_Do", "TBD", "?", "???", "n/a", "N/A", "unlabeled", "not yet labelled", "-", "--", "XXX", "…"]
)
def test_a_word_or_sign_that_stands_for_a_missing_label_is_none(name: str) -> None:
    assert not_labelled(["cat", "dog", name]) == [name]


@pytest.mark.parametrize("name", ["None", "NA", "nan", "null", "unknown", "other", "unclear", "x", "missing", "-1", "0", "no", "todos"])
def test_a_word_that_may_be_a_class_is_a_class(name: str) -> None:
    assert not_labelled(["cat", "dog", name]) == []


def test_signs_are_classes_among_signs() -> None:
    assert not_labelled(["+", "-", "=", "0", "1", "?", "div"]) == []
    assert not_labelled(["+", "-"]) == []
    assert not_labelled(["0", "1", "?"]) == ["?"]
    assert not_labelled(["0", "1", "-"]) == []
    assert not_labelled(["TODO", "?"]) == []
