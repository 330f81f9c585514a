"""What every reader returns: records of images, and what was left out with the reason. Knows no layout."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Record(NamedTuple):
    """One image of a source. `path` is its name there; `read` gives its encoded bytes; `split` is train, validation or test.

    `split` is None where the source has no test images, `group` where it names no groups: images of one group stay on one side of every split.
    `read` may be called in another process; it raises ImageError or OSError.
    """

    path: str
    label: str
    split: str | None
    group: str | None
    size_bytes: int
    read: Callable[[], bytes]


class LeftOut(NamedTuple):
    """Something in the source that is not among the records.

    `finding` is one of the kinds in pipeline/quality/kinds.toml. Of images that are lost: `stray` (in no class folder or split, not listed, an
    archive or table that is not read), `link`, `special` (a FIFO or device), `escaping` (an archive member that would be written elsewhere),
    `name_clash`, `conflict` (listed with two labels), `unreadable`, `encrypted`, `missing` (listed, but missing), `empty`, `undecodable`,
    `not_read` (a picture of a format that is not read), `too_large`. Of other files: `unlabelled`, `side_file`, `system`. About the source as a
    whole: `unused_table`, `empty_folder`, `other_task`, `name_encoding`, `linked_folder`, `unused_archive`, `unused_ignore` (a glob that matches
    nothing), `series` (images of one sample, by their names).
    """

    path: str
    finding: str
    reason: str


class Origin(NamedTuple):
    """Where classes, splits and groups come from, in a few words each, such as "column dx of metadata.csv"; empty if there are none."""

    classes: str = ""
    splits: str = ""
    groups: str = ""

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        told = {"classes": self.classes, "splits": self.splits, "groups": self.groups}
        if self.classes == self.splits:
            told = {"classes and splits": self.classes, "groups": self.groups}
        return ", ".join(f"{what} from {where}" for what, where in told.items() if where)


NO_ORIGIN = Origin()


@dataclass(frozen=True)
class Reading:
    """What a reader would make of a source, before a reading is chosen.

    `how` names it for people ("class folders"); `settings` are the parameters that choose it ("ingest.format: folders").
    `class_names` are the classes in order, if the source has an order. `counts` has the number of images by (split, label), where the split is
    train, validation, test, or None if the source has none. `records` yields the images, and adds what it leaves out to the list it is given.
    `ignored`: how many files and folders `ingest.ignore` leaves out. `origin`: where classes, splits and groups come from, if `how` does not say it.
    """

    how: str
    settings: str
    class_names: list[str] | None
    counts: Mapping[tuple[str | None, str], int]
    records: Callable[[list[LeftOut]], Iterator[Record]]
    left_out: list[LeftOut] = field(default_factory=list)
    ignored: int = 0
    origin: Origin = NO_ORIGIN

    def origin_of_all(self, test_fraction: float) -> str:
        """Where classes, splits and groups come from, and what is held out as test, in one line."""
        splits = {split for split, _ in self.counts}
        origin = self.origin if self.origin.classes else Origin(self.how, self.how)
        told = origin if splits & {"validation", "test"} else origin._replace(splits="")
        return told.sentence + (
            "" if "test" in splits else f"; {100 * test_fraction:g} % held out as test, by a hash of the pixels or the group"
        )


@dataclass(frozen=True)
class Source:
    """The result of a reader: name of the data set, classes in order if they have one, images, and what was left out.

    `records` can be iterated once; only then is `left_out` complete. `count` is the expected number of records.
    `reading` is what was chosen, and how it is called. `copies` keeps temporary copies of archives as long as it lives.
    """

    name: str
    class_names: list[str] | None
    records: Iterable[Record]
    count: int
    left_out: list[LeftOut] = field(default_factory=list)
    reading: Reading | None = None
    copies: object = None


def source_name(path: Path) -> str:
    """The data set's name: that of the folder or the file, without its extension."""
    endings = r"\.(zip|tgz|tzst|tar(\.\w+)?|csv|tsv|jsonl|ndjson|parquet|npz)$"
    name = re.sub(endings, "", readable(path.name), flags=re.IGNORECASE)
    return re.sub(r"[/:.\s]+", "-", name).strip("-") or "images"


def readable(name: str) -> str:
    r"""A file's name as text that can be stored: a byte that is not UTF-8 is written as \xe4, so that different names stay different."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
