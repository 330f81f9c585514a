"""A class is called what its folder or its cell says, letter by letter; classes that are numbers are in the order of numbers."""

import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.dataset.ledger import ordered_classes
from tests.layout_trees import Tree
from tests.test_layouts import read

NAMES = [
    "None",
    "NA",
    "nan",
    "NaN",
    "null",
    "NULL",
    "True",
    "False",
    "yes",
    "no",
    "007",
    "7",
    "1e5",
    "-1",
    "inf",
    "cat, black",
    "tab\there",
]
NAMES += [
    "line\nfeed",
    "🐱",
    "x" * 200,
    "Gänseblümchen",
    "a;b",
    'quo"te',
    "#1",
    "=1+1",
    "2024-05-01",
    "1_000",
    "0x10",
    "~",
    ".5",
    "C++",
    "犬",
]
IN_FOLDERS = [name for name in NAMES if "/" not in name and not name.startswith(".")]


def pictures(tree: Tree, names: Sequence[str]) -> list[tuple[str, str]]:
    """(path, class): three pictures of each class in a folder `images`."""
    paths = [(f"images/{i}.png", name) for i, name in enumerate(list(names) * 3)]
    for path, name in paths:
        tree.picture(path, name)
    return paths


def class_folders(tree: Tree) -> tuple[Path, list[str]]:
    for i, name in enumerate(IN_FOLDERS * 3):
        tree.picture(f"{name}/{i}.png", name)
    return tree.root, IN_FOLDERS


def zip_of_class_folders(tree: Tree) -> tuple[Path, list[str]]:
    with zipfile.ZipFile(tree.root / "set.zip", "w") as archive:
        for i, name in enumerate(IN_FOLDERS * 3):
            archive.writestr(f"{name}/{i}.png", tree.known(tree.draw(), f"{name}/{i}.png", name))
    return tree.root / "set.zip", IN_FOLDERS


def csv_file(tree: Tree) -> tuple[Path, list[str]]:
    tree.table("labels.csv", "path,label", pictures(tree, NAMES))
    return tree.root, NAMES


def json_lines(tree: Tree) -> tuple[Path, list[str]]:
    tree.lines("labels.jsonl", (json.dumps({"path": path, "label": name}) for path, name in pictures(tree, NAMES)))
    return tree.root, NAMES


def json_list(tree: Tree) -> tuple[Path, list[str]]:
    tree.json("labels.json", [{"path": path, "label": name} for path, name in pictures(tree, NAMES)])
    return tree.root, NAMES


def parquet_table(tree: Tree) -> tuple[Path, list[str]]:
    paths, labels = zip(*pictures(tree, NAMES), strict=True)
    pq.write_table(pa.table({"path": list(paths), "label": list(labels)}), tree.root / "labels.parquet")
    return tree.root, NAMES


def one_hot_columns(tree: Tree) -> tuple[Path, list[str]]:
    names = [name for name in NAMES if "\n" not in name]
    rows = [(path, *(int(name == column) for column in names)) for path, name in pictures(tree, names)]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    tree.lines("labels.csv", [f"path,{header}", *(",".join(map(str, row)) for row in rows)])
    return tree.root, names


WRITERS = [class_folders, zip_of_class_folders, csv_file, json_lines, json_list, parquet_table, one_hot_columns]
Writer = Callable[[Tree], tuple[Path, list[str]]]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_class_is_called_what_was_written(write: Writer, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "set")
    tree.root.mkdir()
    path, names = write(tree)

    records = list(read(path).records)

    assert {record.label for record in records} == set(names)
    assert len(records) == 3 * len(names)


def numbered_folders(tree: Tree, numbers: list[str]) -> None:
    for number in numbers:
        for i in range(3):
            tree.picture(f"{number}/{number}_{i}.png", number)


def numbered_table(tree: Tree, numbers: list[str]) -> None:
    tree.table("labels.csv", "path,label", pictures(tree, numbers))


@pytest.mark.parametrize("write", [numbered_folders, numbered_table], ids=lambda write: write.__name__)
@pytest.mark.parametrize(
    "expected",
    [[str(n) for n in range(12)], ["-1", "0", "1", "10"], ["1", "2", "3", "100"], ["7", "08", "9", "10"]],
    ids=lambda names: "_".join(names),
)
def test_classes_that_are_numbers_are_in_the_order_of_numbers(
    expected: list[str], write: Callable[[Tree, list[str]], None], tmp_path: Path
) -> None:
    tree = Tree(tmp_path / "set")
    tree.root.mkdir()
    shuffled = list(expected)
    random.Random(1).shuffle(shuffled)
    write(tree, shuffled)

    source = read(tree.root)

    found = {record.label for record in source.records}
    assert (source.class_names or ordered_classes(tmp_path / "classes.json", "set", found)) == expected


def test_words_are_in_the_order_of_the_alphabet(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "set")
    tree.root.mkdir()
    numbered_table(tree, ["dog", "10 cats", "ant", "2 cats"])

    source = read(tree.root)

    found = {record.label for record in source.records}
    assert (source.class_names or ordered_classes(tmp_path / "classes.json", "set", found)) == ["10 cats", "2 cats", "ant", "dog"]


@pytest.mark.parametrize("empty", ["", "   "])
def test_an_empty_cell_is_no_class(empty: str, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "set")
    tree.root.mkdir()
    rows = pictures(tree, ["cat", "dog", "None"])
    tree.picture("images/z.png", None)
    tree.table("labels.csv", "path,label", [*rows, ("images/z.png", empty)])

    source = read(tree.root)

    assert {record.label for record in source.records} == {"cat", "dog", "None"}
    assert [(one.path, one.finding) for one in source.left_out if one.path.endswith("z.png")] == [("images/z.png", "unlabelled")]


def test_a_null_of_json_is_no_class(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "set")
    tree.root.mkdir()
    rows: list[tuple[str, str | None]] = [*pictures(tree, ["cat", "null"]), ("images/z.png", None)]
    tree.picture("images/z.png", None)
    tree.json("labels.json", [{"path": path, "label": label} for path, label in rows])

    source = read(tree.root)

    assert {record.label for record in source.records} == {"cat", "null"}
    assert [one.finding for one in source.left_out if one.path.endswith("z.png")] == ["unlabelled"]


def zip_with_names(path: Path, members: list[tuple[bytes, bytes]]) -> Path:
    """A zip whose names are these bytes, with no word of their encoding."""
    directory, out = b"", b""
    for name, content in members:
        sizes = struct.pack("<III", zlib.crc32(content), len(content), len(content))
        head = struct.pack("<HHHHH", 20, 0, 0, 0, 33) + sizes + struct.pack("<HH", len(name), 0)
        directory += b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, len(out)) + name
        out += b"PK\3\4" + head + name + content
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(out), 0)
    path.write_bytes(out + directory + end)
    return path


def zip_of_names(tmp_path: Path, labels: Sequence[str], encoding: str) -> Path:
    tree = Tree(tmp_path)
    members = [(f"{labels[i % 2]}/{i}.png".encode(encoding), tree.draw()) for i in range(12)]
    return zip_with_names(tmp_path / "photos.zip", members)


GERMAN, JAPANESE, RUSSIAN = ("Gänseblümchen", "Löwenzahn"), ("表", "犬"), ("кошка", "собака")


@pytest.mark.parametrize("labels", [GERMAN, JAPANESE, RUSSIAN], ids=["german", "japanese", "russian"])
def test_names_in_utf_8_are_read_though_the_zip_does_not_say_so(labels: Sequence[str], tmp_path: Path) -> None:
    archive = zip_of_names(tmp_path, labels, "utf-8")

    assert {record.label for record in read(archive).records} == set(labels)


@pytest.mark.parametrize(
    ("labels", "encoding"),
    [
        (GERMAN, "latin-1"),
        (GERMAN, "cp1252"),
        (GERMAN, "cp850"),
        (GERMAN, "cp437"),
        (JAPANESE, "shift_jis"),
        (RUSSIAN, "cp866"),
        (RUSSIAN, "cp1251"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-",
)
def test_names_in_another_encoding_are_read_if_it_is_set(labels: Sequence[str], encoding: str, tmp_path: Path) -> None:
    archive = zip_of_names(tmp_path, labels, encoding)

    assert {record.label for record in read(archive, name_encoding=encoding).records} == set(labels)


@pytest.mark.parametrize(
    ("labels", "encoding"), [(GERMAN, "latin-1"), (JAPANESE, "shift_jis"), (RUSSIAN, "cp1251")], ids=["german", "japanese", "russian"]
)
def test_names_in_another_encoding_keep_classes_apart(labels: Sequence[str], encoding: str, tmp_path: Path) -> None:
    archive = zip_of_names(tmp_path, labels, encoding)

    records = list(read(archive).records)

    parity = {record.label: int(record.path.rsplit("/", 1)[-1].split(".")[0]) % 2 for record in records}
    assert len(records) == 12
    assert sorted(parity.values()) == [0, 1]


def test_a_backslash_byte_makes_no_folder(tmp_path: Path) -> None:
    r"""In Shift-JIS the second byte of 表 is that of a backslash: 表/0.png must not become the class \x95 with a folder below it."""
    archive = zip_of_names(tmp_path, JAPANESE, "shift_jis")

    assert all(record.path.count("/") == 1 for record in read(archive, name_encoding="shift_jis").records)


def test_a_name_encoding_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    archive = zip_of_names(tmp_path, GERMAN, "latin-1")

    with pytest.raises(ValueError, match="name_encoding"):
        read(archive, name_encoding="latin-17")
