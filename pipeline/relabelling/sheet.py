"""The same without a page: suspects as a CSV file that a person fills in, and its lines as verdicts."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from pathlib import Path

from pipeline.csv_text import csv_text
from pipeline.dataset.intake import LabelledImage
from pipeline.errors import ConfigError
from pipeline.files import write_bytes
from pipeline.labels.suspects import Suspect
from pipeline.labels.verdict import ANSWERS, Verdict, answer_called
from pipeline.labels.verdict_file import SHA256, fault_of
from pipeline.names import listed, shown

AGAIN = "Do not sort single columns or move cells: write the file again with `pipeline relabel --csv`, and put the verdicts in."
MOST_CLASSES_NAMED = 10
COLUMNS = ("path", "label", "suggestion", "verdict", "new_label", "sha256")


def write_sheet(path: Path, suspects: Iterable[Suspect]) -> None:
    """Write the suspects, with empty columns for the verdicts. Raises ConfigError if the file exists: it may have verdicts."""
    if path.exists():
        raise ConfigError(f"{path} exists, perhaps with verdicts in it. Read it with `pipeline relabel --from {path}`, or delete it.")
    rows = ((suspect.path, suspect.label, suspect.suggested, "", "", suspect.sha256) for suspect in suspects)
    write_bytes(path, csv_text([COLUMNS, *rows]).encode("utf-8", "backslashreplace"))


def read_sheet(path: Path, class_names: Collection[str], reviewer: str, today: date) -> list[Verdict]:
    """The verdicts that a person filled in, each with its line; lines without one are left out. Raises ConfigError for the first that makes no sense."""
    verdicts = []
    for line, row in _rows(path):
        if row["verdict"] or row["new_label"]:
            verdicts.append(_verdict(f"{path}:{line}", line, row, class_names, reviewer, today))
    return verdicts


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows by column, each with the number of its line. A spreadsheet may have put semicolons or tabs for commas."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}. Save it as CSV in UTF-8."
        ) from None
    delimiter = next((sign for sign in ",;\t" if sign in text.partition("\n")[0]), ",")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    if lacking := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
        raise ConfigError(
            f"{path}:1: column {lacking[0]} is missing. Expected {','.join(COLUMNS)}, as `pipeline relabel --csv` writes them."
        )
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num}: {error}.") from None
    if cut := next((line for line, row in rows if None in row.values()), None):
        raise ConfigError(f"{path}:{cut}: the line has too few fields. Expected {','.join(COLUMNS)}.")
    return rows


def _verdict(place: str, line: int, row: dict[str, str], class_names: Collection[str], reviewer: str, today: date) -> Verdict:
    said = row["verdict"].strip().lower()
    label = (row["new_label"] or row["suggestion"]) if said == "change" else row["new_label"]
    fault = fault_of(said, label, row["label"]) if said else "new_label is filled in, but verdict is empty; expected change"
    if not SHA256.fullmatch(row["sha256"]):
        fault = f"sha256 is {shown(row['sha256'])}; expected it as `pipeline relabel --csv` wrote it"
    elif not fault and label and label not in class_names:
        fault = f"{shown(label)} is not a class of the data set. Its classes are {listed(sorted(class_names), MOST_CLASSES_NAMED)}"
    elif not fault and label and label == row["label"]:
        fault = f"{shown(label)} is the label already; expected keep, or another class"
    if fault:
        raise ConfigError(f"{place}: {fault}.")
    return Verdict(row["sha256"], answer_called(said), label, row["label"], shown(row["path"]), reviewer, today.isoformat(), line)


def refuse_mixed_rows(verdicts: Iterable[Verdict], images: Iterable[LabelledImage], file: Path) -> None:
    """Raise ConfigError, with file and line, for a verdict whose sha256 and path, or class, are those of different images.

    That happens where one column was sorted or moved. An image that the last run does not have is accepted: it may come back.
    """
    by_sha256: dict[str, list[LabelledImage]] = {}
    by_path: dict[str, set[str]] = {}
    for image in images:
        by_sha256.setdefault(image.sha256, []).append(image)
        by_path.setdefault(shown(image.path), set()).add(image.sha256)
    for verdict in verdicts:
        found, here = by_sha256.get(verdict.sha256, []), by_path.get(verdict.path, set())
        of_sha256 = f"that of {shown(found[0].path)}, {shown(found[0].label)}" if found else "of no image of the last run"
        if here and verdict.sha256 not in here:
            raise ConfigError(f"{file}:{verdict.line}: the path is {verdict.path}, but the sha256 is {of_sha256}. {AGAIN}")
        if found and verdict.was not in {image.label for image in found}:
            raise ConfigError(
                f"{file}:{verdict.line}: the label is {shown(verdict.was) or 'empty'}, but the sha256 is {of_sha256}. {AGAIN}"
            )


def in_words(verdicts: Sequence[Verdict]) -> str:
    """How many of each kind, for example "2 change, 1 keep"."""
    counts = {answer: sum(verdict.verdict == answer for verdict in verdicts) for answer in ANSWERS}
    return ", ".join(f"{count:,} {answer}" for answer, count in counts.items() if count)
