"""Predictions as rows: a table to read, CSV, JSON lines or Parquet for programs. The columns are the same everywhere."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from pipeline.csv_text import csv_text
from pipeline.files import written_beside
from pipeline.names import shown

SHA_SHOWN = 12
SHORTEST_PATH = 20


class Row(NamedTuple):
    """One image. Of an image that cannot be used, label and probability are None, and error says why."""

    path: str
    label: str | None
    probability: float | None
    version: str
    sha256: str
    note: str
    error: str


Write: TypeAlias = Callable[[Sequence[Row]], None]
SCHEMA = pa.schema([(name, pa.float64() if name == "probability" else pa.string()) for name in Row._fields])


def write_csv() -> Write:
    """Writes CSV to standard output, with a header; probabilities have six decimals."""
    sys.stdout.write(csv_text([Row._fields]))

    def write(rows: Sequence[Row]) -> None:
        sys.stdout.write(csv_text([row._replace(probability=_decimals(row, 6)) for row in rows]))  # type: ignore[arg-type]
        sys.stdout.flush()

    return write


def write_json_lines() -> Write:
    """Writes one JSON object per line to standard output."""

    def write(rows: Sequence[Row]) -> None:
        sys.stdout.write("".join(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows))
        sys.stdout.flush()

    return write


@contextmanager
def parquet_writer(path: Path) -> Iterator[Write]:
    """Writes a Parquet file, which is there once all rows are."""
    with written_beside(path) as beside, pq.ParquetWriter(beside, SCHEMA, compression="zstd") as writer:

        def write(rows: Sequence[Row]) -> None:
            columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), SCHEMA.types, strict=True)]
            writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))

        yield write


def write_table(paths: Sequence[str], class_names: Sequence[str], version: str) -> Write:
    """Writes aligned columns to standard output; on a terminal, long paths lose their beginning and a progress bar stays below."""
    label = max([len("label"), *(len(shown(name)) for name in class_names)])
    ver = max(len("version"), len(version))
    path = max([len("path"), *(len(shown(name)) for name in paths)])
    if sys.stdout.isatty():
        others = label + ver + len("probability") + SHA_SHOWN + 8
        path = min(path, max(SHORTEST_PATH, shutil.get_terminal_size().columns - others))

    def line(cells: Sequence[str], note: str) -> str:
        name = cells[0] if len(cells[0]) <= path or not sys.stdout.isatty() else f"…{cells[0][1 - path :]}"
        texts = (f"{name:{path}}", f"{cells[1]:{label}}", f"{cells[2]:>11}", f"{cells[3]:>{ver}}", f"{cells[4]:{SHA_SHOWN}}", note)
        return "  ".join(texts).rstrip()

    def write(rows: Sequence[Row]) -> None:
        lines = [
            line(
                (
                    shown(row.path),
                    shown(row.label) if row.label is not None else "",
                    _decimals(row, 4),
                    row.version,
                    row.sha256[:SHA_SHOWN],
                ),
                f"error: {row.error}" if row.error else f"note: {row.note}" if row.note else "",
            )
            for row in rows
        ]
        tqdm.write("\n".join(lines), file=sys.stdout)
        sys.stdout.flush()

    tqdm.write(line(("path", "label", "probability", "version", "sha256"), ""), file=sys.stdout)
    return write


def _decimals(row: Row, count: int) -> str:
    return "" if row.probability is None else f"{row.probability:.{count}f}"
