"""Names that may not be classes: parts, years, versions, folders of tools. From doubtful_names.toml, which anybody can edit."""

import functools
import itertools
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from pipeline.listing.split_words import split_of_name, words_of

DATE = re.compile(
    r"(?<!\d)((19|20)\d\d[-_. ]?(0[1-9]|1[0-2])[-_. ]?([0-2]\d|3[01])|([0-2]?\d|3[01])[-_.]([0-2]?\d|3[01])[-_.]((19|20)?\d\d))(?!\d)"
)

SHORT_DATE = re.compile(r"\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")  # 240115
SHORT_DATE_REVERSED = re.compile(r"(0[1-9]|[12]\d|3[01])(0[1-9]|1[0-2])\d\d")


@functools.cache
def word_lists() -> Mapping[str, frozenset[str]]:
    """The lists of words by name."""
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return {name: frozenset(words) for name, words in tomllib.loads(text).items()}


def why_no_classes(names: Collection[str]) -> str:
    """What the names of all folders say that is no class: parts, years, versions, splits; empty if they may be classes."""
    lists = word_lists()
    kinds = (
        ("splits", lambda name: split_of_name(name) is not None),
        ("years", _is_year),
        ("dates", _is_date),
        ("dates", lambda name: SHORT_DATE.fullmatch(name) is not None),
        ("dates", lambda name: SHORT_DATE_REVERSED.fullmatch(name) is not None),
        ("months or days of the week", lambda name: _is_of_calendar(name, lists)),
        ("folders of a camera", _is_of_camera),
        ("folders of a phone", lambda name: _plain(name) in lists["phone"] or _is_of_camera(name)),
        ("persons who labelled the images", lambda name: _is_of_annotator(name, lists["annotators"])),
        ("sizes", lambda name: re.fullmatch(r"\d+ ?[xX×] ?\d+(px)?", name) is not None),
        ("parts of one set", lambda name: _is_part(name, lists["parts"])),
        ("versions of the same images", lambda name: set(_worded(name)) <= lists["versions"] | lists["structure"] and bool(_worded(name))),
        ("names of folders, not of classes", lambda name: set(_worded(name)) <= lists["structure"] and bool(_worded(name))),
    )
    return next((what for what, is_kind in kinds if names and all(is_kind(name) for name in names)), "")


def why_not_beside(names: Collection[str]) -> str:
    """What the names of all class folders say that are no classes beside each other: kinds or ages of the same pictures; empty if they may be."""
    lists = word_lists()
    if all(_plain(name) in lists["modalities"] for name in names):
        return "kinds of pictures of the same things"
    rests = {tuple(word for word in words_of(name) if word not in lists["ages"]) for name in names}
    return "older and newer images of one kind" if len(rests) == 1 and rests != {()} and len(names) > 1 else ""


def has_word(name: str, kind: str) -> bool:
    """Whether a name consists of words of a list, and numbers."""
    words = word_lists()[kind]
    plain = re.sub(r"[\s_-]+", " ", name).strip().lower()
    worded = _worded(name)
    return (
        plain in words
        or re.sub(r" ?\(?\d+\)?$", "", plain) in words
        or (bool(worded) and (set(worded) <= words or " ".join(worded) in words))
    )


def says_nothing(name: str, beside: Collection[str]) -> bool:
    """Whether a folder beside others holds images of no class of its own: not sorted yet, to be deleted, doubtful, or blurry beside cats and dogs."""
    if has_word(name, "never"):
        return True
    others = [other for other in beside if other != name]
    is_about_quality = any(has_word(other, "flawed") or set(_worded(other)) & word_lists()["quality"] for other in others)
    return has_word(name, "flawed") and len(others) > 1 and not is_about_quality


def _worded(name: str) -> tuple[str, ...]:
    return tuple(word for word in words_of(name) if not word.isdigit())


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().lower()


def _is_of_camera(name: str) -> bool:
    """A folder that a camera began: 100APPLE."""
    return re.fullmatch(r"\d{3}[A-Z0-9_]{5}", name) is not None and not name.isdigit()


def _is_of_calendar(name: str, lists: Mapping[str, frozenset[str]]) -> bool:
    """A month or a day, with or without numbers: January, 01_Jan, Mon 3."""
    words = set(_worded(name))
    return bool(words & lists["calendar"]) and words <= lists["calendar"] | lists["structure"] | lists["parts"]


def _is_of_annotator(name: str, starts: frozenset[str]) -> bool:
    """A word for labelling and then a name: labelled_by_anna, annotator 2; not `labels 2`."""
    plain = " ".join(words_of(name))
    found = next((start for start in sorted(starts, key=len, reverse=True) if plain.startswith(f"{start} ")), None)
    return found is not None and (not plain.removeprefix(f"{found} ").isdigit() or not found.endswith("s"))


def _is_year(name: str) -> bool:
    words = words_of(name)
    numbers = [word for word in words if word.isdigit()]
    is_year = len(numbers) >= 1 and re.fullmatch(r"(19|20)\d\d", numbers[0]) is not None
    return is_year and set(_worded(name)) <= word_lists()["structure"] | word_lists()["parts"]


def _is_date(name: str) -> bool:
    """Eight digits, or three numbers of a date, and no word but those for parts: 20230501, 01.05.2023, day 2023-05-01."""
    return has_date(name) and set(_worded(name)) <= word_lists()["structure"] | word_lists()["parts"]


def has_date(name: str) -> bool:
    """Whether a date is in a name."""
    return DATE.search(name) is not None


def without_date(name: str) -> str:
    """A name without the date in it, and without the signs around it."""
    return DATE.sub("", name).strip(" _-.")


def _is_part(name: str, parts: frozenset[str]) -> bool:
    """A word for a part with its number or letter, whatever else is in the name: HAM_images_part_1, batch2, fold_c."""
    words = words_of(name)
    return any(word in parts and re.fullmatch(r"\d+|[a-z]", following) for word, following in itertools.pairwise(words))
