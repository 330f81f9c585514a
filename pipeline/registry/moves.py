"""Moves an alias of a registered model and writes who moved it, and why, into the history.

A move can be killed at any moment: its line is written first, then the alias moves, and the tag `history_head` ends it. Run again, the same command
finishes what it began. Two that move the same alias at once end with the same version, the one of the line that comes last.
"""

import getpass
import os
import platform
import sys
from datetime import UTC, datetime

from pipeline.errors import ConfigError, TrackingError
from pipeline.registry.alias import CHAMPION_TAG
from pipeline.registry.history import HEAD_TAG, LONGEST_REASON, History, Line, read_history
from pipeline.registry.story import CHALLENGER, CHAMPION, PREVIOUS, earlier_champion
from pipeline.tracking.run_log import ModelVersion, Registered, Tracker


def move(tracker: Tracker, version: ModelVersion, alias: str, *, action: str, why: str) -> Line:
    """Set an alias on a version; returns the line that counts now: another's, if two were at it at once.

    action: `gate`, `promote` or `rollback`. Raises TrackingError if the registry fails.
    """
    registered = _registered(tracker, version.name)
    history = read_history(registered.tags)
    line = _begun(history, alias, version.version, action, why)
    if line is None:
        line = _next_line(history, registered, alias, version.version, action, why)
        tracker.tag_model(version.name, {line.key: line.text})
    if registered.aliases.get(alias) != version.version:
        tracker.set_alias(version.name, alias, version.version)
    return _conclude(tracker, version.name, line)


def set_challenger(tracker: Tracker, version: ModelVersion) -> None:
    """Set the alias `challenger` on the version that was compared last and is not the champion; it serves nothing, and no line is written."""
    registered = _registered(tracker, version.name)
    if version.version not in (registered.aliases.get(CHALLENGER), registered.aliases.get(CHAMPION)):
        tracker.set_alias(version.name, CHALLENGER, version.version)


def is_begun(registered: Registered, alias: str, action: str, why: str) -> str | None:
    """The version of a move that the same person began for the same reason, and that was killed; None if there is none."""
    line = _begun(read_history(registered.tags), alias, None, action, why)
    return line.target if line else None


def writer() -> str:
    """Who moves an alias: the user's name on the tracking server if there is one, user and machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"
    here = f"{user}@{platform.node() or 'localhost'}"
    login = os.environ.get("MLFLOW_TRACKING_USERNAME", "").strip()
    return f"{login} ({here})" if login and login != user else here


def checked_reason(why: str) -> str:
    """A reason as it is written into the history: one line. Raises ConfigError for one that says nothing, or too much."""
    one_line = " ".join(why.split())
    if not one_line:
        raise ConfigError('--reason is empty. Say why in a few words, as in --reason "wrong labels in the last delivery".')
    if len(one_line) > LONGEST_REASON:
        raise ConfigError(f"--reason has {len(one_line):,} characters; the history has room for {LONGEST_REASON:,}.")
    return one_line


def _registered(tracker: Tracker, name: str) -> Registered:
    registered = tracker.registered(name)
    if registered is None:
        raise TrackingError(f"The registry has no model {name!r} any more. `pipeline history` shows which models it has.")
    return registered


def _begun(history: History, alias: str, target: str | None, action: str, why: str) -> Line | None:
    wanted = (alias, action, why, writer())
    for line in history.unfinished:
        if (line.alias, line.action, line.why, line.who) == wanted and target in (None, line.target):
            return line
    return None


def _next_line(history: History, registered: Registered, alias: str, target: str, action: str, why: str) -> Line:
    if history.faults:
        print(
            f"warning: the history of {registered.name} is damaged: {history.faults[0]}. `pipeline history --verify` shows all.",
            file=sys.stderr,
        )
    not_done = [line for line in history.unfinished if registered.aliases.get(line.alias) != line.target]
    return Line(
        datetime.now(UTC).isoformat(timespec="seconds"),
        writer(), action, alias, registered.aliases.get(alias), target, why[:LONGEST_REASON],
        before=tuple(sorted(line.digest for line in history.ends)),
        not_done=tuple(sorted(line.digest for line in not_done)),
        number=1 + max((line.number for line in history.ends), default=0),
    )  # fmt: skip


def _conclude(tracker: Tracker, name: str, mine: Line) -> Line:
    """End a move as the history has it now: the alias where its last line says, then `previous`, then the head."""
    registered = _registered(tracker, name)
    history = read_history(registered.tags)
    last = next((line for line in reversed(history.carried_out) if line.alias == mine.alias), mine)
    aliases = dict(registered.aliases)
    if aliases.get(mine.alias) != last.target:
        tracker.set_alias(name, mine.alias, last.target)
    aliases[mine.alias] = last.target or ""
    head = max(
        [mine, last, *(line for line in history.lines if line.digest == history.head)], key=lambda line: (line.number, line.at, line.digest)
    )
    tags = {HEAD_TAG: head.digest}
    if mine.alias == CHAMPION:
        earlier = earlier_champion(history, aliases)
        if aliases.get(PREVIOUS) != earlier:
            tracker.set_alias(name, PREVIOUS, earlier)
        if CHALLENGER in aliases and aliases[CHALLENGER] == last.target:
            tracker.set_alias(name, CHALLENGER, None)
        tags = {CHAMPION_TAG: str(last.target), **tags}
    tracker.tag_model(name, tags)
    return last
