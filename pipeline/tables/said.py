"""What the tables of a source say of its images: label, split and group, and where."""

from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.listing.records import LeftOut


class Said(NamedTuple):
    """What a row says of an image."""

    label: str
    split: str | None
    group: str | None
    place: str


class Named(NamedTuple):
    """The images that a table names whose labels do not count, and why it was not used; empty if it was."""

    table: str
    images: set[str]
    unused: str


@dataclass
class Labels:
    """What all tables say: by path of the image. `splits` and `groups` also of images without a label in a table.

    `tables` gave the labels, `used` are all that gave anything, `named` the others that name images. `columns` were read, if there is one table.
    `labels_from`, `splits_from`, `groups_from` name columns and tables, for people.
    """

    said: dict[str, Said] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    named: list[Named] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: int = 0
    labels_from: str = ""
    splits_from: str = ""
    groups_from: str = ""
