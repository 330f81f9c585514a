"""The texts for each kind of finding, from kinds.toml, which anybody can edit."""

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Kind(NamedTuple):
    """The texts for a kind of finding: heading, singular and plural, meaning, and what the user can do."""

    title: str
    one: str
    many: str
    meaning: str
    advice: str


@functools.cache
def kinds() -> Mapping[str, Kind]:
    """Every kind of finding, the most serious first."""
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return {name: Kind(**words) for name, words in tomllib.loads(text).items()}


def check_kind(name: str) -> None:
    """Raise ValueError for a kind that is not in kinds.toml."""
    if name not in kinds():
        raise ValueError(f"{name!r} is not a kind of finding. Expected one of {', '.join(kinds())}; add a new one to kinds.toml.")


def in_words(name: str, count: int) -> str:
    """A number of findings of a kind, for example "3 leaks"."""
    return counted(count, kinds()[name].one, kinds()[name].many)


def counted(count: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many}"
