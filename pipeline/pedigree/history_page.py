"""The history of a registered model as text for a terminal and as values for programs. Pure functions."""

from typing import Any

from pipeline.names import shown
from pipeline.registry.history import History
from pipeline.registry.story import BY_HAND, Event, events, in_order
from pipeline.tracking.run_log import Registered


def as_text(registered: Registered, history: History) -> str:
    """Which version has which alias, then every move, the newest first."""
    found = events(history, registered.aliases)
    head = f"{shown(registered.name)}: {_aliases(registered)}"
    if not found:
        return f"{head}\n\nNo alias has been moved yet."
    rows = [("when (UTC)", "who", "alias", "from", "to", "why"), *map(_row, reversed(found))]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True)), row[5]]).rstrip() for row in rows]
    return "\n".join([head, "", *lines])


def as_values(registered: Registered, history: History) -> dict[str, Any]:
    """The same for programs, the oldest first."""
    return {
        "model": registered.name,
        "aliases": dict(sorted(registered.aliases.items())),
        "head": history.head,
        "events": [_values(event) for event in events(history, registered.aliases)],
        "faults": list(history.faults),
    }


def verdict(registered: Registered, history: History) -> str:
    """What `--verify` says: one line if all is well, else one line per fault."""
    if history.faults:
        return "\n".join(f"the history of {registered.name}: {fault}" for fault in history.faults)
    count = len(history.lines)
    if not count:
        return f"the history of {registered.name} has no lines yet"
    return f"the history of {registered.name} is whole: {count:,} line{'s' if count > 1 else ''}, the last is {history.head}"


def _aliases(registered: Registered) -> str:
    told = ", ".join(f"{alias} is version {registered.aliases[alias]}" for alias in in_order(registered.aliases))
    return told if "champion" in registered.aliases else f"no champion{f'; {told}' if told else ''}"


def _row(event: Event) -> tuple[str, str, str, str, str, str]:
    versions = (event.origin or "none", event.target or "none")
    if event.line is None:
        return ("?", "?", event.alias, *versions, "moved by hand in MLflow, which keeps neither who nor when")
    line = event.line
    mark = f"[{event.mark}] " if event.mark else ""
    return (line.at[:16].replace("T", " "), shown(line.who), line.alias, *versions, f"{mark}{line.action}: {line.why}")


def _values(event: Event) -> dict[str, Any]:
    line = event.line
    told = {"alias": event.alias, "from": event.origin, "to": event.target, "mark": event.mark or ("" if line else BY_HAND)}
    if line is None:
        return {"at": None, "who": None, "action": BY_HAND, **told, "why": None, "sha256": None, "before": []}
    return {
        "at": line.at,
        "who": line.who,
        "action": line.action,
        **told,
        "why": line.why,
        "sha256": line.digest,
        "before": list(line.before),
    }
