"""Tables of text are read as people and spreadsheets write them; a fault is one line with its place."""

from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.tables.opening import open_table
from pipeline.tables.table import Table


def names_image(cell: str) -> bool:
    return cell.strip().endswith(".png")


def table(folder: Path, content: str | bytes, name: str = "labels.csv", encoding: str = "utf-8") -> Table | None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return open_table(name, folder / name, names_image)


def cells(read: Table | None) -> list[list[str]]:
    """The columns and rows of a table."""
    assert read is not None
    return [read.columns, *(list(row) for _, row in read.rows())]


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("labels.csv", "path,label\na.png,cat\nb.png,dog\n", "utf-8"),
        ("labels.csv", "path;label\r\na.png;cat\r\nb.png;dog", "utf-8-sig"),
        ("labels.csv", "sep=;\r\npath;label\r\na.png;cat\r\nb.png;dog", "utf-16"),
        ("labels.csv", '\n"path", "label"\n"a.png", "cat"\n\n"b.png", " dog "\n', "utf-8"),
        ("labels.csv", "path|label\na.png|cat\nb.png|dog\n", "utf-8"),
        ("labels.csv", "path,label\na.png,cat,\nb.png,dog,\n", "utf-8"),
        ("labels.tsv", "path\tlabel\na.png\tcat\nb.png\tdog\n", "utf-8"),
        ("labels.txt", "path label\na.png cat\nb.png   dog\n", "utf-8"),
        ("labels.csv", "path\tlabel\ra.png\tcat\rb.png\tdog\r".replace("\r", "\r\n"), "utf-8"),
    ],
)
def test_delimiters_quotes_and_encodings_are_told_from_the_text(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    assert cells(table(tmp_path, text, name, encoding)) == [["path", "label"], ["a.png", "cat"], ["b.png", "dog"]]


def test_quoted_cells_hold_delimiters_quotes_and_lines(tmp_path: Path) -> None:
    read = table(tmp_path, 'path,note,label\na.png,"x, ""y""",cat\nb.png,"two\nlines",dog\nc.png,,owl\n')

    assert read is not None
    assert list(read.rows()) == [
        ("line 2", ["a.png", 'x, "y"', "cat"]),
        ("line 4", ["b.png", "two\nlines", "dog"]),
        ("line 5", ["c.png", "", "owl"]),
    ]


def test_a_row_may_end_early(tmp_path: Path) -> None:
    assert cells(table(tmp_path, "path,label,note\na.png,cat,x\nb.png,dog\n"))[-1] == ["b.png", "dog", ""]


def test_a_table_may_have_no_header(tmp_path: Path) -> None:
    assert cells(table(tmp_path, "a.png,cat\nb.png,dog\n")) == [["column 1", "column 2"], ["a.png", "cat"], ["b.png", "dog"]]
    assert cells(table(tmp_path, "a.png 0\nb.png 1\n", "train.txt")) == [["column 1", "column 2"], ["a.png", "0"], ["b.png", "1"]]
    assert cells(table(tmp_path, "a.png\nb.png\n", "train.txt")) == [["column 1"], ["a.png"], ["b.png"]]


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_text_without_a_line_is_no_table(tmp_path: Path, text: str) -> None:
    assert table(tmp_path, text) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"path,label\na,b.png,dog\n",
            r"^ingest\.source: labels\.csv, line 2: 3 fields, but the first line has 2\. Put a field that has a ','",
        ),
        (b'path,label\n"a\nb.png",cat\nc,d.png,dog\n', "line 4: 3 fields"),
        (b'path,label\n"a.png,cat\nb.png,dog\n', "is not a valid table: unexpected end of data. Is a double quote missing"),
        (b'path,label\n"a.png"x,cat\n', "is not a valid table: .* expected"),
        (b"path,label\n" + b"a.png,cat\n" * 3 + b"a" * 200_000 + b",cat\n", "is not a valid table: field larger than field limit"),
        ("path,label\na.png,Größe\n".encode("latin-1"), "is not UTF-8 text. Save it as UTF-8"),
        ("path,label\na.png,犬\n".encode("shift-jis"), "is not UTF-8 text"),
        (b"path,label\n" + b"a.png,cat\n" * 9999 + b"b.png,\xff\n", "is not UTF-8 text"),  # far behind what is read first
        ("path,label\na.png,x\n".encode("utf-16")[:-1], "is not UTF-8 text"),
    ],
)
def test_a_fault_is_one_line_with_its_place(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words) as error:
        cells(table(tmp_path, content))
    assert "\n" not in str(error.value)


def test_the_last_column_of_a_list_parted_by_spaces_may_have_spaces_in_it(tmp_path: Path) -> None:
    read = table(tmp_path, "a.png Boeing 707\nb.png A300\nc.png Fokker 100 F\n", "family.txt")

    assert cells(read)[1:] == [["a.png", "Boeing 707"], ["b.png", "A300"], ["c.png", "Fokker 100 F"]]


@pytest.mark.parametrize(
    ("name", "above"),
    [
        ("labels.csv", "Leaves of 2024\n\n"),
        ("labels.csv", '"Leaves, with\ttheir kinds",,\n,,\nseen by,me,\n'),
        ("labels.csv", "# written by hand\n"),
        ("labels.csv", "sep=,\nLeaves\n"),
        ("labels.tsv", "Leaves\n"),
    ],
)
def test_a_title_above_the_header_is_passed_over(tmp_path: Path, name: str, above: str) -> None:
    rows = "path,label,place,by,seen\na.png,cat,here,me,1\nb.png,dog,there,me,2\n"
    read = table(tmp_path, above + (rows.replace(",", "\t") if name.endswith(".tsv") else rows), name)

    assert cells(read)[0] == ["path", "label", "place", "by", "seen"]
    assert [cell[:2] for cell in cells(read)[1:]] == [["a.png", "cat"], ["b.png", "dog"]]


def test_the_lines_of_rows_below_a_title_are_those_of_the_file(tmp_path: Path) -> None:
    read = table(tmp_path, "Leaves\n\npath,label\na.png,cat\nb.png,dog\n")

    assert read is not None
    assert [place for place, _ in read.rows()] == ["line 4", "line 5"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (",label\na.png,cat\nb.png,dog\n", [["", "label"], ["a.png", "cat"], ["b.png", "dog"]]),
        (",path,label\n0,a.png,cat\n1,b.png,dog\n", [["", "path", "label"], ["0", "a.png", "cat"], ["1", "b.png", "dog"]]),
        ("path,label,\na.png,cat,x\nb.png,dog,y\n", [["path", "label", ""], ["a.png", "cat", "x"], ["b.png", "dog", "y"]]),
        ("a.png,\nb.png,dog\nc.png,dog\n", [["column 1", "column 2"], ["a.png", ""], ["b.png", "dog"], ["c.png", "dog"]]),
    ],
)
def test_no_header_and_no_row_is_taken_for_a_title(tmp_path: Path, text: str, expected: list[list[str]]) -> None:
    assert cells(table(tmp_path, text)) == expected


def test_a_count_and_a_header_without_a_name_for_the_files_are_known(tmp_path: Path) -> None:
    read = table(tmp_path, "2\nBald Young Smiling\na.png -1  1 1\nb.png  1 -1 1\n", "list_attr.txt")

    assert cells(read) == [["column 1", "Bald", "Young", "Smiling"], ["a.png", "-1", "1", "1"], ["b.png", "1", "-1", "1"]]
