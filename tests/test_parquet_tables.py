"""Tables of paths and labels in Parquet; a damaged one is one line that names it."""

import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import SourceError
from pipeline.tables.opening import open_table


def rows(file: Path) -> list[list[object]]:
    """The columns and rows of a table."""
    read = open_table("sub/t.parquet", file, lambda _: False)
    assert read is not None
    return [read.columns, *(list(row) for _, row in read.rows())]


def test_columns_are_read_except_those_of_images(tmp_path: Path) -> None:
    columns = {
        "path": ["b.png", "a.png"],
        "image": [b"1", b"2"],
        "label": pa.array(["dog", "cat"]).dictionary_encode(),
        "vector": [[1.0], [2.0]],
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")

    assert rows(tmp_path / "t.parquet") == [["path", "label", "vector"], ["b.png", "dog", [1.0]], ["a.png", "cat", [2.0]]]


def test_columns_of_one_name_keep_their_cells(tmp_path: Path) -> None:
    arrays = [pa.array(["a.png"]), pa.array(["x"]), pa.array(["cat"])]
    pq.write_table(pa.Table.from_arrays(arrays, names=["path", "label", "label"]), tmp_path / "t.parquet")

    assert rows(tmp_path / "t.parquet") == [["path", "label", "label"], ["a.png", "x", "cat"]]


def test_a_file_that_is_none_or_damaged_inside_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"path": ["a.png", "b.png"], "label": ["cat", "dog"]}), file, compression="none")
    whole = file.read_bytes()

    for content in (b"PAR1 not really", whole[:-9], whole[:4] + b"\xff" * 40 + whole[44:]):
        file.write_bytes(content)
        with pytest.raises(
            SourceError, match=r"^ingest\.source: sub/t\.parquet cannot be read as Parquet: .*\. Get the file again\.$"
        ) as error:
            rows(file)
        assert "\n" not in str(error.value)


def test_text_that_is_not_utf_8_is_one_line(tmp_path: Path) -> None:
    labels = pa.StringArray.from_buffers(2, pa.py_buffer(struct.pack("<3i", 0, 1, 2)), pa.py_buffer(b"\xff\xfe"))
    pq.write_table(pa.table({"path": ["a.png", "b.png"], "label": labels}), tmp_path / "t.parquet")

    with pytest.raises(SourceError, match="cannot be read as Parquet: 'utf-8' codec can't decode"):
        rows(tmp_path / "t.parquet")
