"""Verdicts laid over the labels of a source, which stays as it is: what `ingest` does with them, and what it says of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.dataset.intake import Images, LabelledImage
from pipeline.errors import ConfigError
from pipeline.labels.verdict import Verdict
from pipeline.names import listed, shown
from pipeline.quality.findings import ImageProblem
from pipeline.quality.kinds import counted

BAD = "judged_bad"
HALF_A_DIGEST = 16
MOST_CLASSES_NAMED = 10


def refuse_unknown_classes(verdicts: Mapping[str, Verdict], given: Collection[str], class_names: Collection[str], file: str) -> None:
    """Raise ConfigError for a verdict that changes an image to a class that the source does not have. given: the classes that verdicts alone gave."""
    for verdict in verdicts.values():
        if verdict.verdict == "change" and verdict.label in given and verdict.label not in class_names:
            raise ConfigError(
                f"{file}:{verdict.line}: {shown(verdict.path or verdict.sha256)} is changed to {shown(verdict.label)}, which is no class of the source. "
                f"Its classes are {listed(sorted(class_names), MOST_CLASSES_NAMED)}. Correct the line."
            )


def refuse_other_images(verdicts: Mapping[str, Verdict], judged: Iterable[LabelledImage], class_names: Collection[str], file: str) -> None:
    """Raise ConfigError for a verdict that changes or leaves out an image of another class than it was given for.

    Either its cells are those of different images, as when one column of a table was sorted, or the source has another class for the image since. Copies
    of an image may have several classes, and a class that the source no longer has may have another name now: neither is refused.
    """
    classes: dict[str, dict[str, str]] = {}
    for image in judged:
        classes.setdefault(image.sha256, {}).setdefault(image.label, image.path)
    for sha256, found in classes.items():
        verdict = verdicts[sha256]
        if verdict.was in class_names and not {verdict.was, verdict.label} & found.keys():
            label, path = next(iter(found.items()))
            raise ConfigError(
                f"{file}:{verdict.line}: {shown(verdict.path or sha256)} was {shown(verdict.was)} when it was judged, but the image with this sha256 is "
                f"{shown(path)}, and {shown(label)} in the source. If the verdict holds for that image, write {shown(label)} for "
                f"{shown(verdict.was)}; if not, delete the line."
            )


@dataclass(frozen=True)
class Applied:
    """What verdicts did to the images of a source. bad: a finding for each image that a person called bad. changed: how many images have another class
    than in the source. gone, given: how many verdicts are about images that are not there, of how many.
    """

    bad: Sequence[ImageProblem]
    changed: int
    gone: int
    given: int

    @property
    def described(self) -> dict[str, Any]:
        """The part of report.json about it; empty if no image is another than in the source, so that nothing re-runs."""
        return {"verdicts": {"changed": self.changed, "left_out": len(self.bad)}} if self.changed or self.bad else {}

    def lines(self, file: str) -> list[str]:
        """For people. Verdicts on images that are gone are kept, as these may come back. file: the name of that with the verdicts."""
        has = counted(self.changed, "image has", "images have")
        return [
            *([f"by {file}, {has} another class than in the source, and {len(self.bad):,} left out"] if self.described else []),
            *([f"{self.gone:,} of {self.given:,} verdicts in {file} are about images that are not in the source"] if self.gone else []),
        ]


def applied(verdicts: Mapping[str, Verdict], images: Images) -> Applied:
    """What verdicts did to these images, whose classes count already."""
    about, digests = np.array([_half(sha256) for sha256 in verdicts], f"V{HALF_A_DIGEST}"), images.facts["pixels"]
    bad = {_half(sha256): verdict for sha256, verdict in verdicts.items() if verdict.verdict == "bad"}
    rows = np.flatnonzero(np.isin(digests, np.array(list(bad), about.dtype))) if bad else np.empty(0, np.int64)
    return Applied(
        [ImageProblem(BAD, row, _note(bad[bytes(digests[row])])) for row in rows.tolist()],
        sum(verdicts[image.sha256].label not in ("", image.label) for image in images.judged),
        int((~np.isin(about, digests)).sum()) if verdicts else 0,
        len(verdicts),
    )


def _note(verdict: Verdict) -> str:
    who = ", ".join(filter(None, (verdict.reviewer, verdict.date)))
    return "called bad in data/verdicts.csv" + (f" ({who})" if who else "")


def _half(sha256: str) -> bytes:
    return bytes.fromhex(sha256)[:HALF_A_DIGEST]
