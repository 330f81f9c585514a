"""The current state in the registry of the model in data/register/decision.json, for when DVC skipped or restored `register`."""

from typing import Any

from pipeline.errors import StorageError
from pipeline.files import read_json
from pipeline.paths import Paths
from pipeline.registry.decision import read_decision
from pipeline.registry.versions import find_registered
from pipeline.tracking.lineage import MODEL_TAG
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.run_log import ModelVersion, Registered, RegistryState
from pipeline.tracking.tracking_server import is_server, runs_page, tracking_uri

LOCAL_UI = "http://127.0.0.1:5000"


def registry_state(paths: Paths) -> RegistryState | None:
    """The state of the model in the decision; None if there is no decision. Raises TrackingError if the registry cannot be read."""
    decision = read_decision(paths)
    if not decision:
        return None
    tracker = MlflowLog.connect(paths)
    name = decision["model_name"]
    version = _find_version(tracker, name, decision["model_sha256"], paths)
    registered = tracker.registered(name)
    uri = tracking_uri(paths)
    page = runs_page(uri if is_server(uri) else LOCAL_UI, tracker.experiment_id)
    if version is None:
        return RegistryState(None, False, "", "the registry does not have this model", page)
    champion = registered.champion if registered else None
    recorded = (decision["champion"] or {}).get("model_sha256")
    promoted = champion is not None and champion.version == version.version
    whole = tracker.has_files(version)
    verdict = _verdict(decision, version, registered)
    if champion is not None and not promoted and not tracker.has_files(champion):
        verdict += f". WARNING: the files of version {champion.version} are gone. Restore mlruns/ from a backup or set the alias on another version"
    is_current = whole and decision["promoted"] == promoted and recorded == (champion.tags.get(MODEL_TAG) if champion else None)
    return RegistryState(
        version.version,
        is_current,
        f"{name} version {version.version}",
        verdict,
        page,
    )


def _find_version(tracker: MlflowLog, name: str, digest: str, paths: Paths) -> ModelVersion | None:
    """The version with the class names of the last run, else the newest of this network."""
    try:
        class_names = read_json(paths.stage("preprocess") / "spec.json")["class_names"]
    except (StorageError, KeyError):
        class_names = []
    return find_registered(tracker, name, digest, class_names) or tracker.find_version(name, {MODEL_TAG: digest})


def _verdict(decision: dict[str, Any], version: ModelVersion, registered: Registered | None) -> str:
    """Whether the model is the champion and why, or which version is; with the time of the decision."""
    champion = registered.champion if registered else None
    if champion is not None and champion.version == version.version:
        return f"champion: {decision['reason']}{_when(version)}"
    now = f"champion is version {champion.version}" if champion else "there is no champion"
    return f"not promoted: {decision['reason']}{_when(version)}; {now}"


def _when(version: ModelVersion) -> str:
    at = version.tags.get("decided_at") or version.made.isoformat(timespec="minutes")
    return f" (decided {at[:16].replace('T', ' ')} UTC)"
