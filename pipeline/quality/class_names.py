"""Class names that may mean the same class. Pure functions of text."""

import re
import unicodedata
from collections.abc import Iterable


def similar_names(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ only in case, Unicode composition, white space, underscores or hyphens.

    Each pair starts with the first, in sorted order, of the similar names.
    """
    first: dict[str, str] = {}
    pairs = [(first.setdefault(_folded(name), name), name) for name in sorted(set(names))]
    return [(one, other) for one, other in pairs if one != other]


def _folded(name: str) -> str:
    """The same text for similar names. Separators between two digits count: 1-12 is not 11-2."""
    caseless = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
    spaced = "".join(" " if sign.isspace() or sign == "_" or unicodedata.category(sign) == "Pd" else sign for sign in caseless)
    return re.sub(r"(?<!\d) +| +(?!\d)", "", re.sub(" +", " ", spaced))
