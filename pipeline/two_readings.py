"""The error for a source that can be read in more than one way: each reading with the parameters that choose it."""

from collections.abc import Collection, Sequence
from pathlib import Path

from pipeline.ways_out import Undecided, Way, in_a_sentence

__all__ = ["Way", "classes", "listed", "two_readings"]

NAMED = 5
LONGEST = 80


def two_readings(source: Path, seen: str, ways: Sequence[Way]) -> Undecided:
    """One line with what was seen, and each way to read it: what it makes of the source, and what to write in params.yaml to get it."""

    def told(left: Sequence[Way]) -> str:
        if not left:
            return f"ingest.source: {source}: {seen}. {in_a_sentence(left)}"
        readings = [f"{way.what}: set {way.written}" if way.what and way.settings else way.sentence for way in left]
        if len(left) == 1:
            return f"ingest.source: {source}: {seen}. One reading is possible: {readings[0]}."
        numbered = "; ".join(f"({i}) {reading}" for i, reading in enumerate(readings, 1))
        return f"ingest.source: {source} can be read in {'two' if len(left) == 2 else len(left)} ways: {seen}. {numbered}."

    return Undecided(ways, told)


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
