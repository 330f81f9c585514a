"""The report on a data set: values in, one self-contained HTML page out.

Pure presentation: reads its own templates and nothing else, looks for no finding, knows nothing of files or sources. The page needs no network
and no script; pictures are data URIs; every text is escaped. The words for every kind of finding stand in quality/kinds.toml.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.dataset.split_names import SPLITS
from pipeline.quality.findings import Action
from pipeline.quality.kinds import check_kind, counted, kinds
from pipeline.quality.kinds import in_words as words_of
from pipeline.reports.data_charts import CHART_CELLS, ROWS_OF_A_SHORT_LIST, median_px, short_list, size_chart
from pipeline.reports.page import render_page

ACTIONS: Mapping[Action, str] = {"failed": "not accepted", "rejected": "left out", "kept": "kept"}
MOST_EXAMPLES = 12
MOST_PICTURES = 4
MOST_THUMBNAILS = 8
MOST_THUMBNAILS_ON_A_PAGE = 1000
CLASSES_SHOWN_AT_ONCE = 40
PIXELATED_BELOW_PX = 64
DIGITS_OF_A_DIGEST = 12


MODES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with transparency",
    "I": "grey, 32 bits",
    "I;16": "grey, 16 bits",
    "I;16B": "grey, 16 bits",
    "F": "grey, numbers with a point",
    "P": "palette",
    "PA": "palette with transparency",
    "RGB": "colour",
    "RGBA": "colour with transparency",
    "CMYK": "colour for print",
    "YCbCr": "colour, luma and chroma",
}


@dataclass(frozen=True)
class Picture:
    """An image or file of an example. `label` and `split` are None where it has none, `thumbnail` (PNG or JPEG) where it cannot be shown."""

    path: str
    label: str | None
    split: str | None
    thumbnail: bytes | None


@dataclass(frozen=True)
class Example:
    """What a finding is about: the pictures that belong together, the note says what is wrong with them. Either may be empty."""

    pictures: Sequence[Picture]
    note: str


@dataclass(frozen=True)
class FindingGroup:
    """All findings of a kind, one of kinds.toml, with which the same was done. `count` is how many findings.csv lists."""

    kind: str
    action: Action
    count: int
    examples: Sequence[Example]


@dataclass(frozen=True)
class DataReport:
    """Everything that the page shows.

    `images` were taken, `left_out` were not. `counts`: images by split (train, validation, test) and class. `sizes_px`: images by (width,
    height); `modes`: by Pillow's mode; `formats`: by format, empty where the source has none. `thumbnails`: PNGs or JPEGs by class.
    `looked_for`: the kinds of finding that were looked for.
    """

    name: str
    source: str
    digest: str
    images: int
    left_out: int
    class_names: Sequence[str]
    counts: Mapping[str, Mapping[str, int]]
    sizes_px: Mapping[tuple[int, int], int]
    modes: Mapping[str, int]
    formats: Mapping[str, int]
    thumbnails: Mapping[str, Sequence[bytes]]
    findings: Sequence[FindingGroup]
    looked_for: Sequence[str]

    @property
    def splits(self) -> Mapping[str, int]:
        """Images by split, of those of SPLITS that have some."""
        totals = {split: sum(self.counts.get(split, {}).values()) for split in SPLITS}
        return {split: total for split, total in totals.items() if total}


@dataclass(frozen=True)
class ClassRow:
    """A class in the table: its images by split, its share (0 to 1) of all images, some of its pictures."""

    name: str
    counts: Mapping[str, int]
    share: float
    thumbnails: Sequence[bytes]

    @property
    def images(self) -> int:
        """Images in all splits."""
        return sum(self.counts.values())


def render(report: DataReport) -> bytes:
    """The report as an HTML page in UTF-8. The same report gives the same bytes. Raises ValueError for a kind that is not in kinds.toml."""
    findings = in_order(report.findings)
    page = render_page(
        "data_report.html.j2",
        {"counted": counted, "is_pixelated": is_pixelated, "differ": differ, "phrase": phrase},
        report=report,
        rows=(rows := class_rows(report)),
        by_size=sorted(rows, key=lambda row: row.images),
        compact=len(rows) > CLASSES_SHOWN_AT_ONCE,
        shown_at_once=CLASSES_SHOWN_AT_ONCE,
        taken=taken(report),
        refused=", ".join(phrase(group) for group in findings if group.action == "failed"),
        findings=[(group, kinds()[group.kind]) for group in findings],
        not_found=not_found(report),
        size_bars=short_list({f"{width} × {height} px": count for (width, height), count in report.sizes_px.items()}, "other sizes"),
        mode_bars=short_list(in_words(report.modes), "others"),
        format_bars=short_list(report.formats, "others"),
        size_chart=size_chart(report.sizes_px) if len(report.sizes_px) > ROWS_OF_A_SHORT_LIST else None,
        median_px=median_px(report.sizes_px),
        actions=ACTIONS,
        most_examples=MOST_EXAMPLES,
        most_pictures=MOST_PICTURES,
        chart_cells=CHART_CELLS,
        digest=report.digest[:DIGITS_OF_A_DIGEST],
    )
    return page.encode("utf-8", "backslashreplace")  # a name may hold lone surrogates, for bytes that are not UTF-8


def in_order(findings: Sequence[FindingGroup]) -> list[FindingGroup]:
    """The groups that have findings: what failed comes first, then what was left out; within these, what matters more."""
    for group in findings:
        check_kind(group.kind)
    actions, order = list(ACTIONS), list(kinds())
    return sorted((group for group in findings if group.count), key=lambda group: (actions.index(group.action), order.index(group.kind)))


def not_found(report: DataReport) -> list[str]:
    """The kinds that were looked for in vain, in the plural."""
    for kind in report.looked_for:
        check_kind(kind)
    found = {group.kind for group in report.findings if group.count}
    return [words.many for kind, words in kinds().items() if kind in report.looked_for and kind not in found]


def taken(report: DataReport) -> str:
    """How many images were taken, in one sentence."""
    classes = counted(len(report.class_names), "class", "classes")
    if not report.left_out:
        return f"All {counted(report.images, 'image', 'images')} taken, in {classes}."
    every = counted(report.images + report.left_out, "file", "files")
    return f"{report.images:,} of {every} taken in {classes}; {report.left_out:,} left out."


def phrase(group: FindingGroup) -> str:
    """A group in words, as in "3 leaks"."""
    return words_of(group.kind, group.count)


def class_rows(report: DataReport) -> list[ClassRow]:
    """The rows of the table of classes, in the order of the classes."""
    shown = thumbnails_per_class(len(report.class_names))
    return [
        ClassRow(
            name=name,
            counts=(counts := {split: report.counts[split].get(name, 0) for split in report.splits}),
            share=sum(counts.values()) / max(report.images, 1),
            thumbnails=report.thumbnails.get(name, ())[:shown],
        )
        for name in report.class_names
    ]


def thumbnails_per_class(class_count: int) -> int:
    """How many pictures of each class are shown: fewer with more classes, so that the page stays below some megabytes."""
    return min(MOST_THUMBNAILS, MOST_THUMBNAILS_ON_A_PAGE // max(class_count, 1))


def in_words(modes: Mapping[str, int]) -> dict[str, int]:
    """Images by colour mode, the mode explained and in brackets."""
    return {f"{MODES[mode]} ({mode})" if mode in MODES else mode: count for mode, count in modes.items()}


def differ(pictures: Sequence[Picture], attribute: Literal["label", "split"]) -> bool:
    """Whether pictures that belong together differ in their label or split."""
    return len({getattr(picture, attribute) for picture in pictures}) > 1


def is_pixelated(picture: bytes) -> bool:
    """Whether an encoded picture is so small that its pixels are shown as squares: a PNG below 64 px. Its size is in bytes 16 to 23."""
    if not picture.startswith(b"\x89PNG"):
        return False
    return max(int.from_bytes(picture[i : i + 4], "big") for i in (16, 20)) < PIXELATED_BELOW_PX
