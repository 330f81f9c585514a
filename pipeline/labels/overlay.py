"""Verdicts laid over the labels of a source, which stays as it is: what `ingest` does with them, and what it says of it."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from pipeline.dataset.intake import JudgedImage
from pipeline.errors import ConfigError
from pipeline.labels.verdict import Verdict
from pipeline.names import listed, shown
from pipeline.quality.findings import ImageProblem

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


def refuse_other_images(verdicts: Mapping[str, Verdict], judged: Iterable[JudgedImage], class_names: Collection[str], file: str) -> None:
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


def count_changed(verdicts: Mapping[str, Verdict], judged: Iterable[JudgedImage]) -> int:
    """How many images have another class than in the source."""
    return sum(verdicts[image.sha256].label not in ("", image.label) for image in judged)


def judged_bad(verdicts: Mapping[str, Verdict], digests: np.ndarray) -> list[ImageProblem]:
    """A finding for each image that a person called bad. digests: V16 (N,), the first half of the sha256 of each image."""
    bad = {_half(sha256): verdict for sha256, verdict in verdicts.items() if verdict.verdict == "bad"}
    rows = np.flatnonzero(np.isin(digests, np.array(list(bad), "V16"))) if bad else np.empty(0, np.int64)
    return [ImageProblem(BAD, row, _note(bad[bytes(digests[row])])) for row in rows.tolist()]


def count_gone(verdicts: Mapping[str, Verdict], digests: np.ndarray) -> int:
    """How many verdicts are about images that are not there. digests: as in `judged_bad`."""
    about = np.array([_half(sha256) for sha256 in verdicts], "V16")
    return int((~np.isin(about, digests)).sum()) if verdicts else 0


def told(changed: int, left_out: int) -> dict[str, Any]:
    """The part of report.json about images with another class than in the source, and those left out; empty if there are none, so that nothing re-runs."""
    return {"verdicts": {"changed": changed, "left_out": left_out}} if changed or left_out else {}


def _note(verdict: Verdict) -> str:
    who = ", ".join(filter(None, (verdict.reviewer, verdict.date)))
    return "called bad in data/verdicts.csv" + (f" ({who})" if who else "")


def _half(sha256: str) -> bytes:
    return bytes.fromhex(sha256)[:HALF_A_DIGEST]
