"""The data report: values in, one self-contained HTML page out.

Presentation only: reads nothing but its template, makes no checks, knows nothing of files or sources. The page needs no network and no scripts;
pictures are data URIs; all text is escaped. The texts for each kind of finding are in quality/kinds.toml.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline.dataset.split_names import SPLITS, TEST
from pipeline.quality.findings import Action
from pipeline.quality.kinds import check_kind, counted, kinds
from pipeline.quality.kinds import in_words as words_of
from pipeline.reports.data_charts import CHART_CELLS, ROWS_OF_A_SHORT_LIST, median_px, short_list, size_chart
from pipeline.reports.page import brief_names, is_small_png, percent, render_page

if TYPE_CHECKING:
    from pipeline.properties.data_section import PropertySection

ACTIONS: Mapping[Action, str] = {"failed": "not accepted", "rejected": "left out", "kept": "kept"}
MOST_EXAMPLES = 12
MOST_PICTURES = 4
MOST_THUMBNAILS = 8
MOST_THUMBNAILS_ON_A_PAGE = 1000
CLASSES_SHOWN_AT_ONCE = 40
DIGITS_OF_A_DIGEST = 12


MODES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with transparency",
    "I": "grey, 32 bits",
    "I;16": "grey, 16 bits",
    "I;16B": "grey, 16 bits",
    "F": "grey, floating point",
    "P": "palette",
    "PA": "palette with transparency",
    "RGB": "colour",
    "RGBA": "colour with transparency",
    "CMYK": "colour for print",
    "YCbCr": "colour, luma and chroma",
}


@dataclass(frozen=True)
class Picture:
    """An image or file of an example. `label` and `split` are None if it has none, `thumbnail` (PNG or JPEG) is None if it cannot be decoded."""

    path: str
    label: str | None
    split: str | None
    thumbnail: bytes | None


@dataclass(frozen=True)
class Example:
    """The pictures that a finding is about, and a note on what is wrong with them. Either may be empty."""

    pictures: Sequence[Picture]
    note: str


@dataclass(frozen=True)
class FindingGroup:
    """All findings of a kind (in kinds.toml) with the same action. `count`: how many findings.csv lists. `covered`: how many of them the examples
    show, if an example can show two: the images of a pair that are both left out; 0 if each shows one.
    """

    kind: str
    action: Action
    count: int
    examples: Sequence[Example]
    covered: int = 0


@dataclass(frozen=True)
class DataReport:
    """Everything that the page shows.

    `images`, `left_out`: how many are used, and how many are not. `counts`: images by split (train, validation, test) and class. `sizes_px`: images
    by (width, height); `modes`: by Pillow's mode; `formats`: by format, empty if the source has none. `thumbnails`: PNGs or JPEGs by class.
    `checked`: the kinds of findings that were checked for. `value_range`: what becomes of the values of
    images of more than 8 bits; empty if there are none. `read_as`: where classes, splits and groups come from. `changed_by_people`: a
    sentence on labels that differ from the source, empty if none does. `properties`: the part on brightness and the like.
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
    checked: Sequence[str]
    value_range: str = ""
    read_as: str = ""
    changed_by_people: str = ""
    properties: "PropertySection | None" = None

    @property
    def splits(self) -> Mapping[str, int]:
        """Images by split, without empty splits."""
        totals = {split: sum(self.counts.get(split, {}).values()) for split in SPLITS}
        return {split: total for split, total in totals.items() if total}


@dataclass(frozen=True)
class ClassRow:
    """A row of the table of classes: images by split, share (0 to 1) of all images, some thumbnails."""

    name: str
    counts: Mapping[str, int]
    share: float
    thumbnails: Sequence[bytes]

    @property
    def images(self) -> int:
        """Images in all splits."""
        return sum(self.counts.values())


def render(report: DataReport) -> bytes:
    """The report as an HTML page in UTF-8. The same report gives the same bytes. Raises ValueError if a kind is not in kinds.toml."""
    findings = in_order(report.findings)
    page = render_page(
        "data_report.html.j2",
        {"counted": counted, "is_pixelated": is_small_png, "differ": differ},
        report=report,
        brief=brief_names(report.class_names),
        rows=(rows := class_rows(report)),
        by_size=sorted(rows, key=lambda row: row.images),
        compact=len(rows) > CLASSES_SHOWN_AT_ONCE,
        shown_at_once=CLASSES_SHOWN_AT_ONCE,
        used=used(report),
        shares_differ=len({percent(row.share) for row in rows}) > 1,
        fewest_and_most=fewest_and_most(report),
        phrases={(group.kind, group.action): phrase(group, len(rows)) for group in findings},
        refused=", ".join(phrase(group, len(rows)) for group in findings if group.action == "failed"),
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
    """The groups that have findings: failed ones first, then those left out; within these, the most serious first."""
    for group in findings:
        check_kind(group.kind)
    actions, order = list(ACTIONS), list(kinds())
    return sorted((group for group in findings if group.count), key=lambda group: (actions.index(group.action), order.index(group.kind)))


def not_found(report: DataReport) -> list[str]:
    """The plurals of the kinds that were checked for and not found."""
    for kind in report.checked:
        check_kind(kind)
    found = {group.kind for group in report.findings if group.count}
    return [words.many for kind, words in kinds().items() if kind in report.checked and kind not in found]


def used(report: DataReport) -> str:
    """A sentence on how many images are used."""
    classes = counted(len(report.class_names), "class", "classes")
    if not report.left_out:
        return f"{counted(report.images, 'image', 'images')} in {classes}; none left out."
    every = counted(report.images + report.left_out, "file", "files")
    return f"{report.images:,} of {every} used, in {classes}; {report.left_out:,} left out."


def phrase(group: FindingGroup, class_count: int) -> str:
    """A group in words, for example "3 leaks", or "100 small classes (all)"."""
    every = " (all)" if group.kind == "small_class" and group.count == class_count > 1 else ""
    return words_of(group.kind, group.count) + every


def fewest_and_most(report: DataReport) -> tuple[int, int]:
    """The numbers of training and validation images of the smallest and of the largest class; zeros without classes."""
    training = [sum(report.counts.get(split, {}).get(name, 0) for split in SPLITS if split != SPLITS[TEST]) for name in report.class_names]
    return min(training, default=0), max(training, default=0)


def class_rows(report: DataReport) -> list[ClassRow]:
    """The rows of the table of classes, in order."""
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
    """Thumbnails shown per class: fewer if there are many classes, so that the page stays at a few megabytes."""
    return min(MOST_THUMBNAILS, MOST_THUMBNAILS_ON_A_PAGE // max(class_count, 1))


def in_words(modes: Mapping[str, int]) -> dict[str, int]:
    """Images by colour mode in words, with Pillow's name in parentheses."""
    return {f"{MODES[mode]} ({mode})" if mode in MODES else mode: count for mode, count in modes.items()}


def differ(pictures: Sequence[Picture], attribute: Literal["label", "split"]) -> bool:
    """Whether the pictures of an example differ in label or split."""
    return len({getattr(picture, attribute) for picture in pictures}) > 1
