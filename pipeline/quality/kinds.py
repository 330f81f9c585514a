"""The words for every kind of finding, from kinds.toml: data, which anybody can edit."""

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Kind(NamedTuple):
    """The words for a kind of finding: a heading, one and many of it, what it means, what the user can do."""

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
    """Raise ValueError for a kind that has no words."""
    if name not in kinds():
        raise ValueError(f"{name!r} is no kind of finding. Expected one of {', '.join(kinds())}; a new one needs its words in kinds.toml.")


def in_words(name: str, count: int) -> str:
    """So many findings of a kind, as in "3 leaks"."""
    return counted(count, kinds()[name].one, kinds()[name].many)


def counted(count: int, one: str, many: str) -> str:
    """A number and what it counts."""
    return f"{count:,} {one if count == 1 else many}"
