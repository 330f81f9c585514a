"""Pages that compare two models, or new images with old ones, in which every class and path has an odd name."""

import numpy as np

from pipeline.changes.answers import Paired
from pipeline.changes.data import ClassChange, DataChanges, Yardstick
from pipeline.changes.found import Changes, DriftOfNew
from pipeline.changes.page import NewImage, Relabelled, render_changes
from pipeline.changes.settings import CodeChanges
from pipeline.drift.properties import PropertyShift
from pipeline.drift.words import lines, verdict
from pipeline.monitoring.page import Newest, render_drift
from pipeline.reports.flips_page import Flip, render_flips
from tests.odd_names import ODD_NAMES
from tests.test_data_report import PNG
from tests.test_drift import drift

FLIPS = [Flip(PNG, f"{label}/1.png", label, other, label) for label, other in zip(ODD_NAMES, ODD_NAMES[::-1], strict=True)]
KINDS = {"right to wrong": (28, FLIPS), "wrong to right": (30, FLIPS), "wrong to other wrong": (0, [])}
DECISION = {
    "accuracy": 0.91,
    "images": 2800,
    "reason": "can't tell; promote it with `pipeline promote 2 --reason …`",
    "champion": {"accuracy": 0.909, "comparison": {"difference": 0.001, "interval": [-0.005, 0.007]}},
}
SENTENCE = "v2 vs champion v1: +0.10 pt [-0.50, +0.70] on 2,800 images -> not promoted (can't tell; margin 0.60 pt)"
SHIFTS = [PropertyShift("brightness", 130.0, 90.0, 0.8)]


def changes_page() -> str:
    """Everything that can differ from a champion does."""
    found = drift(1, shift=1.0)
    images = [str(number) for number in range(len(ODD_NAMES))]
    return render_changes(
        Changes(
            "1",
            {},
            DataChanges(2700, 2800, images, images, images, 3, [ClassChange(name, 90, 100, 12, 2, 3, 4) for name in ODD_NAMES]),
            Yardstick(2600, 28, 2400, 2390, 2410, 2420),
            [(f"train.{name}", name, name[::-1]) for name in ODD_NAMES],
            CodeChanges("0" * 40, "1" * 40, True, True, [("1" * 10, name) for name in ODD_NAMES], 7),
            [Paired(name, 100, 0.9, 0.8, -0.1, -0.18, -0.02) for name in ODD_NAMES],
            np.array(ODD_NAMES, dtype=object),
            {},
            DriftOfNew(found, found.newest, verdict(found), lines(found, SHIFTS, ODD_NAMES[-2:])),
        ),
        DECISION,
        SENTENCE,
        KINDS,
        [NewImage(PNG, f"{name}/2.png", name) for name in ODD_NAMES],
        [Relabelled(PNG, f"{name}/3.png", name, other) for name, other in zip(ODD_NAMES, ODD_NAMES[::-1], strict=True)],
    )


def drift_page() -> str:
    """New images with alarms."""
    found = drift(1, shift=1.0)
    facts = {"model": "photographs version 7 (champion)", "images": "300; 4 cannot be used", "compared with": "600 of its training images"}
    newest = [Newest(PNG, f"{name}/4.png", name, 0.5) for name in ODD_NAMES]
    return render_drift(verdict(found), lines(found, SHIFTS, ODD_NAMES[-2:]), facts, newest)


def flips_page() -> str:
    """The answers that changed."""
    return render_flips(DECISION, KINDS)
