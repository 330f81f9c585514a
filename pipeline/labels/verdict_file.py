"""data/verdicts.csv on the disk: a line per verdict, kept in git and merged line by line (.gitattributes).

A line is added or taken back by writing the whole file beside and renaming it, so a kill at any moment leaves all verdicts given before.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.csv_text import csv_text
from pipeline.errors import ConfigError
from pipeline.files import write_bytes
from pipeline.labels.verdict import ANSWERS, COLUMNS, OPTIONAL, Verdict, answer_called
from pipeline.names import listed, shown

HEADER = ",".join(COLUMNS)
SHA256 = re.compile("[0-9a-f]{64}")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def read_verdicts(path: Path) -> dict[str, Verdict]:
    """The verdict on each image by sha256, in the order of the file; empty without a file. A sure answer replaces `unsure`, in whichever order.

    Raises ConfigError, with file and line, for a line that cannot be read, and for two that say different things of one image.
    """
    found: dict[str, Verdict] = {}
    for verdict in read_lines(path):
        before = found.get(verdict.sha256)
        if before is None or before.verdict == "unsure":
            found[verdict.sha256] = verdict
        elif verdict.contradicts(before):
            raise ConfigError(
                f"{path}:{verdict.line}: {shown(verdict.path or verdict.sha256)} is {verdict.in_words} here, but {before.in_words} in line "
                f"{before.line}. Decide which is right, and delete the other line."
            )
    return found


def read_lines(path: Path) -> list[Verdict]:
    """Every line of the file, in its order. Raises ConfigError, with file and line, for one that cannot be read."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}. Save it as CSV in UTF-8."
        ) from None
    rows = _rows(path, text) or [(1, list(COLUMNS))]
    header = rows[0][1]
    _check_header(path, header)
    return [_read(path, header, line, row) for line, row in rows[1:] if row]


def add_verdict(path: Path, verdict: Verdict) -> None:
    """Append a verdict; it is on the disk when this returns."""
    add_verdicts(path, [verdict])


def add_verdicts(path: Path, verdicts: Iterable[Verdict]) -> None:
    """Append verdicts, all or none of them."""
    before = path.read_bytes() if path.exists() else b""
    if not before.strip():
        before = f"{HEADER}\n".encode()
    write_bytes(path, before + (b"" if before.endswith(b"\n") else b"\n") + _lines(verdicts))


def take_back(path: Path, verdict: Verdict) -> None:
    """Remove the last line that is this verdict; other lines stay as they are, byte for byte. Nothing happens if there is none."""
    before, line = path.read_bytes(), _lines([verdict])
    head, found, tail = before.rpartition(b"\n" + line)
    if found:
        write_bytes(path, head + b"\n" + tail)


def _lines(verdicts: Iterable[Verdict]) -> bytes:
    return csv_text(verdict.cells for verdict in verdicts).encode("utf-8", "backslashreplace")


def _rows(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """The rows, each with the number of the line on which it begins. Raises ConfigError."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, line = [], 1
    try:
        for row in reader:
            rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError(f"{path}:{line}: {error}. Expected a line of {HEADER}.") from None
    return rows


def _check_header(path: Path, header: Sequence[str]) -> None:
    lacking = [name for name in COLUMNS if name not in header and name not in OPTIONAL]
    unknown = [name for name in header if name not in COLUMNS]
    if lacking or unknown or len(set(header)) < len(header):
        raise ConfigError(f"{path}:1: the first line is {shown(','.join(header))}. Expected {HEADER}.")


def _read(path: Path, header: Sequence[str], line: int, row: Sequence[str]) -> Verdict:
    """A row as a verdict. Raises ConfigError."""
    if len(row) != len(header):
        raise ConfigError(f"{path}:{line}: {len(row)} fields; expected the {len(header)} of the first line, {','.join(header)}.")
    cells = dict(zip(header, row, strict=True))
    fault = fault_of(cells["verdict"], cells["label"], cells["was"])
    if not SHA256.fullmatch(cells["sha256"]):
        fault = f"sha256 is {shown(cells['sha256'])}; expected 64 hexadecimal digits, as in data/ingest/index.parquet"
    elif cells.get("date") and not DATE.fullmatch(cells["date"]):
        fault = f"date is {shown(cells['date'])}; expected a day such as 2026-03-31, or nothing"
    if fault:
        raise ConfigError(f"{path}:{line}: {fault}.")
    said = cells.pop("verdict")
    return Verdict(verdict=answer_called(said), line=line, **cells)


def fault_of(verdict: str, label: str, was: str) -> str:
    """What is wrong with a verdict, the class that it gives and the one before; empty if they fit together."""
    if verdict not in ANSWERS:
        return f"verdict is {shown(verdict)}; expected {listed(ANSWERS[:-1])} or {ANSWERS[-1]}"
    if verdict == "change" and not label:
        return "the verdict is change, but label is empty; expected the right class"
    if verdict == "keep" and not was:
        return "the verdict is keep, but was is empty; expected the class that is right"
    if verdict != "change" and label:
        return f"the verdict is {verdict}, but label is {shown(label)}; only change gives another class"
    return ""
