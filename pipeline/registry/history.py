"""The history of a registered model: who moved which alias, when (UTC), from which version to which, and why.

It is kept with the model itself, as one tag per line, so it is the same for everybody who uses the registry. A line names the lines before it by
their sha256 and has its own in its key: a line that is changed, removed or put in between later is found. Writers never overwrite each other's
lines: two that write at once make a fork, which the next line joins. The tag `history_head` names the last line that was carried out. Pure functions
of tags.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

KEY = "history "
HEAD_TAG = "history_head"
LONGEST_REASON = 1000
"""Characters: a tag of a registered model has room for 5,000 in PostgreSQL and MySQL."""
AT_ONCE = timedelta(minutes=1)
"""Two lines that do not know of each other were written at the same time, give or take clocks that differ."""
FIELDS = ("at", "who", "action", "alias", "from", "to", "why", "before", "not_done")


@dataclass(frozen=True)
class Line:
    """One move of an alias.

    number: 1 for the first line, else one more than the lines before it. action: `gate`, `promote` or `rollback`. origin, target: versions, None for
    "no version". before: digests of the lines before it. not_done: digests of lines that their writer did not carry out.
    """

    at: str
    who: str
    action: str
    alias: str
    origin: str | None
    target: str | None
    why: str
    before: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()
    number: int = 1

    @property
    def text(self) -> str:
        """The line as it is stored."""
        values = (self.at, self.who, self.action, self.alias, self.origin, self.target, self.why, self.before, self.not_done)
        return json.dumps(dict(zip(FIELDS, values, strict=True)) | {"number": self.number}, ensure_ascii=False)

    @property
    def digest(self) -> str:
        """sha256 of the stored line, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def is_changed(self) -> bool:
        """Whether the line is not what was written."""
        return False

    @property
    def key(self) -> str:
        """The key of its tag; keys sort in the order of the lines."""
        return f"{KEY}{self.number:05d} {self.digest}"


@dataclass(frozen=True)
class History:
    """The lines of a registered model in their order, the head, and what is wrong with them: one sentence each."""

    lines: tuple[Line, ...]
    head: str
    faults: tuple[str, ...]

    @property
    def ends(self) -> list[Line]:
        """The lines that no other line names: the next line names them all."""
        named = {digest for line in self.lines for digest in line.before}
        return [line for line in self.lines if line.digest not in named]

    @property
    def unfinished(self) -> list[Line]:
        """Lines after the head: their alias may not have been moved yet, by a command that is at work or was killed."""
        void = {digest for line in self.lines for digest in line.not_done}
        reached = next((line.number for line in self.lines if line.digest == self.head), None if self.head else 0)
        if reached is None:
            return []  # the last line is gone, so nothing tells which was carried out
        return [line for line in self.ends if line.number > reached and line.digest not in void]

    @property
    def carried_out(self) -> list[Line]:
        """The lines without those that a later line says were not carried out."""
        void = {digest for line in self.lines for digest in line.not_done}
        return [line for line in self.lines if line.digest not in void]


def read_history(tags: Mapping[str, str]) -> History:
    """The history in the tags of a registered model."""
    entries = {key: value for key, value in tags.items() if key.startswith(KEY)}
    parsed = {key: _parse(value) for key, value in entries.items()}
    head = tags.get(HEAD_TAG, "")
    changed = [_changed(key, entries[key], line) for key, line in sorted(parsed.items())]
    named = sorted((_Named(**vars(line), name=key.split(" ")[-1]) for key, line in parsed.items() if line), key=_order)
    unread = {key.split(" ")[-1] for key, line in parsed.items() if line is None}
    gone = _gone(named, head, unread)
    between = [] if unread or gone else _put_between(named)  # next to a gap, lines do not name each other
    found = [fault for fault in changed if fault] + gone + between + _beyond(named, head)
    return History(tuple(named), head, tuple(found))


@dataclass(frozen=True)
class _Named(Line):
    """A line by the digest in its key, so that a changed one, which is told, is not also said to be missing where others name it."""

    name: str = ""

    @property
    def is_changed(self) -> bool:
        return super().digest != self.name

    @property
    def digest(self) -> str:
        return self.name


def _order(line: Line) -> tuple[int, str, str]:
    return line.number, line.at, line.digest


def short(line: Line) -> str:
    """A line by its number and the start of its digest, as people name it."""
    return f"line {line.number} ({line.digest[:12]})"


def incomparable(lines: Sequence[Line]) -> list[tuple[Line, Line]]:
    """Pairs of lines of which neither comes after the other, in the order of the lines."""
    place = {line.digest: i for i, line in enumerate(lines)}
    earlier: list[int] = []  # a bit for each line that comes before
    for i, line in enumerate(lines):
        known = [place[digest] for digest in line.before if place.get(digest, i) < i]
        earlier.append(_union(earlier[k] | 1 << k for k in known))
    pairs = []
    for i, line in enumerate(lines):
        beside = ((1 << i) - 1) & ~earlier[i]
        while beside:
            lowest = (beside & -beside).bit_length() - 1
            pairs.append((lines[lowest], line))
            beside &= beside - 1
    return pairs


def are_at_once(one: Line, other: Line) -> bool:
    """Whether two lines were written at the same time."""
    return abs(datetime.fromisoformat(one.at) - datetime.fromisoformat(other.at)) <= AT_ONCE


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union


def _parse(text: str) -> Line | None:
    try:
        said = json.loads(text)
        at, who, action, alias, origin, target, why = (said[name] for name in FIELDS[:7])
        line = Line(at, who, action, alias, origin, target, why, tuple(said["before"]), tuple(said["not_done"]), said["number"])
        datetime.fromisoformat(line.at)
    except (ValueError, TypeError, KeyError):
        return None
    texts: Collection[object] = (line.at, line.who, line.action, line.alias, line.why, *line.before, *line.not_done)
    versions = (line.origin, line.target)
    whole = all(isinstance(value, str) for value in texts) and all(value is None or isinstance(value, str) for value in versions)
    return line if whole and type(line.number) is int and line.number > 0 else None


def _changed(key: str, text: str, line: Line | None) -> str:
    """What is wrong with a line by itself; empty if nothing is."""
    named = f"line {key.removeprefix(KEY)[:5].lstrip('0')} ({key.split(' ')[-1][:12]})"
    if line is None:
        return f"{named} was changed: it is no line of a history any more: {text[:80]}"
    if line.key != key or line.text != text:
        return f"{named} was changed: its content has the digest {line.digest[:12]}"
    return ""


def _gone(lines: Sequence[Line], head: str, unread: Collection[str]) -> list[str]:
    """The lines that others name and that do not exist. unread: digests of lines that cannot be read, which is told of themselves."""
    there = {line.digest for line in lines} | set(unread)
    found = [
        f"the line {digest[:12]} before {short(line)} is gone or was changed"
        for line in lines
        for digest in line.before
        if digest not in there
    ]
    if head and head not in there:
        found.append(f"the last line, {head[:12]} (tag {HEAD_TAG}), is gone or was changed")
    numbers = {line.digest: line.number for line in lines}
    for line in lines:
        before = [numbers[digest] for digest in line.before if digest in numbers]
        if len(before) == len(line.before) and line.number != 1 + max(before, default=0):
            found.append(f"{short(line)} was put in: by the lines before it, it would have another number")
    return found


def _put_between(lines: Sequence[Line]) -> list[str]:
    """Lines beside others that were written at another time: who writes a line names all there are."""
    found = {}
    for one, other in incomparable(lines):
        if not are_at_once(one, other):
            late = one if one.number < other.number or _is_end(one, lines) else other
            found[late.digest] = f"{short(late)} was put in, or a line after it was taken out: lines written at other times do not name it"
    return list(found.values())


def _is_end(line: Line, lines: Sequence[Line]) -> bool:
    return not any(line.digest in other.before for other in lines)


def _beyond(lines: Sequence[Line], head: str) -> list[str]:
    """More than one line in a row after the head, which moves before the next line is written."""
    reached = next((line.number for line in lines if line.digest == head), None)
    if head and reached is None:
        return []  # said already
    last = max((line.number for line in lines), default=0)
    if last > (reached or 0) + 1 and not any(line.not_done for line in lines if line.number > (reached or 0)):
        return [f"the tag {HEAD_TAG} was changed or taken out: it names {'an earlier line' if reached else 'no line'} of {last}"]
    return []
