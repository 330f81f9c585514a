"""Ways out of a stop: those that do not read the source are not shown; where one takes two parameters, both are."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError, SourceError
from pipeline.listing.opening import Options, list_source
from pipeline.params.ingest import Ingest
from pipeline.sources.trials import MOST_TRIALS, Outcome, with_ways_that_work
from pipeline.two_readings import two_readings
from pipeline.ways_out import Way, exactly, in_yaml, undecided
from tests.layout_trees import Tree, each
from tests.test_layouts import counts, faults_of, ingest, read, ways_in

CATS = each(6, "cat", "dog")
FIRST, LAST = {"class_from": "first_folder"}, {"class_from": "last_folder"}


def stop_of(path: Path, **settings: Any) -> str:
    with pytest.raises(SourceError) as stopped:
        read(path, **settings)
    return str(stopped.value).replace(str(path), "SOURCE")


class Attempts:
    """A source that is read with some settings alone: by (class_from, ignore, format) the outcome, or the error."""

    def __init__(self, outcomes: Mapping[tuple[str, tuple[str, ...], str], str | PipelineError]) -> None:
        self.outcomes = outcomes
        self.tried: list[tuple[str, tuple[str, ...], str]] = []

    def __call__(self, settings: Ingest) -> Outcome:
        key = (settings.class_from, tuple(settings.ignore), settings.format)
        self.tried.append(key)
        found = self.outcomes.get(key, SourceError("not read"))
        if isinstance(found, PipelineError):
            raise found
        return {(None, found): 1}, ""


def test_a_way_that_does_not_read_the_source_is_not_shown() -> None:
    stop = two_readings(Path("set"), "two levels", [Way("2 classes, a and b", FIRST), Way("2 classes, c and d", LAST)])
    attempts = Attempts({("last_folder", (), "auto"): "c"})

    error = with_ways_that_work(stop, ingest("set"), attempts, 0)

    assert str(error) == (
        "ingest.source: set: two levels. One reading is possible: 2 classes, c and d: set ingest.class_from: last_folder."
    )


def test_where_no_way_reads_the_source_the_data_are_to_be_changed() -> None:
    stop = two_readings(Path("set"), "two levels", [Way("2 classes, a and b", FIRST)])

    assert str(with_ways_that_work(stop, ingest("set"), Attempts({}), 0)) == (
        "ingest.source: set: two levels. Put the images of each class into a folder of its own, or add a table of paths and labels (docs/data.md)."
    )


def test_what_the_next_stop_asks_for_is_shown_with_the_first_parameter() -> None:
    further = two_readings(Path("set"), "levels", [Way("2 classes, a and b", FIRST), Way("2 classes, c and d", LAST)])
    stop = undecided("Copies.", [Way("leave them out", {"ignore": ["x"]}), Way("rename them")])
    attempts = Attempts({("auto", ("x",), "auto"): further, ("first_folder", ("x",), "auto"): "a"})

    assert str(with_ways_that_work(stop, ingest("set"), attempts, 0)) == (
        'Copies. Leave them out with ingest.ignore: ["x"] and ingest.class_from: first_folder (2 classes, a and b), or rename them.'
    )


def test_a_parameter_that_changes_nothing_is_not_asked_for() -> None:
    further = two_readings(Path("set"), "levels", [Way("2 classes, a and b", FIRST)])
    stop = undecided("A table.", [Way("leave it out", {"ignore": ["t.csv"]}), Way("go by the folders", {"format": "folders"})])
    outcomes: dict[tuple[str, tuple[str, ...], str], str | PipelineError] = {
        ("auto", ("t.csv",), "auto"): further,
        ("auto", (), "folders"): further,
        ("first_folder", ("t.csv",), "auto"): "a",
        ("first_folder", (), "folders"): "a",
        ("first_folder", (), "auto"): "a",
    }

    assert str(with_ways_that_work(stop, ingest("set"), Attempts(outcomes), 0)) == (
        "A table. Set ingest.class_from: first_folder (2 classes, a and b)."
    )


def test_a_stop_that_always_leads_to_the_next_is_not_followed_for_ever() -> None:
    def attempt(settings: Ingest) -> Outcome:
        tried.append(settings)
        raise undecided("Again.", [Way("leave it out", {"ignore": [f"{len(tried)}{sign}"]}) for sign in "abc"])

    tried: list[Ingest] = []
    stop = undecided("Copies.", [Way("leave it out", {"ignore": ["x"]})] * 3)

    assert str(with_ways_that_work(stop, ingest("set"), attempt, 0)).startswith("Copies. Put the images")
    assert len(tried) <= MOST_TRIALS


def test_nothing_is_tried_where_a_reading_takes_long() -> None:
    attempts = Attempts({})
    stop = undecided("A table.", [Way("leave it out", {"ignore": ["t.csv"]})])

    assert str(with_ways_that_work(stop, ingest("set"), attempts, 60)) == 'A table. Leave it out with ingest.ignore: ["t.csv"].'
    assert attempts.tried == []


def test_what_is_ignored_already_stays_ignored_in_what_is_shown(tree: Tree) -> None:
    tree.pictures("{label}/{i}.jpg", each(6, "cat", "dog", "fox"))
    tree.pictures("cat_old/{i}.jpg", {"x": 4})

    assert 'ingest.ignore: ["fox", "cat_old"]' in stop_of(tree.root, ignore=["fox"])


def test_a_folder_with_signs_of_globs_in_its_name_is_left_out_as_shown(tree: Tree) -> None:
    tree.pictures("{label}/{i}.jpg", CATS)
    tree.pictures("[1] unlabeled/{i}.jpg", {"x": 4})

    (ignoring, _) = ways_in(stop_of(tree.root))

    assert counts(list(read(tree.root, **ignoring).records)) == {"none": CATS}


def test_folders_beside_those_of_splits_are_ignored_where_a_pattern_has_a_split(tree: Tree) -> None:
    """As in VLCS: site/split/class, with splits of other names."""
    for site in ("caltech", "sun"):
        for split in ("train", "test", "full"):
            tree.pictures(f"top/{site}/{split}/{{label}}/{{i}}.jpg", each(3, "bird", "car"))

    message = stop_of(tree.root)

    assert '"top/*/{split}/{class}/*" and ingest.ignore: ["*/full"]' in message
    assert len(ways_in(message)) == 2
    assert faults_of(tree.root, ways_in(message)) == []


@pytest.mark.parametrize(
    ("folders", "way"),
    [
        (("cat_train", "cat_test", "dog_train", "dog_test"), 'set ingest.class_from: "{class}_{split}/*"'),
        (("train-cat", "test-cat", "train-dog", "test-dog"), 'set ingest.class_from: "{split}-{class}/*"'),
        (("trainA", "testA", "trainB", "testB"), "if the images of each folder are moved, such as those of testA/ into test/a/"),
    ],
)
def test_class_and_split_in_one_name_are_told_by_a_pattern_that_fits(tree: Tree, folders: tuple[str, ...], way: str) -> None:
    for folder in folders:
        tree.pictures(f"{folder}/{{i}}.jpg", {"x": 4})

    message = stop_of(tree.root)

    assert way in message
    assert faults_of(tree.root, ways_in(message)) == []


def test_copies_of_classes_are_not_advised_as_a_class(tree: Tree) -> None:
    tree.pictures("{label}/{i}.jpg", CATS)
    for path in [*tree.root.rglob("*.jpg")]:
        copy = tree.root / "all" / path.relative_to(tree.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())

    assert ways_in(stop_of(tree.root)) == [{"ignore": ["all"]}]


def test_tables_are_not_left_for_folders_that_are_of_one_class(tree: Tree) -> None:
    pictures = tree.pictures("images/{i}.jpg", CATS)
    tree.table("labels.csv", "image,label", [(one.path, one.label) for one in pictures])
    tree.table("labels_v2.csv", "image,label", [(one.path, ("cat", "dog")[one.i // 2 % 2]) for one in pictures])

    assert ways_in(stop_of(tree.root)) == [{"ignore": ["labels_v2.csv"]}]


@pytest.mark.parametrize("ignore", [["fox"], ["fox/*"], ["**/*.txt"], ["*/1.jpg", "cat"], ["empty"], ["deep/*/x"]], ids=str)
def test_a_list_without_some_files_is_that_of_a_source_that_ignores_them(tree: Tree, ignore: list[str], tmp_path: Path) -> None:
    tree.pictures("{label}/{i}.jpg", each(3, "cat", "dog", "fox"))
    tree.pictures("deep/a/x/{i}.jpg", {"x": 2})
    (tree.root / "cat" / "notes.txt").write_text("a")
    (tree.root / "empty").mkdir()

    shortened = list_source(tree.root, Options(), tmp_path).without(ignore)
    listed = list_source(tree.root, Options(ignore=tuple(ignore)), tmp_path)

    assert [(folder.path, folder.names, folder.others) for folder in shortened.folders.values()] == [
        (folder.path, folder.names, folder.others) for folder in listed.folders.values()
    ]
    assert shortened.empty == listed.empty


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("first_folder", "first_folder"),
        ("{class}_*", '"{class}_*"'),
        ("no", '"no"'),
        (True, "true"),
        (["a b", "ä"], '["a b", "ä"]'),
        ({"path": "my file", "label": "1"}, '{path: my file, label: "1"}'),
    ],
)
def test_values_are_written_as_yaml(value: Any, text: str) -> None:
    assert in_yaml(value) == text


def test_a_path_as_a_glob_matches_itself_alone() -> None:
    assert json.dumps(exactly(["a[1]*?"])) == '["a[[]1][*][?]"]'
