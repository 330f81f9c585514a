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
from pipeline.listing.records import LeftOut
from pipeline.sources.layouts import open_source
from tests.source_trees import found, left_out, write

AB = [("a.png", "cat", None), ("b.png", "dog", None)]
NO_PATH_OR_LABEL = "has no column for paths and labels"


def table(root: Path, text: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding=encoding)
    return root / name


def labels(path: Path) -> set[str]:
    return {label for _, label, _ in found(open_source(path))}


def names(path: Path) -> list[str]:
    return [name for name, _, _ in found(open_source(path))]


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("labels.csv", "path,label\nb.png,dog\na.png,cat\n", "utf-8"),
        ("labels.csv", "id;FileName;Class\r\n1;b.png;dog\r\n2;a.png;cat", "utf-8-sig"),
        ("labels.csv", '\n"image", "label", "note"\n"a.png", "cat", "x, ""y"""\n\n"b.png", " dog ", "two\nlines"\n', "utf-8"),
        ("labels.tsv", "image\ttarget\nb.png\tdog\n./a.png\tcat\n", "utf-8"),
        ("labels.csv", "image path|class name\nb.png|dog\na.png|cat\n", "utf-8"),
        ("labels.csv", "path,label,class_name\na.png,0,cat\nb.png,1,dog\n", "utf-8"),  # names are preferred to numbers
        ("labels.jsonl", '{"file": "b.png", "label": "dog"}\n\n{"label": "cat", "file": "a.png", "boxes": [[1, 2]]}\n', "utf-8"),
        ("labels.ndjson", '{"file": "b.png", "label": "dog"}\n{"file": "a.png", "label": "cat"}', "utf-8-sig"),
    ],
)
def test_tables_of_text_are_read_in_the_order_of_the_paths(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    write(tmp_path, "a.png", "b.png")

    assert found(open_source(table(tmp_path, text, name, encoding))) == AB


def test_a_parquet_table_is_read(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png")
    columns = {"path": ["b.png", "a.png"], "label": pa.array(["dog", "cat"]).dictionary_encode(), "vector": [[1.0], [2.0]]}
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")

    assert found(open_source(tmp_path / "list.parquet")) == AB


def test_splits_and_groups_are_taken_where_there_are_images_to_test_on(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png", "c.png")
    text = "path,label,split,patient_id\na.png,cat,Training,7\nb.png,dog,{},\nc.png,dog,,8\n"

    with_test = list(open_source(table(tmp_path, text.format("test"))).records)
    without_test = list(open_source(table(tmp_path, text.format("val"))).records)

    assert [record[:5] for record in with_test] == [
        ("a.png", "cat", "train", "7", 5),
        ("b.png", "dog", "test", None, 5),
        ("c.png", "dog", None, "8", 5),
    ]
    assert [record.split for record in without_test] == [None, "validation", None]
    assert pickle.loads(pickle.dumps(with_test[0])).read() == b"a.png"


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (["10", "9", "9"], ["9", "10"]),
        ([10, 9, 9], ["9", "10"]),
        ([10.0, None, 9.0], ["9", "10"]),
        (["10.0", "9.0", "9"], ["9", "10"]),
        (["10", "9", "x"], None),
        ([True, False, False], None),
    ],
)
def test_whole_numbers_are_classes_in_the_order_of_the_numbers(tmp_path: Path, values: list[object], order: list[str] | None) -> None:
    write(tmp_path, "0.png", "1.png", "2.png")
    lines = [json.dumps({"path": f"{i}.png", "label": label}) for i, label in enumerate(values)]

    assert open_source(table(tmp_path, "\n".join(lines), "t.jsonl")).class_names == order


def test_rows_without_a_file_in_the_folder_are_left_out_and_nothing_special_is_opened(tmp_path: Path) -> None:
    root = write(tmp_path / "in", "a.png", "b.png", "folder/c.png")
    write(tmp_path, "secret.png", "outside/d.png")
    os.mkfifo(root / "fifo.png")
    (root / "out.png").symlink_to(tmp_path / "secret.png")
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "inner.png").symlink_to(root / "a.png")
    findings = {
        **dict.fromkeys(["gone.png", "a.png/x.png"], "missing"),
        **dict.fromkeys(["../secret.png", str(tmp_path / "secret.png"), "C:/x.png"], "escaping"),
        **dict.fromkeys(["out.png", "linked/d.png"], "link"),
        **dict.fromkeys(["fifo.png", "folder"], "special"),
    }
    rows = [name.replace("C:/", "C:\\") for name in ("a.png", "b.png", "inner.png", *findings)]
    path = table(root, "path,label\n" + "".join(f"{row},{i % 2}\n" for i, row in enumerate(rows)) + "b.png,\n,1\n")

    assert names(path) == ["a.png", "b.png", "inner.png"]
    assert {entry[:2] for entry in left_out(open_source(path))} == {*findings.items(), ("b.png", "stray"), ("labels.csv", "stray")}


@pytest.mark.parametrize(
    ("on_disk", "rows", "read"),
    [
        (["x/a.png", "x/b.png"], ["x\\a.png", "{root}/x/b.png"], ["x/a.png", "x/b.png"]),  # of Windows; absolute, in the folder
        (["e\u0301.png", "b.png"], ["\u00e9.png", "b.png"], ["b.png", "\u00e9.png"]),  # an accent that is written otherwise on the disk
        # relative to the one folder beside the table
        (["i/a.png", "i/b.png", "i/c.png", "notes/c.txt", ".cache/a.png"], ["a.png", "b.png", "c.png"], ["i/a.png", "i/b.png", "i/c.png"]),
        (["i/deep/a.png", "i/b.png", "i/c.png"], ["deep/a.png", "b.png", "c.png"], ["i/b.png", "i/c.png", "i/deep/a.png"]),
        # where another folder is not certain: which of two; too few; some are beside the table
        (["one/a.png", "one/b.png", "two/a.png"], ["a.png", "b.png", "c.png"], []),
        (["one/a.png"], ["a.png", "b.png", "c.png"], []),
        (["a.png", "one/a.png", "one/b.png"], ["a.png", "b.png", "c.png"], ["a.png"]),
    ],
)
def test_paths_are_understood_from_wherever_they_lead(tmp_path: Path, on_disk: list[str], rows: list[str], read: list[str]) -> None:
    write(tmp_path, *on_disk)
    path = table(tmp_path, "path,label\n" + "".join(f"{row.format(root=tmp_path)},{i}\n" for i, row in enumerate(rows)))

    assert names(path) == read
    assert [entry.finding for entry in left_out(open_source(path))] == ["missing"] * (len(rows) - len(read))
    if len(read) == len(rows):
        assert names(tmp_path) == read
        assert left_out(open_source(tmp_path)) == []


def test_a_path_listed_twice_counts_once_and_with_two_labels_not_at_all(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png", "c.png", "d.png")
    rows = ["a.png,cat,", "b.png,dog,", "./a.png,cat,", "c.png,cat,", "c.png,dog,", "d.png,dog,test", "d.png,dog,train"]
    path = table(tmp_path, "path,label,split\n" + "\n".join(rows))

    assert found(open_source(path)) == AB
    assert left_out(open_source(path)) == [
        LeftOut("a.png", "name_clash", "labels.csv, line 4: listed before, in labels.csv, line 2"),
        LeftOut("c.png", "name_clash", "labels.csv, line 5: listed as cat and as dog"),
        LeftOut("c.png", "name_clash", "labels.csv, line 6: listed as cat and as dog"),
        LeftOut("d.png", "name_clash", "labels.csv, line 7: listed as test and as train"),
        LeftOut("d.png", "name_clash", "labels.csv, line 8: listed as test and as train"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.csv", b"name,kind\na.png,cat\n", rf"t\.csv {NO_PATH_OR_LABEL}\. .*Found: name, kind\."),
        ("t.csv", b"path,kind\na.png,cat\n", "has no column for labels"),
        ("t.csv", b"", f"{NO_PATH_OR_LABEL}.*Found: none"),
        ("t.csv", b"path,label\n", "should list images of two or more classes; found 0 rows"),
        ("t.csv", b"path,label\na.png,cat\n", "all are of one class, cat"),
        (
            "t.csv",
            b"path,label,split\n\na.png,cat,train\nb.png,dog,holdout\n",
            r"t\.csv, line 4: 'holdout' is not a split\. Expected one of tr",
        ),
        ("t.csv", b"path,label\na,b.png,dog\n", r"line 2: 3 fields, but the first line has 2\. Put a field that has a ','"),
        ("t.csv", b'path,label\n"a.png,cat\nb.png,dog\n', "is not a valid table: unexpected end of data. Is a double quote missing"),
        ("t.csv", "path,label\na.png,Größe\n".encode("latin-1"), "is not UTF-8 text"),
        ("t.csv", "path,label\na.png,x\n".encode("utf-16"), "is not UTF-8 text"),
        ("t.jsonl", b'{"path": "a.png", "label": 1}\n{"path": ', "line 2 is not valid JSON"),
        ("t.jsonl", b'["a.png", 1]\n', "line 1: expected an object"),
        ("t.jsonl", b'{"path": "a.png", "label": ["x", "y"]}\n', "line 1: expected one label, split or group, found"),
        ("t.jsonl", b'{"path": 7, "label": 1}\n', "line 1: expected a path, found 7"),
        ("t.jsonl", rb'{"path": "\ud83d.png", "label": 1}', "line 1 is not valid JSON"),
        ("t.parquet", b"PAR1 not really", r"t\.parquet cannot be read as Parquet"),
        ("t.parquet", None, r"t\.parquet cannot be read as Parquet: "),  # damaged inside
    ],
)
def test_a_table_that_cannot_be_understood_is_one_line(tmp_path: Path, name: str, text: bytes | None, words: str) -> None:
    file = write(tmp_path, "a.png", "b.png") / name
    if text is None:
        pq.write_table(pa.table({"path": ["a.png", "b.png"], "label": ["cat", "dog"]}), file, compression="none")
        text = file.read_bytes()[:4] + b"\xff" * 40 + file.read_bytes()[44:]
    file.write_bytes(text)

    with pytest.raises(SourceError, match=words) as error:
        open_source(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"labels.csv": "a.png,1\nb,c.png,2\n"}, r"^ingest\.source: labels\.csv, line 3: 3 fields, but the first line has 2\."),
        (
            dict.fromkeys(["one.csv", "two.csv"], "a.png,1\nb.png,2\n"),
            r"more than one table: one\.csv, two\.csv\. Set ingest.source to one of them, .*one\.csv for example",
        ),
    ],
    ids=["a table with a fault further down", "two tables"],
)
def test_a_folder_whose_tables_cannot_be_used_is_refused(tmp_path: Path, tables: dict[str, str], words: str) -> None:
    write(tmp_path, "a.png", "b.png")
    for name, rows in tables.items():
        table(tmp_path, "path,label\n" + rows, name)

    with pytest.raises(SourceError, match=words):
        open_source(tmp_path)


def test_a_table_beside_its_images_is_found(tmp_path: Path) -> None:
    write(tmp_path, "images/a.png", "images/b.png")
    table(tmp_path, "file_name,label\nimages/a.png,cat\nimages/b.png,dog\n", "metadata.csv")
    table(tmp_path, "day,loss\n1,2\n", "log.csv")

    assert labels(tmp_path) == {"cat", "dog"}


def test_tables_that_are_called_after_splits_or_lie_in_their_folders_are_read_together(tmp_path: Path) -> None:
    hub, named = write(tmp_path / "hub", "train/a.png", "train/b.png", "test/a.png"), write(tmp_path / "named", "i/a.png", "i/b.png")
    table(hub, "file_name,label\na.png,cat\nb.png,dog\n", "train/metadata.csv")
    table(hub, '{"file_name": "a.png", "label": "dog"}', "test/metadata.jsonl")
    table(named, "path,label\ni/a.png,cat\n", "train.csv")
    table(named, "path,label\ni/b.png,dog\n", "test.csv")

    assert found(open_source(hub)) == [("test/a.png", "dog", "test"), ("train/a.png", "cat", "train"), ("train/b.png", "dog", "train")]
    assert found(open_source(named)) == [("i/a.png", "cat", "train"), ("i/b.png", "dog", "test")]


BY_FOLDER = "its labels match the folders"
NOT_UTF_8 = "labels.csv is not UTF-8 text. Save it as UTF-8 (in Excel: CSV UTF-8)"
NO_SPLIT = (
    "labels.csv, line 2: 'fold0' is not a split. Expected one of train, training, test, testing, val, valid, validation, or nothing. "
    "Rename the column if it says something else"
)
NO_TABLE = "labels.csv, line 2: 3 fields, but the first line has 2. Put a field that has a ',' in it in double quotes"


@pytest.mark.parametrize(
    ("on_disk", "rows", "reason"),
    [
        ("cat/a.png dog/b.png", "cat/a.png,cat dog/b.png,cat", BY_FOLDER),  # an earlier run's predictions
        ("cat/a.png dog/b.png", "cat/a.png,0 dog/b.png,1", BY_FOLDER),  # the numbers of the folders
        ("cat/a.png dog/b.png", "a.png,7 b.png,8", "none of the files that labels.csv lists exist, for example a.png"),
        ("cat/a.png dog/b.png", "cat/a.png,0,x dog/b.png,1", NO_TABLE),
        ("cat/a.png cat/c.png dog/b.png", "cat/a.png,Größe", NOT_UTF_8),
        ("cat/a.png dog/b.png", "cat/a.png,1,fold0 dog/b.png,2,fold1", NO_SPLIT),
        ("part1/a.png part1/c.png part2/b.png", "part1/a.png,7 part1/c.png,8 part2/b.png,8", ""),
        ("images/a.png images/b.png masks/a.png", "images/a.png,7 images/b.png,8", ""),
    ],
)
def test_class_folders_win_over_a_table_unless_it_says_more(tmp_path: Path, on_disk: str, rows: str, reason: str) -> None:
    write(tmp_path, *on_disk.split())
    header = "path,label,split" if "fold0" in rows else "path,label"
    table(tmp_path, "\n".join([header, *rows.split()]), encoding="latin-1" if reason == NOT_UTF_8 else "utf-8")

    assert labels(tmp_path) == ({name.split("/")[0] for name in on_disk.split()} if reason else {"7", "8"})
    not_read = LeftOut("labels.csv", "stray", f"a table that was not used: {reason}; the folder names are the classes")
    assert ([not_read] if reason else []) == [entry for entry in left_out(open_source(tmp_path)) if entry.path == "labels.csv"]


def test_two_tables_that_class_folders_win_over_are_both_left_out(tmp_path: Path) -> None:
    write(tmp_path, "batch1/a.png", "batch2/b.png")
    for name in ("one.csv", "two.csv"):
        table(tmp_path, "path,label\nbatch1/a.png,cat\nbatch2/b.png,dog\n", name)

    first, second = left_out(open_source(tmp_path))

    assert (first.path, second.path) == ("one.csv", "two.csv")
    reason = f"a table that was not used: {tmp_path.name} has more than one table: one.csv, two.csv. Set ingest.source to one of them"
    assert first.reason.startswith(reason)


def test_images_that_no_table_of_a_folder_lists_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "i/a.png", "i/b.png", "i/c.PNG", "d.jpg", "README.md", ".hidden/e.png", "i/é.png", "i/f.png")
    path = table(tmp_path, f"path,label\ni/a.png,1\ni\\b.png,2\ni/{unicodedata.normalize('NFD', 'é')}.png,2\ni/f.png,\n")

    assert sorted(left_out(open_source(tmp_path))) == [
        LeftOut("d.jpg", "stray", "not listed in any table"),
        LeftOut("i/c.PNG", "stray", "not listed in any table"),
        LeftOut("i/f.png", "stray", "labels.csv, line 5: no label"),
    ]
    assert [entry.path for entry in left_out(open_source(path))] == ["i/f.png"]  # a table that is named itself may list a part


def test_images_that_are_listed_through_links_are_listed(tmp_path: Path) -> None:
    write(tmp_path, "pool/a.png", "pool/b.png", "store/c.png", "store/d.png")
    (tmp_path / "images").symlink_to("pool")
    (tmp_path / "c.png").symlink_to("store/c.png")
    table(tmp_path, "path,label\nimages/a.png,1\nimages/b.png,2\nc.png,1\n")

    assert left_out(open_source(tmp_path)) == [LeftOut("store/d.png", "stray", "not listed in any table")]
