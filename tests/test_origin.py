"""Where classes, splits and groups come from is said in one line: by `ingest`, on its page, and by `pipeline check`."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.listing.records import Origin
from pipeline.paths import Paths
from pipeline.stages import ingest
from tests.layout_trees import Tree, each
from tests.sample_images import write_class_folders
from tests.test_ingest import configure
from tests.test_layouts import read

CATS = each(4, "cat", "dog")


def rows(tree: Tree, *cells: str) -> list[tuple[str, ...]]:
    """(path, class, …) of eight pictures."""
    return [(one.path, one.label, *cells) for one in tree.pictures("photos/{i}.jpg", CATS)]


def folders(tree: Tree) -> None:
    tree.pictures("{label}/{i}.jpg", CATS)


def split_folders(tree: Tree) -> None:
    for split in ("train", "test"):
        tree.pictures(f"{split}/{{label}}/{{i}}.jpg", CATS)


def splits_below(tree: Tree) -> None:
    for split in ("train", "test"):
        tree.pictures(f"{{label}}/{split}/{{i}}.jpg", CATS)


def names(tree: Tree) -> None:
    tree.pictures("{label}_{i}.jpg", CATS)


def skin(tree: Tree) -> None:
    tree.table("HAM10000_metadata.csv", "image_id,dx,lesion_id", rows(tree, "HAM_1"))


def list_without_names(tree: Tree) -> None:
    tree.lines("train.txt", [" ".join(row) for row in rows(tree)])


def column_of_splits(tree: Tree) -> None:
    tree.table("t.csv", "file,label,subset", [(*row, ("train", "test")[i // 2 % 2]) for i, row in enumerate(rows(tree))])


def one_hot(tree: Tree) -> None:
    tree.table("t.csv", "file,cat,dog", [(path, int(label == "cat"), int(label == "dog")) for path, label in rows(tree)])


def table_and_folders(tree: Tree) -> None:
    pictures = tree.pictures("{label}/{i}.jpg", CATS)
    tree.table("t.csv", "file,label", [(one.path, one.label) for one in pictures])


def table_per_split(tree: Tree) -> None:
    for split, start in (("train", 0), ("test", 50)):
        tree.table(f"{split}.csv", "file,label", [(one.path, one.label) for one in tree.pictures("p/{i}.jpg", CATS, start=start)])


def lists_of_splits(tree: Tree) -> None:
    paths = [one.path for one in tree.pictures("{label}/{i}.jpg", CATS)]
    tree.lines("train.txt", paths[::2])
    tree.lines("test.txt", paths[1::2])


def json_values(tree: Tree) -> None:
    tree.json("labels.json", {path: label for path, label, *_ in rows(tree)})


def objects(tree: Tree) -> None:
    tree.table("via.csv", "filename,file_attributes", [(path, json.dumps({"animal": label})) for path, label in rows(tree)])


def two_labels_in_parquet(tree: Tree) -> None:
    content = io.BytesIO()
    Image.new("L", (4, 4)).save(content, "PNG")
    columns = {"img": [content.getvalue()] * 8, "fine_label": [0, 1, 2, 3] * 2, "coarse_label": [0, 0, 1, 1] * 2}
    pq.write_table(pa.table(columns), tree.root / "d.parquet")


HELD_OUT = "; 20 % held out as test, by a hash of the pixels or the group"


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (folders, "classes from the folders" + HELD_OUT),
        (split_folders, "classes from the folders below test/ and train/, splits from the folders"),
        (splits_below, "classes from the folders above those of the splits, splits from the folders"),
        (names, "classes from the names of the files, such as cat from cat_0.jpg" + HELD_OUT),
        (skin, "classes from column dx of HAM10000_metadata.csv, groups from column lesion_id" + HELD_OUT),
        (list_without_names, "classes from column 2 of train.txt" + HELD_OUT),
        (column_of_splits, "classes from column label of t.csv, splits from column subset"),
        (one_hot, "classes from columns cat and dog of t.csv" + HELD_OUT),
        (table_and_folders, "classes from the class folders and column label of t.csv" + HELD_OUT),
        (table_per_split, "classes from column label of test.csv and train.csv, splits from the names of the tables"),
        (lists_of_splits, "classes from the folders, splits from test.txt and train.txt"),
        (json_values, "classes from the values of labels.json" + HELD_OUT),
        (objects, "classes from animal in column file_attributes of via.csv" + HELD_OUT),
        (two_labels_in_parquet, "classes from column fine_label of the Parquet files" + HELD_OUT),
    ],
    ids=lambda value: getattr(value, "__name__", "-"),
)
def test_a_reading_says_where_classes_splits_and_groups_come_from(tree: Tree, build: Callable[[Tree], None], sentence: str) -> None:
    build(tree)
    reading = read(tree.root).reading

    assert reading is not None
    assert reading.origin_of_all(0.2) == sentence


def test_a_pattern_and_a_chosen_folder_are_named(tree: Tree) -> None:
    split_folders(tree)
    by_pattern = read(tree.root, class_from="{split}/{class}/*").reading
    by_folder = read(tree.root, class_from="last_folder").reading

    assert by_pattern is not None
    assert by_folder is not None
    assert by_pattern.origin_of_all(0.2) == "classes from the paths by {split}/{class}/*, splits from the same"
    assert by_folder.origin_of_all(0.2) == "classes from the folders below test/ and train/ (last folder), splits from the folders"


def test_what_comes_from_one_place_is_said_once() -> None:
    assert Origin("NumPy arrays", "NumPy arrays").sentence == "classes and splits from NumPy arrays"


def test_ingest_says_it_and_its_page_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_class_folders(tmp_path / "animals")
    paths = Paths(tmp_path / "project")

    ingest.run(configure(tmp_path / "animals"), paths, None)

    assert capsys.readouterr().out == f"ingest: classes from the folders{HELD_OUT}\n"
    assert f"classes from the folders{HELD_OUT}" in (paths.stage("ingest") / "report.html").read_text(encoding="utf-8")
