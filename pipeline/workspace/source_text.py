"""What was understood of a source, as text for a terminal. Values in, text out."""

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.listing.records import LeftOut
from pipeline.quality.findings import BESIDE, NOTES
from pipeline.quality.kinds import counted, in_words, kinds

MOST_CLASSES = 20
FEW_CLASSES = 7
NARROWEST = 8
SPLIT_ORDER = ("train", None, "validation", "test")
INDENT = "  "
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # categories of signs
WITHOUT_WIDTH = {"Mn", "Me", "Cf"}
JOINER = "\u200d"  # within emoji


ONLY_A_RUN_KNOWS = (
    "recorded this data set; whether images were replaced or change sides between train and test is known only once a run decodes them"
)


class Example(NamedTuple):
    """An image with what is known of it."""

    path: str
    label: str
    split: str | None
    group: str | None


class Told(NamedTuple):
    """How much was left out for one reason, and the first of it."""

    number: int
    example: LeftOut


@dataclass(frozen=True)
class Understood:
    """What a source was understood to be. `counts` has images by (split, class), with None for images that have no split yet.

    `how` names the layout, `settings` are the parameters that choose it, `origin` says where classes, splits and groups come
    from. `left_out` is by kind. `seen`: if not all images were looked at, how many.
    `ignored`: how many files and folders the globs of `ignore` leave out.
    `divided_groups` have images in several splits. `is_recorded`: whether earlier runs recorded a data set of this name.
    `not_recorded`: if they recorded only others, the words for that.
    """

    how: str
    settings: str
    class_names: Sequence[str]
    counts: Mapping[tuple[str | None, str], int]
    examples: Sequence[Example]
    groups: int
    ungrouped: int
    left_out: Mapping[str, Told]
    seen: int | None
    test_fraction: float
    ignore: Sequence[str]
    ignored: int
    divided_groups: int = 0
    is_recorded: bool = False
    not_recorded: str = ""
    origin: str = ""

    @property
    def splits(self) -> dict[str | None, int]:
        """Images by split, in the order in which splits are shown."""
        totals = {split: sum(count for (own, _), count in self.counts.items() if own == split) for split in SPLIT_ORDER}
        return {split: total for split, total in totals.items() if total}

    def column(self, split: str | None) -> str:
        """What a split is called: without test images, those of train are not divided yet."""
        return split or ("no split" if "test" in self.splits else "train")


def describe(found: Understood, columns: int = 0) -> str:
    """The text that `pipeline check` prints. columns: of the terminal; 0: lines of any length."""
    parts = [
        "What a run reads (no image is decoded yet):",
        _facts(
            {
                "layout": [f"{found.how} ({found.settings})" if found.settings else found.how],
                "origin": [printable(found.origin)] if found.origin else [],
                "images": [f"{sum(found.counts.values()):,} of {len(found.class_names):,} classes"],
                "splits": [_splits(found)],
                "groups": [_groups(found)] if found.groups else [],
            },
            columns,
        ),
        _aligned(_class_rows(found), columns, numbers=True),
        _aligned(_example_rows(found), columns),
        _facts(_left_out(found), columns),
    ]
    return "\n\n".join(part for part in parts if part)


def _splits(found: Understood) -> str:
    free = found.splits.get(None, 0)
    share = f"a share of {100 * found.test_fraction:g} % is held out (ingest.test_fraction)"
    named = ", ".join(f"{found.column(split)} {total:,}" for split, total in found.splits.items())
    if not free:
        return named
    return f"no test images: {share}" if len(found.splits) == 1 else f"{named}; of {found.column(None)}, {share}"


def _groups(found: Understood) -> str:
    count = f"{found.groups:,}" if found.seen is None else f"{found.groups:,} or more"
    alone = f"; images without a group: {found.ungrouped:,}" if found.ungrouped else ""
    if found.divided_groups:
        are = "is" if found.divided_groups == 1 else "are"
        return f"{count}, of which {found.divided_groups:,} {are} in more than one split (leakage){alone}"
    return f"{count}, each on one side of every split{alone}"


def _class_rows(found: Understood) -> list[list[str] | str]:
    """A row for each class; if there are many, for the largest and smallest, with a line of text for those between."""
    splits = list(found.splits)
    totals = {name: sum(found.counts.get((split, name), 0) for split in splits) for name in found.class_names}
    named = ["images"] if len(splits) == 1 else [found.column(split) for split in splits]

    def row(name: str) -> list[str]:
        return [printable(name), *(f"{found.counts.get((split, name), 0):,}" for split in splits)]

    names = list(found.class_names)
    if len(names) <= MOST_CLASSES:
        return [["class", *named], *map(row, names)]
    names.sort(key=lambda name: -totals[name])
    between = names[FEW_CLASSES:-FEW_CLASSES]
    most, least = totals[between[0]], totals[between[-1]]
    each = f"{most:,}" if most == least else f"{least:,} to {most:,}"
    return [
        ["largest and smallest classes", *named],
        *map(row, names[:FEW_CLASSES]),
        f"… {len(between):,} more, of {each} images each",
        *map(row, names[-FEW_CLASSES:]),
    ]


def _example_rows(found: Understood) -> list[list[str] | str]:
    has_splits, has_groups = len(found.splits) > 1, found.groups > 0

    def row(path: str, label: str, split: str, group: str) -> list[str]:
        return [path, label, *([split] if has_splits else []), *([group] if has_groups else [])]

    shown = [
        [printable(one.path), printable(one.label), one.split or "train or test", printable(one.group or "")] for one in found.examples
    ]
    return [row("example", "class", "split", "group"), *(row(*cells) for cells in shown)]


def _left_out(found: Understood) -> dict[str, list[str]]:
    """By heading: images that are lost, files that are no images of a class, notes about the source, and what is not looked at."""
    told: dict[str, list[str]] = {"left out": [], "not used": [], "note": []}
    for kind in (kind for kind in kinds() if kind in found.left_out):
        number, (path, _, reason) = found.left_out[kind]
        about = "" if path == "." else f"{', such as' if number > 1 else ','} {printable(path)}"
        why = "" if reason in (kinds()[kind].one, kinds()[kind].many) else f": {printable(reason)}"
        told["not used" if kind in BESIDE else "note" if kind in NOTES else "left out"].append(f"{in_words(kind, number)}{about}{why}")
    told["left out"] = told["left out"] or ["nothing"]
    if found.seen is not None:
        told["left out"].append(f"as far as the first {counted(found.seen, 'image shows', 'images show')}; a run looks at all of them")
    told["earlier runs"] = [ONLY_A_RUN_KNOWS] if found.is_recorded else [found.not_recorded] if found.not_recorded else []
    ignored = counted(found.ignored, "file or folder", "files and folders")
    told["ignored"] = [f"{', '.join(map(printable, found.ignore))} (ingest.ignore): {ignored}"] if found.ignore else []
    return told


def _facts(facts: Mapping[str, Sequence[str]], columns: int) -> str:
    """Lines of a name and its values, one beneath the other."""
    width = max(len(name) for name, values in facts.items() if values)
    lines: list[str] = []
    for name, values in facts.items():
        for i, value in enumerate(values):
            start = f"{INDENT}{'' if i else name:<{width}}  "
            room = max(columns - len(start), 3 * NARROWEST) if columns else len(value) + 1
            wrapped = textwrap.wrap(value, room, break_on_hyphens=False)
            lines += [f"{start if not j else ' ' * len(start)}{line}" for j, line in enumerate(wrapped)]
    return "\n".join(lines)


def _aligned(rows: Sequence[list[str] | str], columns: int, *, numbers: bool = False) -> str:
    """Rows of cells in columns; with `numbers`, all but the first are numbers. A row that is a text stands by itself. What has no room is shortened."""
    cells = [row for row in rows if isinstance(row, list)]
    widths = [max(map(cells_wide, column)) for column in zip(*cells, strict=True)]
    texts = [0] if numbers else range(len(widths))
    room = columns - len(INDENT) * len(widths) if columns else sum(widths)
    while sum(widths) > room and max(widths[i] for i in texts) > NARROWEST:
        widths[max(texts, key=widths.__getitem__)] -= 1
    lines = []
    for row in rows:
        if isinstance(row, str):
            lines.append(INDENT + row)
            continue
        shown = [_padded(shortened(row[i], width), width, right=i not in texts) for i, width in enumerate(widths)]
        lines.append((INDENT + INDENT.join(shown)).rstrip())
    return "\n".join(lines)


def _padded(cell: str, width: int, *, right: bool) -> str:
    padding = " " * (width - cells_wide(cell))
    return padding + cell if right else cell + padding


def printable(text: str) -> str:
    r"""The text in one line, without signs that move the cursor or turn the text around: these are written as \n, \x1b, \u202e."""
    return "".join(repr(sign)[1:-1] if unicodedata.category(sign) in UNSEEN and sign != JOINER else sign for sign in text)


def cells_wide(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese signs and emoji take two, accents none."""
    return sum(0 if unicodedata.category(sign) in WITHOUT_WIDTH else 1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)


def shortened(text: str, width: int) -> str:
    """The text, or its start and end with an ellipsis between them, in at most this many columns."""
    if cells_wide(text) <= width:
        return text
    start = list(text)
    end: list[str] = []
    half = (width - 1) // 2
    while cells_wide("".join(end)) + cells_wide(start[-1]) <= half:
        end.insert(0, start.pop())
    while cells_wide("".join(start)) > width - 1 - cells_wide("".join(end)):
        start.pop()
    return f"{''.join(start)}…{''.join(end)}"
