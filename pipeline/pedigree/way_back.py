"""`pipeline promote` and `pipeline rollback`: a person moves the alias champion, with a reason, to a version that can serve."""

from pipeline.errors import ConfigError
from pipeline.paths import Paths
from pipeline.pedigree.references import find_model_version, find_registered
from pipeline.registry.history import Line, read_history
from pipeline.registry.moves import checked_reason, is_begun, move
from pipeline.registry.servable import check_servable
from pipeline.registry.story import ANCHOR, CHAMPION, PREVIOUS, earlier_champion, events
from pipeline.registry.turn import turn
from pipeline.tracking.run_log import ModelVersion, Registered, Tracker


def promote(tracker: Tracker, paths: Paths, reference: str, reason: str, *, name: str = "", anchor: bool = False) -> str:
    """Make a version the champion, with `anchor` the anchor too; returns what was done. Raises TrackingError if it cannot serve."""
    why = checked_reason(reason)
    version = find_model_version(tracker, paths, reference, name)
    registered = find_registered(tracker, paths, version.name)
    wanted = [CHAMPION, *([ANCHOR] if anchor else [])]
    moving = [alias for alias in wanted if not _stands(registered, alias, version, why)]
    if not moving:
        return f"{version.name} version {version.version} already is {' and '.join(wanted)}; nothing was done"
    checked = check_servable(tracker, version)
    with turn(tracker, version.name):
        lines = [move(tracker, version, alias, action="promote", why=why) for alias in moving]
    return f"{_said(version, lines)}; {checked}"


def rollback(tracker: Tracker, paths: Paths, reason: str, *, to: str = "", name: str = "") -> str:
    """Give the alias champion back to the version that had it before, or to version `to`; returns what was done.

    Raises ConfigError if there is no champion before, or if the history and the alias `previous` disagree on which it was.
    """
    why = checked_reason(reason)
    version = find_model_version(tracker, paths, to, name) if to else None
    registered = find_registered(tracker, paths, version.name if version else name)
    if version is None:
        number = is_begun(registered, CHAMPION, "rollback", why) or _before(registered)
        version = tracker.version(registered.name, number)
        if version is None:
            raise ConfigError(
                f"The champion before was version {number} of {registered.name}, which is not in the registry any more. Name another one: "
                "`pipeline rollback --to VERSION --reason …`."
            )
    elif _stands(registered, CHAMPION, version, why):
        return f"{version.name} version {version.version} already is the champion; nothing was done"
    checked = check_servable(tracker, version)
    with turn(tracker, version.name):
        now, before = (found.aliases.get(CHAMPION) for found in (find_registered(tracker, paths, version.name), registered))
        if not to and now != before:
            raise ConfigError(
                f"While version {version.version} was started, the champion of {version.name} has changed from version {before} to {now}. Nothing was "
                f"moved. Run the same command again to go back from version {now}, or name the version: `--to {version.version}`."
            )
        line = move(tracker, version, CHAMPION, action="rollback", why=why)
    return f"{_said(version, [line])}; {checked}{_anchor_left(registered, version)}"


def _stands(registered: Registered, alias: str, version: ModelVersion, why: str) -> bool:
    """Whether a version has an alias and the history knows: no move of it was begun and not ended, none was made by hand."""
    history = read_history(registered.tags)
    last = next((line for line in reversed(history.carried_out) if line.alias == alias), None)
    recorded = last is None or last.target == version.version
    ended = all(line.alias != alias for line in history.unfinished)
    return registered.aliases.get(alias) == version.version and recorded and ended


def _before(registered: Registered) -> str:
    """The champion before this one."""
    aliases, history = registered.aliases, read_history(registered.tags)
    if CHAMPION not in aliases:
        raise ConfigError(
            f"{registered.name} has no champion, so nothing says what to go back from. Name the version: `pipeline promote VERSION --reason …`."
        )
    earlier = earlier_champion(history, aliases)
    if earlier is None:
        raise ConfigError(
            f"The history of {registered.name} has no champion before version {aliases[CHAMPION]}. Name one: `pipeline rollback --to VERSION --reason …`."
        )
    by_hand = next((event for event in reversed(events(history, aliases)) if event.alias == CHAMPION), None)
    if by_hand and by_hand.line is None and aliases.get(PREVIOUS, earlier) != earlier:
        raise ConfigError(
            f"Somebody has moved the alias champion of {registered.name} in MLflow, from version {by_hand.origin} to version {by_hand.target}: to go back "
            f"may mean to version {earlier}, or to the champion before it. Say which: `pipeline rollback --to VERSION --reason …`."
        )
    if aliases.get(PREVIOUS, earlier) != earlier:
        raise ConfigError(
            f"By the history of {registered.name} the champion before version {aliases[CHAMPION]} was version {earlier}, but somebody has set the alias "
            f"previous on version {aliases[PREVIOUS]}. Say which: `pipeline rollback --to VERSION --reason …`."
        )
    return earlier


def _said(version: ModelVersion, lines: list[Line]) -> str:
    others = [line for line in lines if line.target != version.version]
    if others:
        line = others[0]
        return f"{line.who} moved {line.alias} at the same time: it is {version.name} version {line.target} now ({line.why})"
    before = lines[0].origin
    instead = f", instead of version {before}" if before not in (None, version.version) else ""
    return f"{version.name} version {version.version} is {' and '.join(line.alias for line in lines)} now{instead}"


def _anchor_left(registered: Registered, version: ModelVersion) -> str:
    """That the anchor stays on a version that is not the champion any more; empty if it does not."""
    anchor = registered.aliases.get(ANCHOR)
    if anchor is None or anchor != registered.aliases.get(CHAMPION) or anchor == version.version:
        return ""
    return (
        f". The anchor stays on version {anchor}, so new models are compared with it, too: "
        f"`pipeline promote {version.version} --anchor --reason …` moves it"
    )
