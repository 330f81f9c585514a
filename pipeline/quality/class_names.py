"""Class names that may mean the same class, no class at all, or something other than a class. Pure functions of text."""

import re
import unicodedata
from collections.abc import Iterable

PLACEHOLDERS = {"?", "-", "--", "n/a", "#n/a", "na", "none", "null", "nan", "tbd", "todo", "unknown", "unlabeled", "unlabelled", "xxx"}
# fmt: off
NOT_LABELLED = {  # written where a label is still to be given: no name of a class, unlike `unknown`, `other` or `None`
    "todo", "to do", "to be done", "to label", "to be labeled", "to be labelled", "to check", "tbd", "tba", "tbc", "fixme", "n/a", "n.a.", "n. a.",
    "#n/a", "unlabeled", "unlabelled", "not labeled", "not labelled", "not yet labeled", "not yet labelled", "no label", "label missing", "xxx",
    "k.a.", "k. a.", "kein label", "à faire", "sans étiquette", "sin etiqueta", "da fare",
}
# fmt: on
NO_WORDS = re.compile(r"\?+|-+|—+|–+|\.\.+|…|_+")
LETTERS_AND_NUMBER = re.compile(r"(?P<word>[^\W\d_]+)[ _.-]?\d+[^\W\d_]?")  # P0001, A01, hospital_3, IMG12b
CAMERA_FOLDER = re.compile(r"[1-9]\d\d[A-Z0-9_]{5}", re.ASCII | re.IGNORECASE)  # 100APPLE: a camera starts a new one every so often
SYNSET = re.compile(r"n\d{8}")  # ImageNet's classes
NUMBERED_CLASSES = {"class", "category", "label", "grade", "stage", "level", "type", "degree", "score", "digit"}


def similar_names(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ only in case, Unicode composition, white space, underscores or hyphens.

    Each pair starts with the first, in sorted order, of the similar names.
    """
    first: dict[str, str] = {}
    pairs = [(first.setdefault(_folded(name), name), name) for name in sorted(set(names))]
    return [(one, other) for one, other in pairs if one != other]


def same_numbers(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ only in zeros before a number: 1 and 01, dog 7 and dog 007. Each pair starts with the shorter name."""
    first: dict[str, str] = {}
    ordered = sorted(set(names), key=lambda name: (len(name), name))
    pairs = [(first.setdefault(re.sub(r"(?<![\d.,])0+(?=\d)", "", name), name), name) for name in ordered]
    return sorted((one, other) for one, other in pairs if one != other)


def plural_names(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names of which one may be the plural of the other: cat and cats, box and boxes, berry and berries."""
    folded = {_folded(name): name for name in sorted(set(names), reverse=True)}
    found = []
    for one, name in sorted(folded.items()):
        plurals = {f"{one}s", f"{one}es"} | ({f"{one[:-1]}ies"} if one.endswith("y") else set())
        if len(one) > 2 and one[-1].isalpha() and one[-1] != "s":
            found += [(name, folded[plural]) for plural in sorted(plurals & folded.keys())]
    return found


def _folded(name: str) -> str:
    """The same text for similar names. Separators between two digits count: 1-12 is not 11-2."""
    caseless = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
    spaced = "".join(" " if sign.isspace() or sign == "_" or unicodedata.category(sign) == "Pd" else sign for sign in caseless)
    return re.sub(r"(?<!\d) +| +(?!\d)", "", re.sub(" +", " ", spaced))


def placeholder_names(names: Iterable[str]) -> list[str]:
    """The names that people and programs write where there is no label."""
    return sorted(name for name in set(names) if name.strip().casefold() in PLACEHOLDERS)


def not_labelled(names: Iterable[str]) -> list[str]:
    """The names that say that a label is still to be given, beside others. Signs such as - and ? are classes among classes of single signs."""
    names = set(names)
    found = {name for name in names if re.sub(r"[\s_-]+", " ", name.strip()).casefold() in NOT_LABELLED}
    words = [name for name in names if len(name.strip()) > 1 and any(sign.isalpha() for sign in name)]
    signs = {name for name in names if NO_WORDS.fullmatch(name.strip())}
    numbers = [name for name in names if name.strip().isdigit()]
    if len(words) * 2 > len(names - signs) or (signs - {"-"} and len(numbers) == len(names - signs)):
        found |= signs
    return sorted(found) if len(names) > len(found) else []


def are_codes(names: Iterable[str]) -> bool:
    """Whether all names are letters with a number, as those of persons, places or devices; not plain numbers, class 1, or ImageNet's synsets."""
    names = [name.strip() for name in names]
    return bool(names) and all(map(_is_code, names)) and not all(map(SYNSET.fullmatch, names))


def _is_code(name: str) -> bool:
    if CAMERA_FOLDER.fullmatch(name):
        return not name.isdecimal()
    found = LETTERS_AND_NUMBER.fullmatch(name)
    return found is not None and found["word"].casefold() not in NUMBERED_CLASSES
