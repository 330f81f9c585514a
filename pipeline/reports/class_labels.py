"""Class names as labels of charts: short, different, and in letters that the font has. Values in, values out."""

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from matplotlib import font_manager

from pipeline.names import shown

LONGEST_LABEL = 22
END = 8
"""Signs kept of the end of a name that is cut."""
NUMBERED = re.compile(r"#[0-9]+$")
FONT = "DejaVu Sans"
"""The font of the charts, which comes with matplotlib."""


def class_labels(class_names: Sequence[str]) -> list[str]:
    """A label for each class, of at most 22 signs: its name, without its middle if it is longer.

    A label ends with the number of the class, from #1, if the font lacks letters of the name, which are left out, or if it were the same as another.
    """
    names = [shown(name) for name in class_names]
    drawn = ["".join(sign for sign in name if _has(sign)) for name in names]
    often = Counter(map(_cut, drawn))
    return [
        _cut(text) if text == name and often[_cut(text)] == 1 and not NUMBERED.search(text) else _numbered(text, number)
        for number, (name, text) in enumerate(zip(names, drawn, strict=True), 1)
    ]


def numbered_classes(class_names: Sequence[str]) -> Mapping[str, str]:
    """The classes whose labels have a number: the name by label."""
    return {label: name for label, name in zip(class_labels(class_names), class_names, strict=True) if NUMBERED.search(label)}


def _numbered(text: str, number: int) -> str:
    end = f"#{number}"
    return f"{_cut(text, LONGEST_LABEL - len(end) - 1)} {end}".strip()


def _cut(text: str, longest: int = LONGEST_LABEL) -> str:
    return text if len(text) <= longest else f"{text[: longest - END - 1]}…{text[-END:]}"


@functools.cache
def _has(sign: str) -> bool:
    """Whether the font has a letter."""
    return bool(font_manager.get_font(font_manager.findfont(FONT)).get_char_index(ord(sign)))
