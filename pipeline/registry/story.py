"""What the lines of a history say: who has had an alias, what `rollback` goes back to, what somebody moved by hand in MLflow.

A move that has no line was made by hand: the next line starts from another version than the line before it ended with, or the alias is elsewhere
than the last line says. Pure functions of a history and of the aliases that the registry has now.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from pipeline.registry.history import History, Line, are_at_once, incomparable

ALIASES = CHAMPION, CHALLENGER, PREVIOUS, ANCHOR = "champion", "challenger", "previous", "anchor"
"""Lines are written for champion and anchor. `previous` follows from the history, and `challenger` from the order of the versions."""
BY_HAND = "by hand"


@dataclass(frozen=True)
class Event:
    """One entry of the page: a line, or a move by hand, which has no time of its own.

    mark: what sets it apart from a line that was carried out, empty for most. ended: whether it moved the alias.
    """

    alias: str
    origin: str | None
    target: str | None
    line: Line | None
    mark: str = ""
    ended: bool = True


def events(history: History, aliases: Mapping[str, str]) -> list[Event]:
    """All that happened, the oldest first. aliases: what the registry says now."""
    found: list[Event] = []
    at: dict[str, str | None] = {}
    void = {digest for line in history.lines for digest in line.not_done}
    forks = [(one, other) for one, other in incomparable(history.lines) if one.alias == other.alias]
    forked = {line.digest for pair in forks for line in pair}
    at_once = {line.digest for pair in forks if are_at_once(*pair) for line in pair}
    unfinished = {line.digest for line in history.unfinished}
    for line in history.lines:
        if line.digest in void:
            found.append(Event(line.alias, line.origin, line.target, line, "not carried out", ended=False))
            continue
        if line.alias in at and at[line.alias] != line.origin and line.digest not in forked:
            found.append(Event(line.alias, at[line.alias], line.origin, None, BY_HAND))
        if line.digest in unfinished and line.origin != line.target and aliases.get(line.alias) != line.target:
            found.append(Event(line.alias, line.origin, line.target, line, "not carried out yet", ended=False))
            at.setdefault(line.alias, line.origin)
            continue
        found.append(Event(line.alias, line.origin, line.target, line, _mark(line, at_once)))
        at[line.alias] = line.target
    for alias, last in at.items():
        if aliases.get(alias) != last:
            found.append(Event(alias, last, aliases.get(alias), None, BY_HAND))
    return found


def _mark(line: Line, at_once: Container[str]) -> str:
    if line.is_changed:
        return "CHANGED since it was written"
    return "at the same time as another" if line.digest in at_once else ""


def stack(history: History, aliases: Mapping[str, str]) -> list[str]:
    """The champions that `rollback` goes back through; the last one is the champion now, if there is one.

    A promotion, or a move by hand, adds a version; a rollback takes away those after the version that it goes back to.
    """
    standing: list[str] = []
    for event in events(history, aliases):
        if event.alias != CHAMPION or not event.ended:
            continue
        if not standing and event.origin:
            standing.append(event.origin)
        _take(standing, event)
    now = aliases.get(CHAMPION)
    if now is not None and standing[-1:] != [now]:
        standing.append(now)
    return standing


def earlier_champion(history: History, aliases: Mapping[str, str]) -> str | None:
    """The version that `rollback` goes back to and the alias `previous` is to name; None if there is none, or no champion."""
    standing = stack(history, aliases)
    return standing[-2] if len(standing) > 1 and aliases.get(CHAMPION) is not None else None


def taken_back(history: History, aliases: Mapping[str, str]) -> set[str]:
    """The versions from which a person has taken the alias champion: the gate leaves them alone until a person promotes them again."""
    out: set[str] = set()
    standing: list[str] = []
    for event in events(history, aliases):
        if event.alias != CHAMPION or not event.ended:
            continue
        if not standing and event.origin:
            standing.append(event.origin)
        before = list(standing)
        _take(standing, event)
        if event.line is None or event.line.action != "gate":
            gone = set(before) - set(standing) | ({event.origin} if event.origin else set())
            out |= gone
        out.discard(event.target or "")
    return out


def _take(standing: list[str], event: Event) -> None:
    if event.target is None:
        return
    if event.line is not None and event.line.action == "rollback" and event.target in standing:
        last = len(standing) - 1 - standing[::-1].index(event.target)
        del standing[last + 1 :]
    elif standing[-1:] != [event.target]:
        standing.append(event.target)


def in_order(aliases: Iterable[str]) -> list[str]:
    """The project's own aliases first, others by name."""
    return sorted(aliases, key=lambda alias: (ALIASES.index(alias) if alias in ALIASES else len(ALIASES), alias))
