"""What was found in a data set, told to people: findings.csv, rejected.csv and report.html. Finds nothing itself."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.data_report import (
    KINDS,
    MOST_EXAMPLES,
    Action,
    DataReport,
    Example,
    FindingGroup,
    Picture,
    render,
    thumbnail,
    thumbnails_per_class,
)
from pipeline.ml.class_checks import ClassProblem
from pipeline.ml.copies import Copies
from pipeline.ml.images import FORMATS, decode
from pipeline.ml.inspection import MODES
from pipeline.ml.split_names import SPLITS
from pipeline.stores.files import write_bytes
from pipeline.stores.intake import Images
from pipeline.stores.records import LeftOut
from pipeline.stores.shards import read_rows

COLUMNS = ("finding", "action", "path", "label", "split", "other_path", "other_label", "other_split", "note")
ACTIONS: Mapping[str, Action] = {"reject": "rejected", "keep": "kept", "fail": "failed"}
RELATIONS = {
    "conflict": "the same pixels as {} in another class",
    "leak": "the same pixels as {} in {}",
    "duplicate": "the same pixels as {}",
    "near_conflict": "nearly the same as {} in another class",
    "near_leak": "nearly the same as {} in {}",
    "near_duplicate": "nearly the same as {}",
}


class Subject(NamedTuple):
    """What a finding is about: a file, or an image with its row."""

    path: str
    label: str = ""
    split: str = ""
    row: int = -1


@dataclass(frozen=True)
class Finding:
    """One line of findings.csv. `other` is what the subject is a copy of; `rejected` says whether the subject itself is left out."""

    kind: str
    action: Action
    subject: Subject
    other: Subject | None
    note: str
    rejected: bool


@dataclass(frozen=True)
class Judged:
    """The images with what was decided about them. splits: int8 (N,), places in SPLITS. kept: bool (N,)."""

    images: Images
    shards: Sequence[Path]
    splits: np.ndarray
    kept: np.ndarray

    def subjects(self, rows: Iterable[int]) -> dict[int, Subject]:
        """The images of some rows."""
        paths = read_rows(self.shards, self.images.shard_lengths, rows, "path")
        labels = self.images.facts["label"]
        return {row: Subject(str(path), self.images.labels[labels[row]], SPLITS[self.splits[row]], row) for row, path in paths.items()}

    def pictures(self, rows: Iterable[int]) -> dict[int, bytes]:
        """A thumbnail of each image of some rows."""
        encoded = read_rows(self.shards, self.images.shard_lengths, rows, "bytes")
        return {row: thumbnail(decode(content)) for row, content in encoded.items() if isinstance(content, bytes)}


def list_findings(
    judged: Judged, misnamed: Copies, copies: Sequence[Copies], problems: Sequence[ClassProblem], policies: Mapping[str, str]
) -> list[Finding]:
    """Everything that was found, in the order in which it was looked for."""
    unusable = ACTIONS[policies["unusable"]]
    findings = [
        Finding(fault.finding, unusable, Subject(fault.path), None, fault.reason, rejected=True) for fault in judged.images.left_out
    ]
    subjects = judged.subjects(
        {*misnamed.rows.tolist(), *(row for found in copies for row in (*found.pairs.ravel().tolist(), *found.rows.tolist()))}
    )
    for row in misnamed.rows.tolist():
        note = f"its content is {FORMATS[judged.images.facts['format'][row]]}"
        findings.append(Finding("wrong_type", ACTIONS[misnamed.policy], subjects[row], None, note, misnamed.policy == "reject"))
    for found in copies:
        findings += _copies(found, subjects)
    for problem in problems:
        about = Subject("", ", ".join(problem.classes))
        policy = policies.get(problem.kind, policies["class_problem"])
        findings.append(Finding(problem.kind, ACTIONS[policy], about, None, problem.note, rejected=False))
    return findings


def _copies(found: Copies, subjects: Mapping[int, Subject]) -> list[Finding]:
    """A line for each pair; where `reject` leaves out the first of a pair, too, a line for that."""
    rejected = set(found.rows.tolist()) if found.policy == "reject" else set()
    findings, told = [], set()
    for first, second in found.pairs.tolist():
        for row, other in ((second, first), (first, second)):
            if row == second or (row in rejected and row not in told):
                note = RELATIONS[found.kind].format(subjects[other].path, subjects[other].split)
                findings.append(Finding(found.kind, ACTIONS[found.policy], subjects[row], subjects[other], note, row in rejected))
                told.add(row)
    return findings


def count_findings(findings: Sequence[Finding]) -> dict[str, int]:
    """How many findings there are of each kind that was found."""
    counts = Counter(finding.kind for finding in findings)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def rejections(findings: Sequence[Finding]) -> list[LeftOut]:
    """What is left out, sorted by path, each with the first reason."""
    first: dict[str, LeftOut] = {}
    for finding in findings:
        if finding.rejected:
            first.setdefault(finding.subject.path, LeftOut(finding.subject.path, finding.kind, finding.note))
    return sorted(first.values())


def write_findings(folder: Path, findings: Sequence[Finding], rejected: Sequence[LeftOut]) -> None:
    """Write findings.csv, everything that was found, and rejected.csv, what was left out."""
    lines = [
        (finding.kind, finding.action, *finding.subject[:3], *(finding.other[:3] if finding.other else ("", "", "")), finding.note)
        for finding in findings
    ]
    write_bytes(folder / "findings.csv", _csv([COLUMNS, *lines]))
    write_bytes(folder / "rejected.csv", _csv([LeftOut._fields, *rejected]))


def write_page(
    path: Path, judged: Judged, class_names: Sequence[str], findings: Sequence[Finding], described: Mapping[str, object]
) -> None:
    """Write report.html. described: what report.json says, see stages/ingest.py."""
    groups: dict[tuple[str, Action], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.kind, finding.action), []).append(finding)
    shown = [finding for group in groups.values() for finding in group[:MOST_EXAMPLES]]
    examples = {subject.row for finding in shown for subject in (finding.subject, finding.other) if subject and subject.row >= 0}
    by_class = _rows_to_show(judged, class_names)
    pictures = judged.pictures({*examples, *(row for rows in by_class.values() for row in rows)})
    facts = judged.images.facts[judged.kept]
    sizes = zip(facts["width"].tolist(), facts["height"].tolist(), strict=True)
    report = DataReport(
        **{name: described[name] for name in ("name", "source", "digest", "images", "counts")},  # type: ignore[arg-type]
        left_out=int(str(described["rejected"])),
        class_names=class_names,
        sizes_px=Counter(sizes),
        modes={MODES[mode]: count for mode, count in _counted(facts["mode"])},
        formats={FORMATS[number]: count for number, count in _counted(facts["format"])},
        thumbnails={name: [pictures[row] for row in rows] for name, rows in by_class.items()},
        findings=[_group(kind, action, group, pictures) for (kind, action), group in groups.items()],
        looked_for=list(KINDS),
    )
    write_bytes(path, render(report))


def _group(kind: str, action: Action, findings: Sequence[Finding], pictures: Mapping[int, bytes]) -> FindingGroup:
    examples = []
    once = {frozenset((finding.subject, finding.other)): finding for finding in reversed(findings[:MOST_EXAMPLES])}
    for finding in reversed(once.values()):  # both of a pair may be left out: it is shown once
        subjects = [subject for subject in (finding.other, finding.subject) if subject and subject.path]
        shown = [Picture(each.path, each.label or None, each.split or None, pictures.get(each.row)) for each in subjects]
        about = finding.subject.label if not finding.subject.path else ""
        note = "" if finding.other else finding.note  # the pictures stand side by side
        examples.append(Example(shown, f"{about}: {note}" if about else note))
    return FindingGroup(kind, action, len(findings), examples)


def _rows_to_show(judged: Judged, class_names: Sequence[str]) -> dict[str, list[int]]:
    """Rows of some images of each class, spread over the first shard that has some of it: few shards have to be read."""
    shard = np.repeat(np.arange(len(judged.images.shard_lengths)), judged.images.shard_lengths)
    most = thumbnails_per_class(len(class_names))
    chosen = {}
    for name in class_names:
        rows = np.flatnonzero(judged.kept & (judged.images.facts["label"] == judged.images.labels.index(name)))
        rows = rows[shard[rows] == shard[rows[0]]]
        chosen[name] = rows[np.unique(np.linspace(0, len(rows) - 1, most).astype(int))].tolist()
    return chosen


def _counted(values: np.ndarray) -> list[tuple[int, int]]:
    numbers, counts = np.unique(values, return_counts=True)
    return list(zip(numbers.tolist(), counts.tolist(), strict=True))


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")
