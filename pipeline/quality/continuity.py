"""Checks that a source is still the data set that earlier runs recorded under its name, and has not lost classes or all of its images.

Pure functions of values. Recorded are all classes that the data set has had, and some images of its last run.
"""

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.errors import SourceError
from pipeline.names import listed, quoted, shown
from pipeline.quality.class_names import similar_names

NAMED = 5
PLAIN_IN_YAML = re.compile(r"(?!(?:true|false|yes|no|on|off|null|nan|y|n)$)[A-Za-z_](?:[\w .-]*\w)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Recorded:
    """What earlier runs recorded about a data set. images: uint64 (N,), keys of some images of its last run. file: where the classes are recorded."""

    classes: list[str]
    images: np.ndarray
    file: str


@dataclass(frozen=True)
class Changes:
    """Changes since then. removed: recorded classes that have no images. unconfirmed: those of them that params.yaml does not confirm.

    new: classes that are not recorded. shared: recorded classes that have images. replaced: the number of recorded images if all are gone, else 0.
    """

    name: str
    file: str
    removed: list[str]
    unconfirmed: list[str]
    new: list[str]
    shared: list[str]
    replaced: int


def compare(name: str, recorded: Recorded, found: Sequence[str], keys: np.ndarray, confirmed: Sequence[str]) -> Changes:
    """The changes in a data set. found: classes with images. keys: uint64 (M,), of all its images.

    confirmed: ingest.removed_classes. Raises SourceError if it names a class that has images, because it would hide the next loss.
    """
    if back := [label for label in confirmed if label in found]:
        raise SourceError(
            f"params.yaml: ingest.removed_classes names {listed(back)}, but {name} has images of {'it' if len(back) == 1 else 'them'}. "
            f"Remove {'it' if len(back) == 1 else 'them'} from the list."
        )
    removed = [label for label in recorded.classes if label not in found]
    is_replaced = len(recorded.images) > 0 and not np.isin(recorded.images, keys).any()
    return Changes(
        name,
        recorded.file,
        removed,
        [label for label in removed if label not in confirmed],
        [label for label in found if label not in recorded.classes],
        [label for label in recorded.classes if label in found],
        len(recorded.images) if is_replaced else 0,
    )


def unknown_confirmations(changes: Changes, confirmed: Sequence[str]) -> list[str]:
    """A line for each name in ingest.removed_classes that is not a removed class."""
    lines = []
    for label in confirmed:
        if label not in changes.removed:
            near = difflib.get_close_matches(label, changes.removed, n=1)
            hint = f"Did you mean {shown(near[0])}?" if near else "Remove it from the list."
            lines.append(f"ingest.removed_classes: {shown(label)} is not a recorded class of {changes.name}. {hint}")
    return lines


def refuse_unconfirmed(
    changes: Changes, unusable: Collection[str], confirmed: Sequence[str], replaced_images: Literal["fail", "keep"]
) -> None:
    """Raise SourceError if classes or all images are gone and params.yaml does not confirm it.

    unusable: classes that have files in the source, usable or not.
    """
    if changes.unconfirmed:
        still = [label for label in confirmed if label in changes.removed]
        confirmation = f"ingest.removed_classes: [{', '.join(map(_in_yaml, [*still, *changes.unconfirmed]))}]"
        raise SourceError(f"ingest.source: {_lost(changes, unusable, confirmation)}")
    if changes.replaced and changes.shared and replaced_images == "fail":
        raise SourceError(
            f"ingest.source: {changes.name} has other images than in its last run: none of the {changes.replaced:,} images recorded then "
            "(data/known_images.csv) is there. If this is another data set, give its folder or file another name, which becomes the name of the data "
            "set and of its model. If the images were replaced or re-encoded on purpose, set ingest.replaced_images: keep in params.yaml."
        )


def _lost(changes: Changes, unusable: Collection[str], confirmation: str) -> str:
    lost = _named(changes.unconfirmed)
    spelled = [
        f"{shown(new)} and {shown(label)} differ only in spelling: rename {shown(new)} to {shown(label)}"
        for label in changes.unconfirmed
        for new in changes.new
        if similar_names([label, new])
    ]
    if not changes.shared and changes.replaced and not spelled:
        return (
            f"{changes.name} is another data set than the one that earlier runs recorded under this name ({changes.file}): it has {_named(changes.new)}, "
            f"and no image of {lost}. Give its folder or file another name, which becomes the name of the data set and of its model (also change "
            f"register.model_name, if set). To replace the old data set, confirm it in params.yaml: {confirmation}."
        )
    hints = [
        *spelled[:NAMED],
        *(f"all files of {shown(label)} are left out: see data/ingest/rejected.csv" for label in changes.unconfirmed if label in unusable),
    ]
    them = "it" if len(changes.unconfirmed) == 1 else "them"
    return (
        f"{changes.name} has no image of {lost} any more, but {changes.file} has {them} from earlier runs: a new model would not know {them}. "
        f"{''.join(f'{hint[0].upper() + hint[1:]}. ' for hint in hints)}{_others(changes, spelled)}"
        f"Put the images back, or confirm the removal in params.yaml: {confirmation}."
    )


def _others(changes: Changes, spelled: Sequence[str]) -> str:
    """A hint at renamed classes or another data set."""
    new = f"New classes: {_named(changes.new)}. " if changes.new and not spelled else ""
    another = "None of the images of the last run is there either: if this is another data set, give its folder or file another name. "
    return new + (another if changes.replaced else "")


def _named(labels: Sequence[str]) -> str:
    return listed(labels, NAMED)


def _in_yaml(label: str) -> str:
    """A class name as YAML: quoted if it would be read as something else."""
    return label if PLAIN_IN_YAML.fullmatch(label) else quoted(label)
