"""The error for a source that can be read in more than one way: each reading with the parameters that choose it."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import SourceError

NAMED = 5
LONGEST = 80


class Way(NamedTuple):
    """One reading: what it makes of the source, and what to write in params.yaml to get it."""

    what: str
    settings: str


def two_readings(source: Path, seen: str, ways: Sequence[Way]) -> SourceError:
    """One line with what was seen, and each way to read it with its settings."""
    told = "; ".join(f"({i}) {way.what}: set {way.settings}" for i, way in enumerate(ways, 1))
    return SourceError(f"ingest.source: {source} can be read in {'two' if len(ways) == 2 else len(ways)} ways: {seen}. {told}.")


def classes(names: Collection[str]) -> str:
    """A number of classes with the names of the first ones."""
    return f"{len(names):,} classes, {listed(names)}"


def listed(names: Collection[str], most: int = NAMED) -> str:
    """Names, sorted, for a message: the first few, and how many more there are."""
    shown = [name if len(name) <= LONGEST else f"{name[:LONGEST]}…" for name in sorted(names)[:most]]
    more = len(names) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
