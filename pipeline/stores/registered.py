"""Whether the registry holds what data/register/decision.json says: a stage that DVC skipped or restored cannot know."""

from typing import Any

from pipeline.paths import Paths
from pipeline.stores.files import read_json
from pipeline.stores.lineage import MODEL_TAG
from pipeline.stores.mlflow_log import MlflowLog


def registered_model(paths: Paths) -> str | None:
    """`NAME version N` of the model that was decided on, or None where there is no decision or the registry does not have the model.

    Raises TrackingError where the registry cannot be reached.
    """
    decision = _decision(paths)
    if not decision:
        return None
    tracker = MlflowLog.connect(paths)
    name = decision["model_name"]
    version = tracker.find_version(name, {MODEL_TAG: decision["model_sha256"]})
    if version is None or (decision["promoted"] and tracker.champion(name) is None):
        return None
    return f"{name} version {version.version}"


def is_lost(paths: Paths) -> bool:
    """Whether a model was decided on that the registry does not have: it was emptied, or is another one."""
    return bool(_decision(paths)) and registered_model(paths) is None


def _decision(paths: Paths) -> dict[str, Any]:
    """The decision, or nothing where there is none of this kind."""
    file = paths.stage("register") / "decision.json"
    decision = read_json(file) if file.is_file() else {}
    return decision if {"model_name", "model_sha256", "promoted"} <= decision.keys() else {}
