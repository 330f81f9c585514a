"""Tables of paths and labels: CSV, TSV, JSON lines and Parquet, as people and spreadsheets write them."""

import json
import os
import pickle
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import SourceError
from pipeline.sources.layouts import open_source
from pipeline.sources.records import LeftOut


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def table(root: Path, text: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding=encoding)
    return root / name


def found(path: Path) -> list[tuple[str, str, str | None, str | None]]:
    return [(record.path, record.label, record.split, record.group) for record in open_source(path).records]


def left_out(path: Path) -> list[LeftOut]:
    source = open_source(path)
    list(source.records)
    return source.left_out


AB = [("a.png", "cat", None, None), ("b.png", "dog", None, None)]


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("labels.csv", "path,label\nb.png,dog\na.png,cat\n", "utf-8"),
        ("labels.csv", "id;FileName;Class\r\n1;b.png;dog\r\n2;a.png;cat", "utf-8-sig"),
        ("labels.csv", '\n"image", "label", "note"\n"a.png", "cat", "x, ""y"""\n\n"b.png", " dog ", "two\nlines"\n', "utf-8"),
        ("labels.tsv", "image\ttarget\nb.png\tdog\n./a.png\tcat\n", "utf-8"),
        ("labels.csv", "image path|class name\nb.png|dog\na.png|cat\n", "utf-8"),
        ("labels.jsonl", '{"file": "b.png", "label": "dog"}\n\n{"label": "cat", "file": "a.png", "boxes": [[1, 2]]}\n', "utf-8"),
        ("labels.ndjson", '{"file": "b.png", "label": "dog"}\n{"file": "a.png", "label": "cat"}', "utf-8-sig"),
    ],
)
def test_tables_of_text_are_read_in_the_order_of_the_paths(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    write(tmp_path, "a.png", "b.png")

    assert found(table(tmp_path, text, name, encoding)) == AB


def test_a_parquet_table_is_read(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png")
    columns = {"path": ["b.png", "a.png"], "label": pa.array(["dog", "cat"]).dictionary_encode(), "vector": [[1.0], [2.0]]}
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")

    assert found(tmp_path / "list.parquet") == AB


def test_a_record_reads_its_file_also_from_another_process(tmp_path: Path) -> None:
    write(tmp_path, "images/a.png", "images/b.png")

    record, _ = open_source(table(tmp_path, "path,label\nimages/a.png,1\nimages/b.png,2\n")).records

    assert (record.size_bytes, pickle.loads(pickle.dumps(record)).read()) == (12, b"images/a.png")


def test_splits_and_groups_are_taken_where_there_are_images_to_test_on(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png", "c.png")
    text = "path,label,split,patient_id\na.png,cat,Training,7\nb.png,dog,{},\nc.png,dog,,8\n"

    assert found(table(tmp_path, text.format("test"))) == [
        ("a.png", "cat", "train", "7"),
        ("b.png", "dog", "test", None),
        ("c.png", "dog", None, "8"),
    ]
    assert [split for _, _, split, _ in found(table(tmp_path, text.format("val")))] == [None, "validation", None]


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "9", "9"], ["9", "10"]),
        ([10, 9, 9], ["9", "10"]),
        ([10.0, None, 9.0], ["9", "10"]),
        (["10.0", "9.0", "9"], ["9", "10"]),
        (["10", "9", "x"], None),
        ([True, False, False], None),
    ],
)
def test_whole_numbers_are_classes_in_the_order_of_the_numbers(tmp_path: Path, labels: list[object], order: list[str] | None) -> None:
    write(tmp_path, "0.png", "1.png", "2.png")
    lines = [json.dumps({"path": f"{i}.png", "label": label}) for i, label in enumerate(labels)]

    assert open_source(table(tmp_path, "\n".join(lines), "t.jsonl")).class_names == order


def test_names_of_classes_are_preferred_to_their_numbers(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png")

    assert found(table(tmp_path, "path,label,class_name\na.png,0,cat\nb.png,1,dog\n")) == AB


def test_rows_without_a_file_in_the_folder_are_left_out_and_nothing_special_is_opened(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root, "a.png", "b.png", "folder/c.png")
    write(tmp_path, "secret.png", "outside/d.png")
    os.mkfifo(root / "fifo.png")
    (root / "out.png").symlink_to(tmp_path / "secret.png")
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "inner.png").symlink_to(root / "a.png")
    rows = ["a.png", "b.png", "inner.png", "gone.png", "../secret.png", str(tmp_path / "secret.png"), "C:\\x.png"]
    rows += ["out.png", "linked/d.png", "fifo.png", "folder", "a.png/x.png"]
    path = table(root, "path,label\n" + "".join(f"{row},{i % 2}\n" for i, row in enumerate(rows)) + "b.png,\n,1\n")
    source = open_source(path)

    assert [record.path for record in source.records] == ["a.png", "b.png", "inner.png"]
    assert {(entry.path, entry.finding) for entry in source.left_out} == {
        ("gone.png", "missing"),
        ("a.png/x.png", "missing"),
        ("../secret.png", "escaping"),
        (str(tmp_path / "secret.png"), "escaping"),
        ("C:/x.png", "escaping"),
        ("out.png", "link"),
        ("linked/d.png", "link"),
        ("fifo.png", "special"),
        ("folder", "special"),
        ("b.png", "stray"),
        ("labels.csv", "stray"),
    }


def test_paths_of_windows_and_absolute_paths_in_the_folder_are_understood(tmp_path: Path) -> None:
    write(tmp_path, "x/a.png", "x/b.png")

    assert [path for path, *_ in found(table(tmp_path, f"path,label\nx\\a.png,1\n{tmp_path}/x/b.png,2\n"))] == ["x/a.png", "x/b.png"]


def test_an_accent_may_be_written_in_another_way_than_on_the_disk(tmp_path: Path) -> None:
    composed, decomposed = "é.png", unicodedata.normalize("NFD", "é.png")
    write(tmp_path, decomposed, "b.png")

    assert [path for path, *_ in found(table(tmp_path, f"path,label\n{composed},1\nb.png,2\n"))] == ["b.png", composed]


def test_a_path_listed_twice_counts_once_and_with_two_labels_not_at_all(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png", "c.png", "d.png")
    rows = ["a.png,cat,", "b.png,dog,", "./a.png,cat,", "c.png,cat,", "c.png,dog,", "d.png,dog,test", "d.png,dog,train"]
    path = table(tmp_path, "path,label,split\n" + "\n".join(rows))

    assert found(path) == AB
    assert left_out(path) == [
        LeftOut("a.png", "name_clash", "labels.csv, line 4: listed before, in labels.csv, line 2"),
        LeftOut("c.png", "name_clash", "labels.csv, line 5: listed as cat and as dog"),
        LeftOut("c.png", "name_clash", "labels.csv, line 6: listed as cat and as dog"),
        LeftOut("d.png", "name_clash", "labels.csv, line 7: listed as test and as train"),
        LeftOut("d.png", "name_clash", "labels.csv, line 8: listed as test and as train"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.csv", b"name,kind\na.png,cat\n", r"t\.csv has no column for paths and labels\. .*Found: name, kind\."),
        ("t.csv", b"path,kind\na.png,cat\n", "has no column for labels"),
        ("t.csv", b"", "has no column for paths and labels.*Found: none"),
        ("t.csv", b"path,label\n", "should list images of two or more classes; found 0 rows"),
        ("t.csv", b"path,label\na.png,cat\n", "all are of one class, cat"),
        (
            "t.csv",
            b"path,label,split\n\na.png,cat,train\nb.png,dog,holdout\n",
            r"t\.csv, line 4: 'holdout' is no split\. Expected one of train",
        ),
        ("t.csv", b"path,label\na,b.png,dog\n", r"line 2: 3 fields, but the first line has 2\. Put a field that has a ','"),
        ("t.csv", b'path,label\n"a.png,cat\nb.png,dog\n', "is no table: unexpected end of data. Is a double quote missing"),
        ("t.csv", "path,label\na.png,Größe\n".encode("latin-1"), "is not UTF-8 text"),
        ("t.csv", "path,label\na.png,x\n".encode("utf-16"), "is not UTF-8 text"),
        ("t.jsonl", b'{"path": "a.png", "label": 1}\n{"path": ', "line 2 is no JSON"),
        ("t.jsonl", b'["a.png", 1]\n', "line 1: expected an object"),
        ("t.jsonl", b'{"path": "a.png", "label": ["x", "y"]}\n', "line 1: expected one label, split or group, found"),
        ("t.jsonl", b'{"path": 7, "label": 1}\n', "line 1: expected a path, found 7"),
        ("t.jsonl", rb'{"path": "\ud83d.png", "label": 1}', "line 1 is no JSON"),
        ("t.parquet", b"PAR1 not really", r"t\.parquet cannot be read as Parquet"),
    ],
)
def test_a_table_that_cannot_be_understood_is_one_line(tmp_path: Path, name: str, text: bytes, words: str) -> None:
    write(tmp_path, "a.png", "b.png")
    (tmp_path / name).write_bytes(text)

    with pytest.raises(SourceError, match=words) as error:
        open_source(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_table_beside_its_images_is_found(tmp_path: Path) -> None:
    write(tmp_path, "images/a.png", "images/b.png")
    table(tmp_path, "file_name,label\nimages/a.png,cat\nimages/b.png,dog\n", "metadata.csv")
    table(tmp_path, "day,loss\n1,2\n", "log.csv")

    assert [label for _, label, _, _ in found(tmp_path)] == ["cat", "dog"]


def test_tables_that_are_called_after_splits_or_lie_in_their_folders_are_taken_together(tmp_path: Path) -> None:
    write(tmp_path / "hub", "train/a.png", "train/b.png", "test/a.png")
    table(tmp_path / "hub", "file_name,label\na.png,cat\nb.png,dog\n", "train/metadata.csv")
    table(tmp_path / "hub", '{"file_name": "a.png", "label": "dog"}', "test/metadata.jsonl")
    write(tmp_path / "names", "i/a.png", "i/b.png")
    table(tmp_path / "names", "path,label\ni/a.png,cat\n", "train.csv")
    table(tmp_path / "names", "path,label\ni/b.png,dog\n", "test.csv")

    assert found(tmp_path / "hub") == [
        ("test/a.png", "dog", "test", None),
        ("train/a.png", "cat", "train", None),
        ("train/b.png", "dog", "train", None),
    ]
    assert found(tmp_path / "names") == [("i/a.png", "cat", "train", None), ("i/b.png", "dog", "test", None)]


NOT_READ = "a table that was not read: {}; the folders' names are the classes"


@pytest.mark.parametrize(
    ("text", "encoding", "reason"),
    [
        ("path,label\nbatch1/a.png,Größe\n", "latin-1", "labels.csv is not UTF-8 text. Save it as UTF-8 (in Excel: CSV UTF-8)"),
        (
            "path,label,split\nbatch1/a.png,cat,fold0\nbatch2/b.png,dog,fold1\n",
            "utf-8",
            "labels.csv, line 2: 'fold0' is no split. Expected one of train, training, test, testing, val, valid, validation, or nothing. "
            "Rename the column if it says something else",
        ),
        ("path,label\na.png,cat\nb.png,dog\n", "utf-8", "no file that labels.csv lists is there, for example a.png"),
        ("path,label\nbatch1/a.png,1\nbatch2/b.png,2\n", "utf-8", "its labels go by the folders"),
    ],
)
def test_a_table_that_class_folders_win_over_is_left_out_by_name(tmp_path: Path, text: str, encoding: str, reason: str) -> None:
    write(tmp_path, "batch1/a.png", "batch1/c.png", "batch2/b.png")
    table(tmp_path, text, encoding=encoding)

    assert {label for _, label, _, _ in found(tmp_path)} == {"batch1", "batch2"}
    assert left_out(tmp_path) == [LeftOut("labels.csv", "stray", NOT_READ.format(reason))]


def test_two_tables_that_class_folders_win_over_are_both_left_out(tmp_path: Path) -> None:
    write(tmp_path, "batch1/a.png", "batch2/b.png")
    for name in ("one.csv", "two.csv"):
        table(tmp_path, "path,label\nbatch1/a.png,cat\nbatch2/b.png,dog\n", name)

    first, second = left_out(tmp_path)

    assert (first.path, second.path) == ("one.csv", "two.csv")
    assert first.reason.startswith(
        f"a table that was not read: {tmp_path.name} has more than one table: one.csv, two.csv. Name one of them"
    )


def test_images_that_no_table_of_a_folder_lists_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "i/a.png", "i/b.png", "i/c.PNG", "d.jpg", "README.md", ".hidden/e.png", "i/é.png", "i/f.png")
    path = table(tmp_path, f"path,label\ni/a.png,1\ni\\b.png,2\ni/{unicodedata.normalize('NFD', 'é')}.png,2\ni/f.png,\n")

    assert sorted(left_out(tmp_path)) == [
        LeftOut("d.jpg", "stray", "no table lists it"),
        LeftOut("i/c.PNG", "stray", "no table lists it"),
        LeftOut("i/f.png", "stray", "labels.csv, line 5: no label"),
    ]
    assert [entry.path for entry in left_out(path)] == ["i/f.png"]  # a table that is named itself may list a part


def test_images_that_are_listed_through_links_are_listed(tmp_path: Path) -> None:
    write(tmp_path, "pool/a.png", "pool/b.png", "store/c.png", "store/d.png")
    (tmp_path / "images").symlink_to("pool")
    (tmp_path / "c.png").symlink_to("store/c.png")
    table(tmp_path, "path,label\nimages/a.png,1\nimages/b.png,2\nc.png,1\n")

    assert left_out(tmp_path) == [LeftOut("store/d.png", "stray", "no table lists it")]


@pytest.mark.parametrize("listed", ["a.png", "deep/a.png"])
def test_paths_may_be_relative_to_the_one_folder_beside_the_table(tmp_path: Path, listed: str) -> None:
    write(tmp_path, f"imgs/{listed}", "imgs/b.png", "imgs/c.png", "notes/c.txt", ".cache/a.png")
    path = table(tmp_path, f"path,label\n{listed},1\nb.png,2\nc.png,1\n")

    assert [name for name, *_ in found(tmp_path)] == sorted([f"imgs/{listed}", "imgs/b.png", "imgs/c.png"])
    assert found(path) == found(tmp_path)
    assert left_out(tmp_path) == []


@pytest.mark.parametrize(
    "names",
    [
        ["one/a.png", "one/b.png", "two/a.png"],
        ["one/a.png"],
        ["a.png", "one/a.png", "one/b.png"],
    ],  # which of two; too few; some are beside it
)
def test_paths_are_relative_to_the_table_where_another_folder_is_not_certain(tmp_path: Path, names: list[str]) -> None:
    write(tmp_path, *names)
    path = table(tmp_path, "path,label\na.png,1\nb.png,2\nc.png,3\n")

    assert {name for name, *_ in found(path)} == set(names) & {"a.png"}


def test_a_parquet_table_damaged_inside_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png")
    pq.write_table(pa.table({"path": ["a.png", "b.png"], "label": ["cat", "dog"]}), tmp_path / "t.parquet", compression="none")
    content = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(content[:4] + b"\xff" * 40 + content[44:])

    with pytest.raises(SourceError, match=r"t\.parquet cannot be read as Parquet: ") as error:
        open_source(tmp_path / "t.parquet")
    assert "\n" not in str(error.value)


def test_a_table_that_starts_well_is_taken_for_one_and_its_fault_named(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png")
    table(tmp_path, "path,label\na.png,1\nb,c.png,2\n")

    with pytest.raises(SourceError, match=r"^ingest\.source: labels\.csv, line 3: 3 fields, but the first line has 2\."):
        open_source(tmp_path)


def test_of_two_tables_one_must_be_named(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png")
    table(tmp_path, "path,label\na.png,1\nb.png,2\n", "one.csv")
    table(tmp_path, "path,label\na.png,1\nb.png,2\n", "two.csv")

    with pytest.raises(SourceError, match=r"more than one table: one\.csv, two\.csv\. Name one of them, .*one\.csv for example"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("names", "rows", "labels"),
    [
        (["cat/a.png", "dog/b.png"], ["cat/a.png,cat", "dog/b.png,cat"], {"cat", "dog"}),  # an earlier run's predictions
        (["cat/a.png", "dog/b.png"], ["cat/a.png,0", "dog/b.png,1"], {"cat", "dog"}),  # the numbers of the folders
        (["cat/a.png", "dog/b.png"], ["a.png,7", "b.png,8"], {"cat", "dog"}),  # of files that are elsewhere
        (["cat/a.png", "dog/b.png"], ["cat/a.png,0,x", "dog/b.png,1"], {"cat", "dog"}),  # no proper table
        (["part1/a.png", "part1/c.png", "part2/b.png"], ["part1/a.png,7", "part1/c.png,8", "part2/b.png,8"], {"7", "8"}),
        (["images/a.png", "images/b.png", "masks/a.png"], ["images/a.png,cat", "images/b.png,dog"], {"cat", "dog"}),
    ],
)
def test_class_folders_win_over_a_table_unless_it_says_more(tmp_path: Path, names: list[str], rows: list[str], labels: set[str]) -> None:
    write(tmp_path, *names)
    table(tmp_path, "path,label\n" + "\n".join(rows))

    assert {label for _, label, _, _ in found(tmp_path)} == labels
