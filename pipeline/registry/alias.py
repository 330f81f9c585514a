"""The alias `champion` of a registered model: which version has it, and whether a person has moved or removed it.

The tag `champion` on the registered model names the version that was promoted last, by the gate or by a command. If the alias is elsewhere or
missing, a person moved it in MLflow, and it stays as that person left it; so does what a command has moved, by the history.
"""

from pipeline.registry.history import read_history
from pipeline.registry.story import taken_back
from pipeline.tracking.run_log import ModelVersion, Registered

CHAMPION_TAG = "champion"
NO_ALIAS = "but a person has removed the alias champion, or the version that had it. `pipeline promote VERSION --reason …` sets it again"


def champion_of(registered: Registered | None) -> ModelVersion | None:
    """The version with the alias, None if there is none."""
    return registered.champion if registered else None


def is_champion(version: ModelVersion | None, registered: Registered | None) -> bool:
    """Whether this version has the alias."""
    champion = champion_of(registered)
    return version is not None and champion is not None and champion.version == version.version


def lost_alias_by_hand(version: ModelVersion | None, registered: Registered | None) -> bool:
    """Whether this version was champion and a person has taken the alias from it since, in MLflow or by `pipeline rollback` or `promote`."""
    if version is None or registered is None or is_champion(version, registered):
        return False
    if registered.tags.get(CHAMPION_TAG) == version.version:
        return True
    return version.version in taken_back(read_history(registered.tags), registered.aliases)


def got_alias_by_hand(registered: Registered | None) -> bool:
    """Whether the champion is another version than the one promoted last."""
    champion = champion_of(registered)
    return registered is not None and champion is not None and registered.tags.get(CHAMPION_TAG) not in (None, champion.version)


def is_removed(registered: Registered | None) -> bool:
    """Whether there has been a champion and a person has removed the alias."""
    return registered is not None and registered.champion is None and CHAMPION_TAG in registered.tags
