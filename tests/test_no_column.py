"""`ingest.columns: {group: none}` or `{split: none}`: a column that is known by its name does not decide, in every kind of table."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import SourceError
from pipeline.listing.records import Record
from tests.source_trees import png, write_images
from tests.test_layouts import read
from tests.test_tfrecord import row
from tests.test_tfrecord import write as write_records

COUNT = 8


def table(root: Path, group: str = "patient") -> Path:
    source = write_images(root / "photos", *(f"{i}.png" for i in range(COUNT)))
    rows = (f"{i}.png,{'ab'[i % 2]},p{i // 2},{'train' if i < 6 else 'test'}\n" for i in range(COUNT))
    (source / "labels.csv").write_text(f"file,label,{group},split\n" + "".join(rows), encoding="utf-8")
    return source


def parquet(root: Path, group: str = "patient") -> Path:
    columns = {
        "image": [png(i) for i in range(COUNT)],
        "label": [i % 2 for i in range(COUNT)],
        group: [f"p{i // 2}" for i in range(COUNT)],
        "split": ["train"] * 6 + ["test"] * 2,
    }
    pq.write_table(pa.table(columns), root / "a.parquet")
    return root / "a.parquet"


def records(root: Path, group: str = "patient") -> Path:
    rows = [row(i, label=[i % 2], **{group: [f"p{i // 2}".encode()]}) for i in range(COUNT)]
    return write_records(root / "a.tfrecord", *rows)


def pixels(root: Path) -> Path:
    lines = (f"{i % 2},{' '.join([str(i)] * 784)},{'Training' if i < 6 else 'PublicTest'}\n" for i in range(COUNT))
    (root / "faces.csv").write_text("emotion,pixels,Usage\n" + "".join(lines), encoding="utf-8")
    return root / "faces.csv"


def said(found: list[Record], role: str) -> set[str | None]:
    return {getattr(record, role) for record in found}


@pytest.mark.parametrize(
    ("make", "role"),
    [(table, "group"), (parquet, "group"), (records, "group"), (table, "split"), (parquet, "split"), (pixels, "split")],
)
def test_a_column_that_is_known_by_its_name_can_be_left_out(tmp_path: Path, make: Callable[[Path], Path], role: str) -> None:
    source = make(tmp_path)

    usual, without = read(source), read(source, columns={role: "none"})

    other = {"group": "split", "split": "group"}[role]
    usual_records, records = list(usual.records), list(without.records)
    assert len(said(usual_records, role)) > 1
    assert said(records, role) == {None}
    assert said(records, other) == said(usual_records, other)
    assert [record.label for record in records] == [record.label for record in usual_records]
    assert without.reading
    assert not getattr(without.reading.origin, f"{role}s")


def test_a_column_that_does_not_decide_is_no_column_of_labels_either(tmp_path: Path) -> None:
    source = write_images(tmp_path / "photos", *(f"{i}.png" for i in range(COUNT)))
    rows = (f"{i}.png,{'ab'[i % 2]},{'xyz'[i % 3]}\n" for i in range(COUNT))
    (source / "labels.csv").write_text("file,dx,patient_id\n" + "".join(rows), encoding="utf-8")

    assert {record.label for record in read(source, columns={"group": "none"}).records} == {"a", "b"}


@pytest.mark.parametrize("make", [table, parquet, records])
def test_a_column_that_is_called_none_is_ambiguous(tmp_path: Path, make: Callable[[Path, str], Path]) -> None:
    source = make(tmp_path, "none")

    assert {record.group for record in read(source).records} == {None}
    with pytest.raises(SourceError, match=r"ingest\.columns\.group: none stands for no column, but \S+ has a column that is called so"):
        read(source, columns={"group": "none"})
