"""What a person has said so far and what comes next. Every answer is on the disk before the next image is shown; knows nothing of HTTP."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline.labels.suspects import Suspect
from pipeline.labels.verdict import Verdict, answer_called
from pipeline.labels.verdict_file import add_verdict, fault_of, read_lines, read_verdicts, take_back
from pipeline.names import shown

BATCH = 20
ENOUGH_CHANGED = 0.2
"""Share of the last batch: with fewer changes, the rest of the list is hardly worth a person's time."""


class AnswerError(Exception):
    """Why an answer is not taken, in one line."""


@dataclass(frozen=True)
class Progress:
    """this_week: how many images were judged since Monday, by anybody. advice: when it is time to stop, and why; else empty."""

    this_week: int
    budget: int
    advice: str


class Session:
    """The suspects in order and the file of verdicts. `today` is asked anew for each answer, as a session may last over midnight."""

    def __init__(
        self, suspects: Sequence[Suspect], file: Path, class_names: Sequence[str], budget: int, reviewer: str, today: Callable[[], date]
    ) -> None:
        self._suspects, self._file, self._class_names = suspects, file, class_names
        self._budget, self._reviewer, self._today = budget, reviewer, today
        self._given: list[Verdict] = []

    @property
    def given(self) -> Sequence[Verdict]:
        """The verdicts of this session, without those that were taken back."""
        return self._given

    def waiting(self) -> list[Suspect]:
        """Those without a verdict, as the file is now, the most doubtful first."""
        judged = read_verdicts(self._file)
        return [suspect for suspect in self._suspects if not is_judged(suspect, judged)]

    def answer(self, sha256: str, verdict: str, label: str = "") -> None:
        """Write a verdict. Raises AnswerError if it makes no sense, or the image has one already."""
        suspect = next((suspect for suspect in self.waiting() if suspect.sha256 == sha256), None)
        if suspect is None:
            raise AnswerError("This image has a verdict already, perhaps from another window. Reload the page.")
        if fault := fault_of(verdict, label, suspect.label):
            raise AnswerError(f"{fault}.")
        if verdict == "change" and label not in self._class_names:
            raise AnswerError(f"{shown(label)} is not a class.")
        if verdict == "change" and label == suspect.label:
            raise AnswerError(f"The image is in {shown(label)} already. To confirm that, keep it.")
        today = self._today().isoformat()
        given = Verdict(sha256, answer_called(verdict), label, suspect.label, shown(suspect.path), self._reviewer, today)
        before = read_verdicts(self._file).get(sha256)
        if before and given.contradicts(before):
            raise AnswerError(
                f"Line {before.line} of {self._file.name} says {before.in_words}. If that is wrong, delete it, then answer again."
            )
        add_verdict(self._file, given)
        self._given.append(given)

    def undo(self) -> None:
        """Take back the last verdict of this session. Raises AnswerError if there is none."""
        if not self._given:
            raise AnswerError("There is nothing to undo: only answers of this session can be taken back.")
        take_back(self._file, self._given.pop())

    def progress(self) -> Progress:
        """How far this week's budget is used, and whether to stop."""
        today = self._today()
        week = [verdict for verdict in read_lines(self._file) if _same_week(verdict.date, today)]
        return Progress(len(week), self._budget, advice(week, self._budget))


def is_judged(suspect: Suspect, verdicts: Mapping[str, Verdict]) -> bool:
    """Whether an image has a verdict that holds for its class."""
    verdict = verdicts.get(suspect.sha256)
    return verdict is not None and verdict.settles(suspect.label)


def advice(week: Sequence[Verdict], budget: int) -> str:
    """When to stop, from this week's verdicts in their order: the budget is used up, or few of the last were changed; empty before."""
    batch = min(BATCH, budget)
    last = week[-batch:]
    changed = sum(verdict.verdict in ("change", "bad") for verdict in last)
    if len(last) == batch and changed < ENOUGH_CHANGED * batch:
        few = f"Only {changed}" if changed else "None"
        return f"{few} of the last {batch} were changed: time to stop. The rest is probably right."
    if len(week) >= budget:
        return f"{len(week):,} images were judged this week: the budget is used up."
    return ""


def _same_week(day: str, today: date) -> bool:
    return bool(day) and date.fromisoformat(day).isocalendar()[:2] == today.isocalendar()[:2]
