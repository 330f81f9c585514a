"""Tables in JSON: lines, lists of objects, and one object with a value for each name."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SourceError
from pipeline.tables.opening import open_table
from pipeline.tables.table import Table


def table(folder: Path, content: str | bytes, name: str = "labels.jsonl") -> Table | None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_table(name, folder / name, lambda cell: cell.endswith(".png"))


def cells(read: Table | None) -> list[list[Any]]:
    """The columns and rows of a table."""
    assert read is not None
    return [read.columns, *(list(row) for _, row in read.rows())]


ROWS = [{"path": "a.png", "label": "cat"}, {"path": "b.png", "label": "dog"}]
CELLS = [["path", "label"], ["a.png", "cat"], ["b.png", "dog"]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.jsonl", "\n\n".join(map(json.dumps, ROWS))),
        ("labels.ndjson", "\ufeff" + "\n".join(map(json.dumps, ROWS)) + "\n"),
        ("labels.json", json.dumps(ROWS)),
        ("labels.json", "\ufeff" + json.dumps(ROWS, indent=2)),
    ],
)
def test_lines_and_lists_give_the_same_table(tmp_path: Path, name: str, text: str) -> None:
    assert cells(table(tmp_path, text, name)) == CELLS


def test_one_object_gives_names_and_values(tmp_path: Path) -> None:
    assert cells(table(tmp_path, '{"a.png": "cat", "b.png": 1}', "labels.json")) == [["name", "value"], ["a.png", "cat"], ["b.png", 1]]


@pytest.mark.parametrize("name", ["labels.jsonl", "labels.json"])
def test_a_key_that_comes_late_is_a_column_too(tmp_path: Path, name: str) -> None:
    rows = [{"path": f"{i}.png"} for i in range(200)] + [{"path": "z.png", "split": "test"}]
    text = json.dumps(rows) if name == "labels.json" else "\n".join(map(json.dumps, rows))

    read = cells(table(tmp_path, text, name))

    assert (read[0], read[1], read[-1]) == (["path", "split"], ["0.png", None], ["z.png", "test"])


def test_rows_that_all_have_keys_of_their_own_do_not_make_a_table_of_millions_of_cells(tmp_path: Path) -> None:
    read = table(tmp_path, "\n".join(json.dumps({f"{i}.png": 1}) for i in range(1500)))

    assert read is not None
    assert len(read.columns) == 1000


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (["a.png", "b.png"], [["name"], ["a.png"], ["b.png"]]),
        ({"train": ["a.png"], "Test Set": ["b.png"]}, [["name", "split"], ["a.png", "train"], ["b.png", "Test Set"]]),
        ({"cat": ["a.png"], "dog": ["b.png"]}, [["name", "key"], ["a.png", "cat"], ["b.png", "dog"]]),
        (
            {"train": {"cat": ["a.png"], "dog": []}, "test": {"cat": [], "dog": ["b.png"]}},
            [["name", "split", "key"], ["a.png", "train", "cat"], ["b.png", "test", "dog"]],
        ),
        (
            {"cat": {"train": ["a.png"], "test": []}, "dog": {"train": [], "test": ["b.png"]}},
            [["name", "key", "split"], ["a.png", "cat", "train"], ["b.png", "dog", "test"]],
        ),
        (
            {"train": [{"file": "a.png", "y": "cat"}], "val": [{"file": "b.png", "y": "dog"}]},
            [["file", "y", "split"], ["a.png", "cat", "train"], ["b.png", "dog", "val"]],
        ),
        ({"file": {"0": "a.png", "1": "b.png"}, "y": {"0": "cat", "1": 7}}, [["file", "y"], ["a.png", "cat"], ["b.png", 7]]),
        ({"a.png": {"y": "cat"}, "b.png": {"y": None}}, [["name", "y"], ["a.png", "cat"], ["b.png", None]]),
    ],
)
def test_names_may_stand_below_their_splits_and_labels(tmp_path: Path, document: object, expected: list[list[Any]]) -> None:
    assert cells(table(tmp_path, json.dumps(document), "lists.json")) == expected


@pytest.mark.parametrize(
    "text", ["[]", "{}", "3", '["a.png", 1]', '{"epochs": [1, 2], "loss": [0.5, 0.25]}', '{"info": {"year": 2024}, "images": []}']
)
def test_json_that_is_no_table_is_none(tmp_path: Path, text: str) -> None:
    assert table(tmp_path, text, "labels.json") is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.jsonl", b'{"path": "a.png", "label": 1}\n{"path": ', r"^ingest\.source: t\.jsonl, line 2 is not valid JSON"),
        ("t.jsonl", b'["a.png", 1]\n', r'line 1: expected an object, \{…\}, found \["a\.png", 1\]'),
        ("t.jsonl", rb'{"path": "\ud83d.png", "label": 1}', "line 1 is not valid JSON"),
        ("t.jsonl", b'{"path": ' + b"[" * 100_000, "line 1 is not valid JSON"),
        ("t.jsonl", b'{"path": "\xe4.png"}', "is not UTF-8 text"),
        ("t.json", b'[{"path": "a.png"}', "t.json is not valid JSON"),
        ("t.json", rb'[{"path": "a.png", "label": "\uD83D"}]', "t.json is not valid JSON: .*surrogates not allowed"),
        ("t.json", rb'{"a.png": "\udc36", "b.png": "x"}', "t.json is not valid JSON: .*surrogates not allowed"),
        ("t.json", b"[" * 100_000, "t.json is not valid JSON"),
        ("t.json", b'[{"label": ' + b"9" * 5000 + b"}]", "t.json is not valid JSON"),
        ("t.json", b'[{"path": "\xe4.png"}]', "t.json is not"),
    ],
)
def test_a_fault_is_one_line_with_its_place(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words) as error:
        cells(table(tmp_path, content, name))
    assert "\n" not in str(error.value)


def test_a_whole_pair_of_surrogates_is_a_sign_like_any_other(tmp_path: Path) -> None:
    assert cells(table(tmp_path, r'[{"path": "a.png", "label": "\ud83d\ude00"}]', "t.json"))[1] == ["a.png", "😀"]


def test_choices_of_a_cancelled_annotation_do_not_count(tmp_path: Path) -> None:
    def annotation(choice: str, *, was_cancelled: bool) -> dict[str, Any]:
        return {"was_cancelled": was_cancelled, "result": [{"value": {"choices": [choice]}}]}

    tasks = [
        {"file": "a.png", "annotations": [annotation("dog", was_cancelled=True), annotation("cat", was_cancelled=False)]},
        {"file": "b.png", "annotations": [annotation("dog", was_cancelled=True)]},
    ]

    assert cells(table(tmp_path, json.dumps(tasks), "project.json")) == [["file", "choice"], ["a.png", "cat"], ["b.png", None]]
