"""Classes in the names of files: `cat.0.jpg`, or a pattern of paths with named parts, `{split}/{class}/*.jpg`."""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.errors import SourceError
from pipeline.folders.doubtful_names import has_date, word_lists
from pipeline.folders.places import Place
from pipeline.listing.split_words import split_of_name, words_of

NAMED_PARTS = ("class", "split", "group")
WORDS_ONLY = r"[^\W\d_]+(?:[ _-][^\W\d_]+)*"  # what a named part is right before a *: cat in cat12
IN_FRONT = re.compile(r"(?:\d+[\s._()#-]+)+")  # a date, a time or a running number
PART_END = re.compile(r"([_ .-])")
SEPARATORS = ("_", "-", " ", ".")
MOST_STARS = 4
NAMES_TO_TELL = 2000
NUMBERED = re.compile(r"(?P<class>.*?[^\W\d_])(?P<numbers>[\s._(#-]*\d[\d\s._()-]*)", re.DOTALL)
COPY = re.compile(r" ?\(\d+\)$")
MOST_DIGITS = 3  # of the number of a class; longer ones are years, dates and running numbers
MOST_SHOWN = 50  # classes of a pattern


@dataclass(frozen=True)
class PathPattern:
    """A glob with named parts, matched against whole paths or their ends, from a folder on."""

    text: str
    regex: re.Pattern[str]

    def place(self, path: str) -> Place | None:
        """The class, split and group of an image by its path; None if the pattern does not match. Raises SourceError for a split that is none."""
        for start in _starts(path):
            if match := self.regex.fullmatch(path[start:]):
                parts = match.groupdict()
                split = parts.get("split")
                if split and not split_of_name(split):
                    raise SourceError(
                        f"ingest.class_from: {self.text}: {split}, in {path}, is not a split. Expected a word like train, validation or test."
                    )
                return Place(parts["class"], split_of_name(split) if split else split_of_path(path[:start]), parts.get("group"))
        return None


def split_of_path(folders: str) -> str | None:
    """The split of the first folder of a path that is called as splits are."""
    return next((split for folder in folders.split("/")[:-1] if (split := split_of_name(folder))), None)


def path_pattern(text: str) -> PathPattern:
    """The pattern of `ingest.class_from`. Raises ValueError if it has no {class}, or a part that is not known."""
    named = re.findall(r"\{(.*?)\}", text)
    if "class" not in named or len(set(named)) < len(named) or not set(named) <= set(NAMED_PARTS):
        raise ValueError(
            f"should be auto, first_folder, last_folder, file_name, or a pattern with {{class}} and perhaps {{split}} and {{group}}, found {text}"
        )
    regex = ""
    parts = [part for part in re.split(r"(\{.*?\}|\*\*/|\*\*|\*|\?)", text) if part]
    for part, following in itertools.zip_longest(parts, parts[1:], fillvalue=""):
        if part.startswith("{"):
            regex += f"(?P<{part[1:-1]}>{WORDS_ONLY if following.startswith('*') else '[^/]+'})"
        else:
            regex += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*?", "?": "[^/]"}.get(part, re.escape(part))
    return PathPattern(text, re.compile(regex, re.DOTALL))


def class_in_name(name: str) -> str:
    """What stands before the number in a file's name: cat in cat.0.jpg; empty if there is nothing, or no number. Numbers in front are no part of it."""
    match = _numbered(_stem(name))
    return match["class"].strip(" ._-(") if match else ""


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _numbered(stem: str) -> re.Match[str] | None:
    """The words of a name and the numbers behind them, without numbers in front."""
    return NUMBERED.fullmatch(IN_FRONT.sub("", stem, count=1) if IN_FRONT.match(stem) else stem)


def classes_in_names(names: Iterable[str]) -> Counter[str] | None:
    """The classes in the names of files with their numbers of images; None if the names do not tell classes.

    They do where nearly all have words before a number, each used several times, that are no words of cameras, phones and programs. Where a number
    stands in front, or a date or running number among the words, they may say something else, which `pattern_of_names` shows.
    """
    names = list(names)
    if any(IN_FRONT.match(name) for name in names):
        return None
    found = Counter(class_in_name(name) for name in names)
    count = sum(found.values())
    unnamed = found.pop("", 0)
    if not 2 <= len(found) <= count / 2 or unnamed > 0.01 * count or min(found.values()) < 2:
        return None
    cameras = word_lists()["cameras"]
    words = {name: words_of(name) for name in found}
    if any(parts[0] in cameras or max(map(len, parts)) < 2 or _is_hexadecimal(parts) for parts in words.values()):
        return None
    if any(map(has_date, found)) or len({re.sub(r"\d+", "#", name) for name in found}) < len(found):
        return None
    if numbered_classes(names):
        return None
    if 2 * sum(any(sign.isdigit() for sign in PART_END.split(name)[0]) for name in found) >= len(found):
        return None  # 12h30_cat, batch1_cat
    return None if are_crossed(words.values()) else found


def numbered_classes(names: Iterable[str]) -> dict[str, list[str]]:
    """The first numbers behind the words of names, where they are few, each is used several times, and another number follows.

    They may be a part of the class: stage1_000.png, stage2_000.png. A name without such a number, healthy_000.png beside stage1_000.png, has none;
    that of words which stand with and without one is empty. `cat5 (1).jpg` beside `cat5.jpg` is a copy.
    """
    stems = {_stem(name) for name in names}
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for stem in stems:
        if COPY.sub("", stem) != stem and COPY.sub("", stem) in stems:
            continue
        if (match := _numbered(stem)) and not has_date(stem):
            numbers = re.findall(r"\d+", match["numbers"])
            found[match["class"].strip(" ._-(")][numbers[0] if len(numbers) > 1 else ""] += 1
    return {
        words: sorted(numbers)
        for words, numbers in found.items()
        if len(numbers) > 1 and min(numbers.values()) > 1 and len(numbers) ** 2 <= numbers.total() and max(map(len, numbers)) <= MOST_DIGITS
    }


def pattern_with_numbers(names: Sequence[str]) -> tuple[str, list[str]] | None:
    """(pattern that tells classes with their numbers, these classes), for names such as stage1_000.png; None if none fits."""
    names = names[:: max(1, len(names) // NAMES_TO_TELL)]
    ending = _ending(names)
    for sign in SEPARATORS:
        text = f"{{class}}{sign}*{ending}"
        pattern = path_pattern(text)
        found = Counter(place.label for name in names if (place := pattern.place(name)))
        if found.total() == len(names) and 2 <= len(found) <= min(MOST_SHOWN, len(names) / 2) and min(found.values()) > 1:
            return text, sorted(found)
    return None


def _ending(names: Sequence[str]) -> str:
    endings = {name.rpartition(".")[2] for name in names}
    return f".{endings.pop()}" if len(endings) == 1 else ".*"


def pattern_of_names(names: Sequence[str]) -> tuple[str, list[str]] | None:
    """(pattern of `ingest.class_from` that may tell the classes, these classes) for the names of files; None if there is no such pattern.

    The words at one place in all names are classes if they have no digit, and each is used several times.
    """
    names = names[:: max(1, len(names) // NAMES_TO_TELL)]
    for text in _patterns(names[0].rpartition(".")[0], _ending(names)):
        pattern = path_pattern(text)
        found = Counter(place.label for name in names if (place := pattern.place(name)))
        if found.total() == len(names) and 2 <= len(found) <= len(names) / 2 and min(found.values()) > 1 and _are_words(found):
            return text, sorted(found)
    return None


def _patterns(example: str, ending: str) -> Iterator[str]:
    """The patterns that a name may fit, the shortest first: with one sign between the parts, then with those of the example."""
    stars = range(MOST_STARS + 1)
    ways = [(before, after, sign) for before in stars for after in stars for sign in SEPARATORS if before or after]
    for before, after, sign in sorted(ways, key=lambda way: (way[0] + way[1], way[0])):
        yield f"*{sign}" * before + "{class}" + f"{sign}*" * after + ending
    parts = PART_END.split(example)
    for at in range(0, len(parts), 2):
        yield "".join("{class}" if i == at else part if i % 2 else "*" for i, part in enumerate(parts)) + ending


def _are_words(labels: Collection[str]) -> bool:
    """Whether labels are words without digits, that do not all begin or end with one word: those would be more than the class."""
    words = [words_of(label) for label in labels]
    has_one_end = len({parts[:1] for parts in words}) == 1 or len({parts[-1:] for parts in words}) == 1
    return all(map(_is_word, labels)) and not (has_one_end and all(len(parts) > 1 for parts in words))


def _is_word(label: str) -> bool:
    words = words_of(label)
    return len(label) > 1 and not any(sign.isdigit() for sign in label) and bool(words) and words[0] not in word_lists()["cameras"]


def are_crossed(names: Collection[tuple[str, ...]]) -> bool:
    """Whether names are made of two independent words, as in cat_left, cat_right, dog_left: either could be the class."""
    firsts: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for words in names:
        if len(words) > 1:
            firsts[words[0]].add(words[1:])
    several = [rests for rests in firsts.values() if len(rests) > 1]
    return len(several) > 1 and bool(set.intersection(*several))


def _starts(path: str) -> Iterable[int]:
    yield 0
    yield from (i + 1 for i, sign in enumerate(path) if sign == "/")


def _is_hexadecimal(words: tuple[str, ...]) -> bool:
    return len(words) > 2 and all(re.fullmatch(r"[0-9a-f]+", word) for word in words)
