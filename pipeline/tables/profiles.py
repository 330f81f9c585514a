"""What the cells of one column say, and whether its name is that of classes, by the words of column_words.toml, which anybody can edit."""

import functools
import json
import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.listing.split_words import words_of
from pipeline.tables.cells import column_word, only_value, structured, text_of

ASKING = ("has", "is", "with")  # has_cactus: yes or no
MOST_MARKS = 6  # 0, 1, 0.0, 1.0, -1, -1.0
NUMBERED = re.compile(r"(.*?)[\W_]*\d+")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
# fmt: off
YES = {"x", "✓", "✔", "true", "t", "yes", "y", "ja", "j", "oui", "o", "sí", "si", "sim"}  # a mark in the column of a class
NO = {"false", "f", "no", "n", "nein", "non", "não", "nao", "-"}
BOX_COLUMNS = {
    "xmin", "x_min", "ymin", "y_min", "bbox", "bbox_x", "x1", "roi_x1", "x_center", "xcenter", "boxes", "segmentation", "encodedpixels",
    "keypoints", "shapes", "region_shape_attributes",
}
DESCRIPTIONS = {  # columns that say something else of an image, whatever their cells look like
    "age", "sex", "gender", "width", "height", "w", "h", "size", "date", "time", "timestamp", "url", "license", "author", "index", "annotator",
    "source", "camera", "channels", "depth", "format", "mode", "created_at", "updated_at", "lead_time", "annotation_id", "localization",
    "dx_type", "view", "weather", "city", "country",
}
# fmt: on


@dataclass
class Profile:
    """What the cells of one column say. Objects of one text, as {"animal": "cat"}, count as the text; `keys` are theirs, `wrapped` their number.

    `objects` is the first of all other objects.
    """

    name: str
    filled: int = 0
    values: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    lists: int = 0
    numbers: int = 0
    fractions: int = 0
    binary: int = 0
    signs: int = 0
    keys: set[str] = field(default_factory=set)
    wrapped: int = 0
    objects: str = ""

    @property
    def is_of_objects(self) -> bool:
        """Whether cells are objects that do not all have one value, under one key."""
        return bool(self.objects) or len(self.keys) > 1 or (bool(self.keys) and self.wrapped < self.filled)

    @property
    def is_of_marks(self) -> bool:
        """Whether all cells are 0 or 1, or one mark such as x, or yes and no."""
        if not self.filled or self.lists or self.is_of_objects or len(self.values) > MOST_MARKS:
            return False
        marks = {value.casefold(): mark_of(value) for value in self.values}
        is_number = self.binary == self.filled
        return None not in marks.values() and (is_number or (not self.numbers and sum(mark == 1 for mark in marks.values()) == 1))

    @property
    def is_of_unsure_marks(self) -> bool:
        """Whether cells are 1, and also what is no number of a class: -1, 0.5, ? or a word."""
        if not self.filled or self.lists or self.is_of_objects or len(self.values) > MOST_MARKS:
            return False
        other = [value for value in self.values if mark_of(value) is None]
        return len(other) in (1, 2) and all(not NUMBER.fullmatch(value) or float(value) in (-1, 0.5) for value in other) and self.binary > 0

    @property
    def word(self) -> str:
        return column_word(self.name)

    @property
    def called(self) -> str:
        """The name of the column, for a message."""
        return (self.name or "the column without a name") + (f" (its {min(self.keys)})" if self.keys and not self.is_of_objects else "")

    def add(self, cell: Any, find: Callable[[str], Sequence[str]]) -> None:
        """Count one cell."""
        if isinstance(cell, str) and cell.lstrip()[:1] in ("[", "{") and not find(cell.strip()):
            cell = structured(cell.strip())
        if isinstance(cell, list | tuple):
            if len(cell) != 1:
                self.lists += bool(cell)
                self.filled += bool(cell)
                return
            cell = cell[0]
        if isinstance(cell, dict):
            text = only_value(cell)
            self.objects = self.objects or ("" if text or not cell else json.dumps(cell, ensure_ascii=False, default=str))
            self.filled += not text and bool(cell)
            self.keys.update(cell if text else ())
            self.wrapped += bool(text)
            cell = text
        if isinstance(cell, bytes):
            return
        text = cell.strip() if isinstance(cell, str) else text_of(cell, self.name)
        if not text:
            return
        self.filled += 1
        if NUMBER.fullmatch(text):
            self.numbers += 1
            value = float(text)
            self.fractions += not value.is_integer()
            self.binary += value in (0, 1)
            self.signs += value in (-1, 1)
        if text not in self.values:
            self.values.add(text)
            self.images.update(find(text)[:1])


def mark_of(cell: Any) -> int | None:
    """1 or 0 for a cell that says yes or no, as in a column for a class; 0 for an empty one, None for any other."""
    text = text_of(cell, "") if isinstance(cell, str | int | float | None) else "other"
    if NUMBER.fullmatch(text):
        return int(float(text)) if float(text) in (0, 1) else None
    return 1 if text.casefold() in YES else 0 if not text or text.casefold() in NO else None


@functools.cache
def _word_lists() -> Mapping[str, frozenset[str]]:
    text = Path(__file__).with_name("column_words.toml").read_text(encoding="utf-8")
    return {name: frozenset(words) for name, words in tomllib.loads(text).items()}


def says_class(name: str) -> bool:
    """Whether the name of a column says that it has classes: `Klasse`, `leaf_disease`, `Type1`; not `label_quality` or `file_type`."""
    words = _words(name)
    lists = _word_lists()
    if not words:
        return False
    if words[-1] in lists["heads"]:
        return True
    is_called_so = any(word in lists["classes"] or word.endswith(tuple(lists["endings"])) for word in words)
    return is_called_so and not lists["descriptions"] & set(words)


def may_say_class(name: str) -> bool:
    """Whether the name of a column says a judgement, which may be the class: `Ergebnis`, `quality`."""
    return bool(_word_lists()["judgements"] & set(_words(name)))


def describes(name: str) -> bool:
    """Whether the name of a column says how or by whom a picture was made, or another thing that is no class."""
    return column_word(name) in DESCRIPTIONS or bool(_word_lists()["descriptions"] & set(_words(name)))


def asks(name: str) -> bool:
    """Whether the name of a column asks for something in the picture: `has_cactus`; not `is_reviewed`."""
    words = _words(name)
    return len(words) > 1 and words[0] in ASKING and not _word_lists()["descriptions"] & set(words)


def without_number(name: str) -> str:
    """The name of a column without the number at its end: `type` for Type1 and Type_2."""
    found = NUMBERED.fullmatch(name.strip())
    return (found[1] if found else name.strip()).casefold()


def _words(name: str) -> list[str]:
    plain = "".join(sign for sign in unicodedata.normalize("NFD", name) if unicodedata.category(sign) != "Mn")
    return [word for word in words_of(plain) if not word.isdigit()]
