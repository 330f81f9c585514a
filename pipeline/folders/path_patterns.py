"""Classes in the names of files: `cat.0.jpg`, or a pattern of paths with named parts, `{split}/{class}/*.jpg`."""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pipeline.errors import SourceError
from pipeline.folders.doubtful_names import word_lists
from pipeline.folders.places import Place
from pipeline.listing.split_words import split_of_name, words_of

NAMED_PARTS = ("class", "split", "group")
WORDS_ONLY = r"[^\W\d_]+(?:[ _-][^\W\d_]+)*"  # what a named part is right before a *: cat in cat12
NUMBERED = re.compile(r"(?P<class>.*?[^\W\d_])[\s._(#-]*\d[\d\s._()-]*", re.DOTALL)


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
    """What stands before the number in a file's name: cat in cat.0.jpg; empty if there is nothing, or no number."""
    match = NUMBERED.fullmatch(name.rpartition(".")[0] or name)
    return match["class"].strip(" ._-(") if match else ""


def classes_in_names(names: Iterable[str]) -> Counter[str] | None:
    """The classes in the names of files with their numbers of images; None if the names do not tell classes.

    They do where nearly all have words before a number, each used several times, that are no words of cameras, phones and programs.
    """
    found = Counter(class_in_name(name) for name in names)
    count = sum(found.values())
    unnamed = found.pop("", 0)
    if not 2 <= len(found) <= count / 2 or unnamed > 0.01 * count or min(found.values()) < 2:
        return None
    cameras = word_lists()["cameras"]
    words = {name: words_of(name) for name in found}
    if any(parts[0] in cameras or max(map(len, parts)) < 2 or _is_hexadecimal(parts) for parts in words.values()):
        return None
    return None if are_crossed(words.values()) else found


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
