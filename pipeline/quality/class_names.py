"""Which names of classes may be meant as one. Pure functions of text."""

import re
import unicodedata
from collections.abc import Iterable


def similar_names(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that may be meant as one: they differ in upper and lower case, composition, white space, underscores or hyphens alone.

    Each pair starts with the first, in sorted order, of the names that are similar.
    """
    first: dict[str, str] = {}
    pairs = [(first.setdefault(_folded(name), name), name) for name in sorted(set(names))]
    return [(one, other) for one, other in pairs if one != other]


def _folded(name: str) -> str:
    """What a name has in common with those similar to it. What stands between two digits counts: 1-12 is not 11-2."""
    caseless = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
    spaced = "".join(" " if sign.isspace() or sign == "_" or unicodedata.category(sign) == "Pd" else sign for sign in caseless)
    return re.sub(r"(?<!\d) +| +(?!\d)", "", re.sub(" +", " ", spaced))
