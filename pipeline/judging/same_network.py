"""A version that differs from an earlier one in its calibration alone: its labels are the same, so there is nothing to compare."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.certainty.calibrated_run import CALIBRATION_TAG
from pipeline.registry.alias import champion_of, lost_alias_by_hand
from pipeline.registry.versions import CLASSES_TAG
from pipeline.tracking.lineage import MODEL_TAG
from pipeline.tracking.run_log import ModelVersion, Registered


@dataclass(frozen=True)
class Recalibrated:
    """Whether the version takes the champion's place, and why."""

    promoted: bool
    reason: str


def judge_recalibrated(
    version: ModelVersion | None, registered: Registered | None, known: Sequence[ModelVersion], model_sha256: str, class_names: str
) -> Recalibrated | None:
    """The ruling on a model, `version` if it is registered, that differs from one of the known versions in its calibration alone; None on others.

    It takes the place of a champion with the same network. It does not give a network back the alias that a person took from it.
    """
    others = [
        found
        for found in known
        if (found.tags.get(MODEL_TAG), found.tags.get(CLASSES_TAG, class_names)) == (model_sha256, class_names)
        and (version is None or found.version != version.version)
    ]
    for found in others:
        if lost_alias_by_hand(found, registered):
            return Recalibrated(
                False,
                f"it is the network of version {found.version}, from which a person took the alias champion, with another calibration. "
                "`pipeline promote VERSION --reason …` promotes it all the same",
            )
    champion = champion_of(registered)
    if champion is None or champion.version not in {found.version for found in others}:
        return None
    calibration = "another calibration" if CALIBRATION_TAG in champion.tags else "a calibration"
    return Recalibrated(True, f"it is the network of version {champion.version}, the champion, with {calibration}")
