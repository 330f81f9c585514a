"""A decision of the gate is carried out: the aliases move, if champion and anchor still are those that the model was compared with."""

from pipeline.judging.deciding import Decision, anchor_number, in_experiment
from pipeline.registry.alias import champion_of, is_champion, lost_alias_by_hand
from pipeline.registry.moves import is_begun, move, set_challenger
from pipeline.registry.servable import check_servable
from pipeline.registry.story import ANCHOR, CHAMPION
from pipeline.registry.turn import turn
from pipeline.tracking.run_log import ModelVersion, Registered, Tracker


def still_holds(decision: Decision, version: ModelVersion, registered: Registered | None) -> bool:
    """Whether a decision on a version can stand: it is the champion, a person has taken the alias from it, or its rivals are those of the decision."""
    return is_champion(version, registered) or lost_alias_by_hand(version, registered) or _same_rivals(decision, version, registered)


def carry_out(tracker: Tracker, version: ModelVersion, decision: Decision, why: str) -> bool:
    """Move the aliases as decided; False if champion or anchor have changed since, and then nothing was moved.

    Asked again once nobody else is moving any: comparing two models and starting one takes minutes, in which somebody else may register.

    why: for the history. Raises TrackingError if the version cannot serve.
    """
    registered = tracker.registered(version.name)
    if lost_alias_by_hand(version, registered):
        return True
    if not decision["promoted"]:
        if not in_experiment():
            set_challenger(tracker, version)
        return True
    if not is_champion(version, registered):
        check_servable(tracker, version)
    with turn(tracker, version.name):
        registered = tracker.registered(version.name)
        if lost_alias_by_hand(version, registered):
            return True
        if not still_holds(decision, version, registered):
            return False
        _promote(tracker, version, decision, why, registered)
    return True


def _promote(tracker: Tracker, version: ModelVersion, decision: Decision, why: str, registered: Registered | None) -> None:
    """Move the aliases, `champion` last; or end a move that was stopped half way.

    Where there is no anchor yet, the champion becomes it before one that is not worse takes its place.
    """
    if registered and is_champion(version, registered):
        if is_begun(registered, CHAMPION, "gate", why) == version.version:
            move(tracker, version, CHAMPION, action="gate", why=why)
        return
    champion = champion_of(registered)
    anchor = registered.aliases.get(ANCHOR) if registered else None
    if decision.get("moves_anchor") and (anchor != version.version or (registered and is_begun(registered, ANCHOR, "gate", why))):
        move(tracker, version, ANCHOR, action="gate", why=why)
    elif champion and anchor is None:
        move(tracker, champion, ANCHOR, action="gate", why="there was no anchor, and a model that is not worse becomes champion")
    move(tracker, version, CHAMPION, action="gate", why=why)


def _same_rivals(decision: Decision, version: ModelVersion, registered: Registered | None) -> bool:
    """Whether champion and anchor are those that the model was compared with, or the model was about to take both places when it was stopped."""
    champion = champion_of(registered)
    if "recalibrated_beside" in decision:
        return bool(decision["recalibrated_beside"] == (champion.version if champion else None))
    before = [(decision.get(role) or {}).get("version") for role in (CHAMPION, ANCHOR)]
    if before[0] != (champion.version if champion else None):
        return False
    took_anchor = decision.get("moves_anchor") and registered is not None and registered.aliases.get(ANCHOR) == version.version
    return bool(took_anchor) or before[1] == anchor_number(version, registered)
