"""The findings about a data set as lines: one for each file, pair or class. Makes no checks; values in, values out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from pipeline.csv_text import csv_text
from pipeline.images.decoding import FORMATS
from pipeline.listing.records import LeftOut
from pipeline.names import listed, shown
from pipeline.quality.class_checks import ClassProblem
from pipeline.quality.copies import Copies
from pipeline.quality.kinds import in_words, kinds

Action = Literal["failed", "rejected", "kept"]

COLUMNS = ("finding", "action", "path", "label", "split", "other_path", "other_label", "other_split", "note")
ACTIONS: Mapping[str, Action] = {"reject": "rejected", "keep": "kept", "fail": "failed"}
BESIDE = {"unlabelled", "side_file", "system"}  # left out, but no image of a class is lost with them
NOTES = {
    "unused_table",
    "empty_folder",
    "other_task",
    "name_encoding",
    "linked_folder",
    "unused_ignore",
    "series",
}  # about the source, not about a file that could be an image
PRINTED = (
    "group_leak",
    "moved_images",
    "uneven_range",
    "similar_names",
)  # with the first of them, since they make results worth less than they look
RELATIONS = {
    "conflict": "the same pixels as {} in another class",
    "leak": "the same pixels as {} in {}",
    "duplicate": "the same pixels as {}",
    "near_conflict": "nearly the same as {} in another class",
    "near_leak": "nearly the same as {} in {}",
    "near_duplicate": "nearly the same as {}",
}


class Subject(NamedTuple):
    """The subject of a finding: a file, or an image with its row."""

    path: str
    label: str = ""
    split: str = ""
    row: int = -1


class ImageProblem(NamedTuple):
    """A finding about one image: its kind, the row, and a note. It is left out only if the policy of the kind is `reject`."""

    kind: str
    row: int
    note: str


@dataclass(frozen=True)
class Finding:
    """One line of findings.csv. `other` is the image that the subject is a copy of, or the other of two classes; `rejected`: whether the subject is
    left out.
    """

    kind: str
    action: Action
    subject: Subject
    other: Subject | None
    note: str
    rejected: bool

    @property
    def about(self) -> str:
        """What it is about, for a message: the file, or the classes; may be empty."""
        if self.subject.path:
            return shown(self.subject.path)
        return listed(subject.label for subject in (self.subject, self.other) if subject and subject.label)


def rows_named(misnamed: Copies, copies: Sequence[Copies], seen: Sequence[ImageProblem]) -> set[int]:
    """The rows of the images that findings are about."""
    in_copies = (row for found in copies for row in (*found.pairs.ravel().tolist(), *found.rows.tolist()))
    return {*misnamed.rows.tolist(), *in_copies, *(problem.row for problem in seen)}


def list_findings(
    left_out: Sequence[LeftOut],
    misnamed: Copies,
    copies: Sequence[Copies],
    seen: Sequence[ImageProblem],
    problems: Sequence[ClassProblem],
    subjects: Mapping[int, Subject],
    formats: np.ndarray,
    policies: Mapping[str, str],
) -> list[Finding]:
    """All findings, in the order of the checks. subjects: those of `rows_named`. formats: (N,), indices into FORMATS."""
    unusable = ACTIONS[policies["unusable"]]
    findings = [_of_file(fault, unusable) for fault in left_out]
    for one in seen:
        action = ACTIONS[policies.get(one.kind, "keep")]
        findings.append(Finding(one.kind, action, subjects[one.row], None, one.note, rejected=action == "rejected"))
    for row in misnamed.rows.tolist():
        note = f"its content is {FORMATS[formats[row]]}"
        findings.append(Finding("wrong_type", ACTIONS[misnamed.policy], subjects[row], None, note, misnamed.policy == "reject"))
    for found in copies:
        findings += _copies(found, subjects)
    for problem in problems:
        about, other = (Subject("", name) for name in (*problem.classes, "", "")[:2])
        policy = policies.get(problem.kind, policies["class_problem"] if problem.classes else "keep")
        findings.append(Finding(problem.kind, ACTIONS[policy], about, other if other.label else None, problem.note, rejected=False))
    return findings


def _of_file(fault: LeftOut, unusable: Action) -> Finding:
    action: Action = "kept" if fault.finding in NOTES else "rejected" if fault.finding in BESIDE else unusable
    return Finding(fault.finding, action, Subject(fault.path), None, fault.reason, rejected=fault.finding not in NOTES)


def _copies(found: Copies, subjects: Mapping[int, Subject]) -> list[Finding]:
    """A line for each pair, and one for the first of a pair if `reject` leaves it out too."""
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
    """The number of findings by kind, without zeros."""
    counts = Counter(finding.kind for finding in findings)
    return {kind: counts[kind] for kind in kinds() if counts[kind]}


def printed(findings: Sequence[Finding]) -> list[str]:
    """A line for each kind that is printed with the first of its findings."""
    lines = []
    for kind in PRINTED:
        of_kind = [finding for finding in findings if finding.kind == kind]
        if of_kind:
            first, more = of_kind[0], len(of_kind) > 1
            named = first.subject.path or (first.about if first.other else "")
            about = (", for example" if more else ":") + (f" {named}:" if named else "")
            lines.append(f"{in_words(kind, len(of_kind))}{about} {of_kind[0].note}")
    return lines


def rejections(findings: Sequence[Finding], *, beside: bool = False) -> list[LeftOut]:
    """The images left out, sorted by path, each with its first reason; with `beside` instead the files with which no image of a class is lost."""
    first: dict[str, LeftOut] = {}
    for finding in findings:
        if finding.rejected and (finding.kind in BESIDE) == beside:
            first.setdefault(finding.subject.path, LeftOut(finding.subject.path, finding.kind, finding.note))
    return sorted(first.values())


def findings_csv(findings: Sequence[Finding]) -> bytes:
    """findings.csv: all findings."""
    lines = [
        (finding.kind, finding.action, *finding.subject[:3], *(finding.other[:3] if finding.other else ("", "", "")), finding.note)
        for finding in findings
    ]
    return _csv([COLUMNS, *lines])


def rejected_csv(rejected: Sequence[LeftOut]) -> bytes:
    """rejected.csv: the files left out."""
    return _csv([LeftOut._fields, *rejected])


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    return csv_text(rows).encode("utf-8", "backslashreplace")
