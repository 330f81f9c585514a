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

from pipeline.certainty.calibration import UNSURE
from pipeline.csv_text import csv_text
from pipeline.files import written_beside
from pipeline.names import shown

SHA_SHOWN = 12
SHORTEST_PATH = 20


class Row(NamedTuple):
    """One image. Of an image that cannot be used, label and probability are None, and error says why. decision: sure, unsure, or empty if not known.

    one_of: the candidates, empty if not known; in CSV as JSON, for a class may have any name.
    """

    path: str
    label: str | None
    probability: float | None
    decision: str
    one_of: Sequence[str]
    version: str
    sha256: str
    note: str
    error: str


Write: TypeAlias = Callable[[Sequence[Row]], None]
TYPES = {"probability": pa.float64(), "one_of": pa.list_(pa.string())}
SCHEMA = pa.schema([(name, TYPES.get(name, pa.string())) for name in Row._fields])


def write_csv() -> Write:
    """Writes CSV to standard output, with a header; probabilities have six decimals."""
    sys.stdout.write(csv_text([Row._fields]))

    def write(rows: Sequence[Row]) -> None:
        lines = (row._replace(probability=_decimals(row, 6), one_of=_in_csv(row)) for row in rows)  # type: ignore[arg-type]
        sys.stdout.write(csv_text(list(lines)))
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
                _remark(row),
            )
            for row in rows
        ]
        tqdm.write("\n".join(lines), file=sys.stdout)
        sys.stdout.flush()

    tqdm.write(line(("path", "label", "probability", "version", "sha256"), ""), file=sys.stdout)
    return write


def _remark(row: Row) -> str:
    """What stands at the end of a line: an error, or that the answer is unsure, other candidates, and a note."""
    if row.error:
        return f"error: {row.error}"
    others = f"one of: {', '.join(map(shown, row.one_of))}" if len(row.one_of) > 1 else ""
    said = [row.decision if row.decision == UNSURE else "", others, f"note: {row.note}" if row.note else ""]
    return "; ".join(filter(None, said))


def _in_csv(row: Row) -> str:
    return json.dumps(list(row.one_of), ensure_ascii=False) if row.one_of else ""


def _decimals(row: Row, count: int) -> str:
    return "" if row.probability is None else f"{row.probability:.{count}f}"
