"""Which registered version is a model: the one with the same network that answers with the same class names."""

import json
from collections.abc import Sequence

from pipeline.certainty.calibrated_run import CALIBRATION_TAG
from pipeline.tracking.lineage import MODEL_TAG
from pipeline.tracking.run_log import ModelVersion, Tracker

CLASSES_TAG = "class_names"


def find_registered(
    tracker: Tracker, model_name: str, model_sha256: str, class_names: Sequence[str], calibration: str | None = None
) -> ModelVersion | None:
    """The newest version of this model, None if the registry has none: a renamed class can give the same network, but not the same answers.

    calibration: the sha256 of the calibration that it must have; None for any, or none.
    """
    wanted = {MODEL_TAG: model_sha256, CLASSES_TAG: in_tag(class_names)}
    found = tracker.find_version(model_name, wanted | ({CALIBRATION_TAG: calibration} if calibration else {}))
    if found or calibration:
        return found
    newest = tracker.find_version(model_name, {MODEL_TAG: model_sha256})
    return newest if newest and CLASSES_TAG not in newest.tags else None  # registered before versions had the tag


def in_tag(class_names: Sequence[str]) -> str:
    """The class names as the text of the tag."""
    return json.dumps(list(class_names), ensure_ascii=False)


def known_classes(version: ModelVersion | None) -> list[str]:
    """The class names that a version answers with; none if it has no tag with them."""
    return list(json.loads(version.tags.get(CLASSES_TAG, "[]"))) if version else []
