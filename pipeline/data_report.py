"""The report on a data set: values in, one self-contained HTML page out.

Pure presentation: reads its own templates and nothing else, looks for no finding, knows nothing of files or sources. The page needs no network
and no script; pictures are data URIs; every text is escaped. The table KINDS has the words for every kind of finding.
"""

import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from PIL import Image

from pipeline.ml.images import GREY_MODES, ImageSpec, image_to_input
from pipeline.ml.split_names import SPLITS
from pipeline.page import render_page

Action = Literal["failed", "rejected", "kept"]

ACTIONS: Mapping[Action, str] = {"failed": "not accepted", "rejected": "left out", "kept": "kept"}
MOST_EXAMPLES = 12
MOST_PICTURES = 4
MOST_THUMBNAILS = 8
MOST_THUMBNAILS_ON_A_PAGE = 1000
CLASSES_SHOWN_AT_ONCE = 40
ROWS_OF_A_SHORT_LIST = 6
PIXELATED_BELOW_PX = 64
LARGEST_PNG_BYTES = 4096
DIGITS_OF_A_DIGEST = 12
CHART_CELLS = 24


class Kind(NamedTuple):
    """The words for a kind of finding: a heading, one and many of it, what it means, what the user can do."""

    title: str
    one: str
    many: str
    meaning: str
    advice: str


# In the order in which they matter
KINDS: Mapping[str, Kind] = {
    "leak": Kind(
        "The same image in two splits",
        "leak",
        "leaks",
        "An image of one split has the same pixels as one of another: a model is tested on what it has learned by heart.",
        "Keep one copy, on one side. Where copies come from one object or one sitting, give them a group.",
    ),
    "conflict": Kind(
        "The same image in several classes",
        "contradiction",
        "contradictions",
        "Images with the same pixels have different labels: at least one of the labels is wrong.",
        "Decide which class is right, and delete the other copies.",
    ),
    "duplicate": Kind(
        "The same image more than once",
        "duplicate",
        "duplicates",
        "Images of one class and one split have the same pixels: they count twice and teach nothing more.",
        "Delete the copies, unless the repetition is meant as a weight.",
    ),
    "near_leak": Kind(
        "Nearly the same image in two splits",
        "near leak",
        "near leaks",
        "An image of one split differs little from one of another, as a resized or recompressed copy does: test results may be too good.",
        "Look at the pairs. Where they show the same thing, put both on one side, or give them a group.",
    ),
    "near_conflict": Kind(
        "Nearly the same image in several classes",
        "near contradiction",
        "near contradictions",
        "Images that differ little have different labels: one of the labels may be wrong.",
        "Look at the pairs, and move what lies in the wrong class.",
    ),
    "near_duplicate": Kind(
        "Nearly the same image more than once",
        "near duplicate",
        "near duplicates",
        "Images of one class and one split differ little, as resized or recompressed copies do.",
        "Delete copies that add nothing. Frames of one video or sitting belong in one group.",
    ),
    "shortcut": Kind(
        "Something other than the content tells the class",
        "shortcut",
        "shortcuts",
        "The size or the colours of the files give the class away: a model can be right without looking at what they show.",
        "Bring the images of all classes into the same form, or take them the same way.",
    ),
    "wrong_type": Kind(
        "Content of another format than the name says",
        "misnamed image",
        "misnamed images",
        "The file's ending names one format, its content is of another. The content counts.",
        "Rename the files, if other programs are to read them.",
    ),
    "missing_in_split": Kind(
        "Classes that a split lacks",
        "class missing in a split",
        "classes missing in a split",
        "A split has no image of the class: there it cannot be learned, or its accuracy cannot be told.",
        "Add images of the class to the split, or take the class out.",
    ),
    "lost_class": Kind(
        "Classes of which nothing is left",
        "lost class",
        "lost classes",
        "All images of the class are left out, for one reason or another: the model will not know it.",
        "See what was left out and why, and mend it, or take the class out.",
    ),
    "small_class": Kind(
        "Classes with few images",
        "small class",
        "small classes",
        "The class has few training images: too few to learn it well, perhaps too few for every fold of the cross-validation.",
        "Add images, merge the class with another, or lower the number of folds.",
    ),
    "removed_class": Kind(
        "Classes of earlier runs that have no image any more",
        "removed class",
        "removed classes",
        "Earlier runs recorded images of the class; now it has none, and the model will not know it.",
        "Put the images back, or name the class in ingest.removed_classes, which confirms that it is to go.",
    ),
    "replaced_images": Kind(
        "All images are others than at the last run",
        "replaced data set",
        "replaced data sets",
        "None of the images that were noted at the last run is there: it may be another data set under the same name.",
        "Give another data set another name; ingest.replaced_images confirms that the images of this one were replaced.",
    ),
    "imbalance": Kind(
        "Classes of very different size",
        "class out of balance",
        "classes out of balance",
        "Some classes have many times the images of others: accuracy says little about the small ones.",
        "Add images of the small classes, and judge by macro F1.",
    ),
    "similar_names": Kind(
        "Class names that are nearly the same",
        "ambiguous class name",
        "ambiguous class names",
        "Names of classes differ in upper and lower case or in spaces only: they may be one class, written in two ways.",
        "Put the images into one folder, or give the classes names that can be told apart.",
    ),
    "undecodable": Kind(
        "Files that cannot be decoded",
        "undecodable file",
        "undecodable files",
        "The content is no image of a known format, or is damaged or cut off.",
        "Open the file in an image viewer. Fetch it again, or delete it.",
    ),
    "empty": Kind(
        "Empty files",
        "empty file",
        "empty files",
        "The file has no content, as after a download that broke off.",
        "Fetch the file again, or delete it.",
    ),
    "too_large": Kind(
        "Images that are too large",
        "image too large",
        "images too large",
        "The image has more bytes or pixels than can be taken without danger to the memory.",
        "Scale the image down.",
    ),
    "unreadable": Kind(
        "Files that could not be read",
        "unreadable file",
        "unreadable files",
        "The system refused to read the file.",
        "Check its permissions and the disk.",
    ),
    "missing": Kind(
        "Images that are listed but not there",
        "missing file",
        "missing files",
        "A list names the file, but the source does not have it.",
        "Add the file, or take its line out of the list.",
    ),
    "encrypted": Kind(
        "Encrypted files",
        "encrypted file",
        "encrypted files",
        "The archive holds the file behind a password.",
        "Pack the archive again without a password.",
    ),
    "name_clash": Kind(
        "Files whose names cannot be told apart",
        "name clash",
        "name clashes",
        "Another file of the source has the same name, so that a name would stand for two images.",
        "Rename one of the files.",
    ),
    "stray": Kind(
        "Files that belong to no class",
        "stray file",
        "stray files",
        "The file lies in no folder of a class or split, or no list names it: nobody knows its label.",
        "Move it into the folder of its class, list it, or delete it.",
    ),
    "link": Kind(
        "Links that cannot be followed",
        "link",
        "links",
        "A symbolic link points outside the source, to a folder, or to nothing: what it stands for is not part of the source.",
        "Copy the file to where the link is.",
    ),
    "special": Kind(
        "Pipes and devices",
        "special file",
        "special files",
        "The name stands for a pipe, a socket or a device, not for a file: reading it might never end.",
        "Delete it.",
    ),
    "escaping": Kind(
        "Archive members that lead out of the archive",
        "escaping member",
        "escaping members",
        "The member's path starts at the root or leads upwards: unpacked, it would be written elsewhere.",
        "Pack the archive again from inside its folder, and ask where it comes from.",
    ),
}
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
    """All findings of a kind, one of KINDS, with which the same was done. `count` is how many findings.csv lists."""

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


@dataclass(frozen=True)
class Bar:
    """A row of a list of bars."""

    name: str
    count: int


@dataclass(frozen=True)
class SizeChart:
    """How often widths and heights go together. Both axes are logarithmic and the same, from 0 to CHART_CELLS.

    `cells`: column, row counted from the top, weight from 0 to 1. `ticks`: position and size in px.
    """

    cells: Sequence[tuple[int, int, float]]
    ticks: Sequence[tuple[float, int]]


def render(report: DataReport) -> bytes:
    """The report as an HTML page in UTF-8. The same report gives the same bytes. Raises ValueError for a kind that is not in KINDS."""
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
        findings=[(group, KINDS[group.kind]) for group in findings],
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
    actions, kinds = list(ACTIONS), list(KINDS)
    return sorted((group for group in findings if group.count), key=lambda group: (actions.index(group.action), kinds.index(group.kind)))


def not_found(report: DataReport) -> list[str]:
    """The kinds that were looked for in vain, in the plural."""
    for kind in report.looked_for:
        check_kind(kind)
    found = {group.kind for group in report.findings if group.count}
    return [words.many for kind, words in KINDS.items() if kind in report.looked_for and kind not in found]


def check_kind(kind: str) -> None:
    """Raise ValueError for a kind that KINDS has no words for."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of finding. Expected one of {', '.join(KINDS)}; a new one needs its words in KINDS.")


def taken(report: DataReport) -> str:
    """How many images were taken, in one sentence."""
    classes = counted(len(report.class_names), "class", "classes")
    if not report.left_out:
        return f"All {counted(report.images, 'image', 'images')} taken, in {classes}."
    every = counted(report.images + report.left_out, "file", "files")
    return f"{report.images:,} of {every} taken in {classes}; {report.left_out:,} left out."


def phrase(group: FindingGroup) -> str:
    """A group in words, as in "3 leaks"."""
    return counted(group.count, KINDS[group.kind].one, KINDS[group.kind].many)


def counted(count: int, one: str, many: str) -> str:
    """A number and what it counts."""
    return f"{count:,} {one if count == 1 else many}"


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


def short_list(counts: Mapping[str, int], others: str) -> list[Bar]:
    """The most frequent first; what does not fit into a short list is summed up in its last row."""
    bars = [Bar(name, count) for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    if len(bars) <= ROWS_OF_A_SHORT_LIST:
        return bars
    rest = bars[ROWS_OF_A_SHORT_LIST - 1 :]
    return [*bars[: ROWS_OF_A_SHORT_LIST - 1], Bar(f"{len(rest):,} {others}", sum(bar.count for bar in rest))]


def size_chart(sizes_px: Mapping[tuple[int, int], int]) -> SizeChart:
    """The chart of at least two sizes, images by (width, height)."""
    low, high = (math.log(choose(px for size in sizes_px for px in size)) for choose in (min, max))
    counts: Counter[tuple[int, int]] = Counter()
    for (width, height), count in sizes_px.items():
        column, row = (min(int(_position(px, low, high)), CHART_CELLS - 1) for px in (width, height))
        counts[column, CHART_CELLS - 1 - row] += count
    most = max(counts.values())
    cells = [(column, row, math.sqrt(count / most)) for (column, row), count in sorted(counts.items())]
    round_px = [digit * 10**power for power in range(7) for digit in (1, 2, 5)]
    return SizeChart(cells, [(_position(px, low, high), px) for px in round_px if low <= math.log(px) <= high])


def _position(px: int, low: float, high: float) -> float:
    return CHART_CELLS * (math.log(px) - low) / (high - low)


def median_px(sizes_px: Mapping[tuple[int, int], int]) -> tuple[int, int]:
    """(width, height): each the median over the images; (0, 0) of none."""
    return _median([(width, count) for (width, _), count in sizes_px.items()]), _median([(h, count) for (_, h), count in sizes_px.items()])


def _median(counted_values: Sequence[tuple[int, int]]) -> int:
    """The lower median of values that come with how often each occurs."""
    half = sum(count for _, count in counted_values) / 2
    seen = 0
    for value, count in sorted(counted_values):
        seen += count
        if seen >= half:
            return value
    return 0


def differ(pictures: Sequence[Picture], attribute: Literal["label", "split"]) -> bool:
    """Whether pictures that belong together differ in their label or split."""
    return len({getattr(picture, attribute) for picture in pictures}) > 1


def is_pixelated(picture: bytes) -> bool:
    """Whether an encoded picture is so small that its pixels are shown as squares: a PNG below 64 px. Its size is in bytes 16 to 23."""
    if not picture.startswith(b"\x89PNG"):
        return False
    return max(int.from_bytes(picture[i : i + 4], "big") for i in (16, 20)) < PIXELATED_BELOW_PX


def thumbnail(image: Image.Image, most_px: int = 64) -> bytes:
    """A picture of a decoded image, at most `most_px` high and wide, never enlarged: a PNG, or a JPEG where that would be above 4 kB.

    Transparency becomes white, grey of 16 bits grey of 8. The same image gives the same bytes.
    """
    scale = min(1.0, most_px / max(image.size))
    width, height = (max(1, round(scale * side)) for side in image.size)
    pixels = image_to_input(image, ImageSpec(height, width, 1 if image.mode in GREY_MODES else 3, "stretch"))
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    png = _encode(picture, "PNG")
    return png if len(png) <= LARGEST_PNG_BYTES else _encode(picture, "JPEG")


def _encode(picture: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=image_format, optimize=True, quality=85)
    return buffer.getvalue()
