"""Series of one sample in class folders are named, and what is advised keeps the images of each together."""

import re

import pytest

from tests.layout_trees import Tree
from tests.test_layouts import counts, read

LAYERS = "{label}/sample{k}_z{j:02}.tif"


def write(tree: Tree, template: str, series: int = 3, each: int = 3) -> None:
    """Pictures of two classes, each of some series of some images."""
    parts = ("DAPI", "GFP", "RFP")
    for label in ("control", "treated"):
        for k in range(series):
            for j in range(each):
                tree.picture(template.format(label=label, k=k, j=j, n=each * k + j, part=parts[j]), label)


def said(tree: Tree) -> list[str]:
    return [one.reason for one in read(tree.root).left_out if one.finding == "series"]


@pytest.mark.parametrize(
    ("template", "pattern"),
    [
        (LAYERS, "{class}/{group}_*"),
        ("{label}/img{k}_{part}.tif", "{class}/{group}_*"),
        ("{label}/v_{label}_g{k:02}_c01_{j:04}.jpg", "{class}/{group}_*"),
        ("{label}/patient{k}-{j}.jpg", "{class}/{group}-*"),
        ("{label}/slide{k}.{j}.png", "{class}/{group}.*.png"),
        ("{label}/eye {k} {part}.jpg", "{class}/{group} *"),
        ("train/{label}/sample{k}_z{j}.png", "{class}/{group}_*"),
    ],
)
def test_a_series_is_named_and_the_advised_pattern_keeps_it_together(tree: Tree, template: str, pattern: str) -> None:
    write(tree, template)

    (reason,) = said(tree)

    assert "by their names, 18 images are of 6 series, such as the 3 of " in reason
    advised = re.search(r'ingest\.class_from: "(.*?)"', reason)
    assert advised
    assert advised[1] == pattern
    before, after = list(read(tree.root).records), list(read(tree.root, class_from=pattern).records)
    assert counts(after) == counts(before)
    sizes = {group: sum(record.group == group for record in after) for group in {record.group for record in after}}
    assert set(sizes.values()) <= {3, 6}
    assert None not in sizes


def test_splits_in_folders_stay_as_they_are(tree: Tree) -> None:
    for split in ("seg_train", "seg_test"):
        write(tree, f"{split}/{LAYERS}")

    (reason,) = said(tree)

    assert "name it in a table, in a column group" in reason


@pytest.mark.parametrize(
    "template",
    [
        "{label}/IMG_{n:04}.jpg",
        "{label}/scratch ({n}).jpg",
        "{label}/{label}.{n}.jpg",
        "{label}/{n}.png",
        "{label}/n0144{label}_{n}.jpg",
        "{label}/{label}_{n:04}_{n}9.jpg",
        "{label}/IMG_2024010{k}_{j:06}.jpg",
        "{label}/red car_{n}.jpg",
    ],
)
def test_plain_numbers_dates_and_words_are_no_series(tree: Tree, template: str) -> None:
    write(tree, template)

    assert said(tree) == []


def test_two_series_or_few_images_in_series_are_not_named(tree: Tree) -> None:
    write(tree, LAYERS, series=2)
    assert said(tree) == []

    write(tree, LAYERS, series=3)
    for i in range(10):
        tree.picture(f"control/{i}.jpg", "control")
    assert said(tree) == []


def test_groups_of_a_table_are_enough(tree: Tree) -> None:
    write(tree, LAYERS)
    paths = sorted(str(file.relative_to(tree.root)) for file in tree.root.rglob("*.tif"))
    tree.table("samples.csv", "file,patient_id", [(path, path.partition("_")[0]) for path in paths])

    assert said(tree) == []


def told(tree: Tree) -> list[str]:
    return [one.reason for one in read(tree.root, format="table").left_out if one.finding == "series"]


def labelled(tree: Tree, template: str, count: int = 5) -> None:
    """Twenty pictures in folders by number, and a table of their paths and labels."""
    rows = []
    for i in range(20):
        path = template.format(k=i % count, n=i, label="sick" if i % count % 2 else "well")
        tree.picture(path, "sick" if i % count % 2 else "well")
        rows.append((path, "sick" if i % count % 2 else "well"))
    tree.table("labels.csv", "Path,label", rows)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("train/patient{k:05}/study1/view{n}.jpg", "patient00000"),
        ("images/p{k:02}/{n}.png", "p00"),
        ("subject_{k}/{n}.jpg", "subject_0"),
        ("data/Video{k}/frames/{n}.jpg", "Video0"),
        ("{label}s/s{k}/{n}.jpg", "s0"),
    ],
)
def test_persons_in_the_paths_of_a_table_are_named_with_the_column_that_keeps_them_together(tree: Tree, template: str, name: str) -> None:
    labelled(tree, template)

    (reason,) = told(tree)

    last = re.sub("0$", "4", name)
    assert f"20 images are of 5 persons or the like, such as the 4 of {last}: images of one may be in train and in test" in reason
    assert "into a column group of labels.csv" in reason
    lines = (tree.root / "labels.csv").read_text().splitlines()
    part = next(i for i, word in enumerate(lines[1].split(",")[0].split("/")) if word == name)
    grouped = ["Path,label,group", *(f"{line},{line.split('/')[part]}" for line in lines[1:])]
    tree.lines("labels.csv", grouped)
    assert told(tree) == []
    assert len({record.group for record in read(tree.root, format="table").records}) == 5


@pytest.mark.parametrize(
    "template",
    [
        "images_{k:03}/{n}.png",
        "part{k}/{n}.png",
        "{k}/{n}.png",
        "all/{n}.png",
        "batch_{k}/images/{n}.png",
        "HAM_images_part_{k}/{n}.jpg",
        "img{k}/{n}.jpg",
    ],
)
def test_parts_of_a_set_in_the_paths_of_a_table_are_no_persons(tree: Tree, template: str) -> None:
    labelled(tree, template)

    assert told(tree) == []
