"""Names from the user's data, of classes and files, in text for people: exact, and on one line. Pure functions of text.

Files, tags and answers of the model hold names as they are; these forms are for messages, pages, charts and Markdown only.
"""

import json
import re
from collections.abc import Iterable

UNSEEN = re.compile("[\x00-\x1f\x7f-\xa0\xad\u061c\u200b\u200e\u200f\u2028-\u202f\u2060-\u2069\ufeff\ud800-\udfff]")
"""Line breaks, control characters, and others that cannot be seen or that change what is around them."""
MEANS_SOMETHING_IN_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~$&#]")


def shown(name: str) -> str:
    """A name as it is, or in quotes where it could be misread: with spaces at its ends, two in a row, or characters that cannot be seen.

    Different names are shown differently.
    """
    misread = name != name.strip() or "  " in name or not name or name.startswith('"') or UNSEEN.search(name)
    return quoted(name) if misread else name


def quoted(name: str) -> str:
    r"""A name in double quotes, with escapes such as \n, as JSON and YAML read it."""
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(name, ensure_ascii=False))


def in_list(name: str) -> str:
    """A name as in `shown`, in quotes also if it has a comma."""
    return quoted(name) if "," in name else shown(name)


def listed(names: Iterable[str], most: int | None = None) -> str:
    """Names with commas between them, in the order given: the first few, and how many more there are."""
    every = [in_list(name) for name in names]
    more = len(every) - len(every[:most])
    return ", ".join(every[:most]) + (f" and {more:,} more" if more else "")


def in_markdown(text: str) -> str:
    """Text as Markdown that shows it letter by letter, within a paragraph or the cell of a table."""
    escaped = MEANS_SOMETHING_IN_MARKDOWN.sub(r"\\\g<0>", text)
    return escaped.replace("\n", " ").replace("  ", " &nbsp;")
