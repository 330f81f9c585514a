"""The data report, from what `ingest` found."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.images.decoding import FORMATS
from pipeline.properties.data_section import PropertySection
from pipeline.quality.findings import Action, Finding
from pipeline.quality.inspection import MODES
from pipeline.quality.kinds import counted, kinds
from pipeline.quality.value_range import ValueRange
from pipeline.reports.data_report import MOST_EXAMPLES, DataReport, Example, FindingGroup, Picture, render

SAID_BY_PEOPLE = ("judged_bad",)  # not checked for
Groups = Mapping[tuple[str, Action], Sequence[Finding]]


def rows_shown(findings: Sequence[Finding]) -> set[int]:
    """The rows of the images shown as examples."""
    shown = [finding for group in _by_kind(findings).values() for finding in group[:MOST_EXAMPLES]]
    return {subject.row for finding in shown for subject in (finding.subject, finding.other) if subject and subject.row >= 0}


def data_page(
    described: Mapping[str, object],
    findings: Sequence[Finding],
    facts: np.ndarray,
    rows_of_class: Mapping[str, Sequence[int]],
    pictures: Mapping[int, bytes],
    properties: PropertySection | None = None,
) -> bytes:
    """report.html. described: the content of report.json, and `read_as`. facts: KEPT_FACTS of the images that are kept. pictures: thumbnails by row."""
    sizes = zip(facts["width"].tolist(), facts["height"].tolist(), strict=True)
    report = DataReport(
        **{name: described[name] for name in ("name", "source", "digest", "images", "counts", "class_names")},  # type: ignore[arg-type]
        read_as=str(described.get("read_as", "")),
        left_out=int(str(described["rejected"])),
        sizes_px=Counter(sizes),
        modes={MODES[mode]: count for mode, count in _counted(facts["mode"])},
        formats={FORMATS[number]: count for number, count in _counted(facts["format"])},
        thumbnails={name: [pictures[row] for row in rows] for name, rows in rows_of_class.items()},
        findings=[_group(kind, action, group, pictures) for (kind, action), group in _by_kind(findings).items()],
        checked=[kind for kind in kinds() if kind not in SAID_BY_PEOPLE],
        properties=properties,
        value_range=ValueRange(**found).sentence if isinstance(found := described.get("value_range"), dict) else "",
        changed_by_people=_changed_by_people(**said) if isinstance(said := described.get("verdicts"), dict) else "",
    )
    return render(report)


def _changed_by_people(changed: int, left_out: int) -> str:
    """What data/verdicts.csv changes, as a sentence."""
    labels = f"{counted(changed, 'image has', 'images have')} another class than in the source" if changed else ""
    bad = f"{counted(left_out, 'bad image is', 'bad images are')} left out" if left_out else ""
    return f"By data/verdicts.csv, {' and '.join(filter(None, (labels, bad)))}."


def _by_kind(findings: Sequence[Finding]) -> Groups:
    groups: dict[tuple[str, Action], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.kind, finding.action), []).append(finding)
    return groups


def _group(kind: str, action: Action, findings: Sequence[Finding], pictures: Mapping[int, bytes]) -> FindingGroup:
    examples = []
    once = {
        frozenset((finding.subject, finding.other, *_about_classes(finding))): finding for finding in reversed(findings[:MOST_EXAMPLES])
    }
    for finding in reversed(once.values()):  # a pair of which both are left out is shown once
        subjects = [subject for subject in (finding.other, finding.subject) if subject and subject.path]
        shown = [Picture(each.path, each.label or None, each.split or None, pictures.get(each.row)) for each in subjects]
        about = "" if finding.subject.path else finding.about
        note = "" if len(subjects) > 1 else finding.note  # the pictures are side by side
        examples.append(Example(shown, f"{about}: {note}" if about else note))
    return FindingGroup(kind, action, len(findings), examples, min(len(findings), MOST_EXAMPLES))


def _about_classes(finding: Finding) -> list[str]:
    """What tells findings about the same classes apart: the same class may be predictable from size and from colour mode."""
    return [] if finding.subject.path else [finding.note]


def _counted(values: np.ndarray) -> list[tuple[int, int]]:
    numbers, counts = np.unique(values, return_counts=True)
    return list(zip(numbers.tolist(), counts.tolist(), strict=True))
