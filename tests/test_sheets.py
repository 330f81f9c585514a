"""Workbooks of Excel: titles above the header, several sheets, files that Excel leaves behind."""

from pathlib import Path
from typing import Any

from pipeline.tables.opening import open_table
from pipeline.tables.table import Table
from tests.source_trees import found, left_out, write_images
from tests.table_layouts import workbook
from tests.test_layouts import read

Rows = list[tuple[str, ...]]
HEADER = ("file", "label", "note")
CATS: Rows = [HEADER, ("a.png", "cat", "x"), ("b.png", "dog", "y")]
DOGS: Rows = [HEADER, ("c.png", "cat", "x"), ("d.png", "dog", "y")]


def table(folder: Path, sheets: dict[str, Rows]) -> Table:
    (folder / "labels.xlsx").write_bytes(workbook(sheets))
    opened = open_table("labels.xlsx", folder / "labels.xlsx", lambda cell: cell.endswith(".png"))
    assert opened is not None
    return opened


def cells(opened: Table) -> list[tuple[str, list[Any]]]:
    return [(place, list(row)) for place, row in opened.rows()]


def test_a_title_and_empty_rows_above_the_header_are_passed_over(tmp_path: Path) -> None:
    opened = table(tmp_path, {"Sheet1": [("Leaves of 2024",), (), *CATS]})

    assert opened.columns == list(HEADER)
    assert cells(opened) == [("row 4", ["a.png", "cat", "x"]), ("row 5", ["b.png", "dog", "y"])]


def test_sheets_with_the_same_columns_are_read_together_and_others_are_named(tmp_path: Path) -> None:
    opened = table(tmp_path, {"Legend": [("short", "long"), ("cat", "Felis"), ("dog", "Canis")], "May": CATS, "June": DOGS, "Empty": []})

    assert [row[0] for _, row in cells(opened)] == ["a.png", "b.png", "c.png", "d.png"]
    assert cells(opened)[2][0] == "sheet June, row 2"
    assert opened.unread == ("sheet Legend is not read: its columns are not those of the sheet May",)


def test_sheets_that_are_called_after_splits_give_them(tmp_path: Path) -> None:
    write_images(tmp_path, "i/a.png", "i/b.png", "i/c.png", "i/d.png")
    (tmp_path / "labels.xlsx").write_bytes(workbook({"Train": CATS, "Test": DOGS}))

    assert [record[1:] for record in found(read(tmp_path))] == [("cat", "train"), ("dog", "train"), ("cat", "test"), ("dog", "test")]


def test_a_sheet_that_is_not_read_is_a_finding_and_a_lock_file_is_nothing(tmp_path: Path) -> None:
    write_images(tmp_path, "a.png", "b.png")
    (tmp_path / "labels.xlsx").write_bytes(workbook({"May": CATS, "Legend": [("short", "long"), ("cat", "Felis")]}))
    (tmp_path / "~$labels.xlsx").write_bytes(b"\x05Carla" + bytes(100))

    source = read(tmp_path)

    assert [label for _, label, _ in found(source)] == ["cat", "dog"]
    assert [(entry.path, entry.finding) for entry in left_out(source)] == [("labels.xlsx", "unused_table")]
    assert "sheet Legend is not read" in left_out(source)[0].reason
