"""What a person asks to trace: a registered version, a run or a `.keras` file, as the version and the run that it belongs to."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.files import sha256_file
from pipeline.paths import Paths
from pipeline.pedigree.references import find_model_version
from pipeline.registry.reference import RUN_ID
from pipeline.tracking.lineage import MODEL_TAG
from pipeline.tracking.run_log import ModelVersion, Registered, RunRecord, Tracker


@dataclass(frozen=True)
class Origin:
    """asked: the reference. sha256: of model.keras, empty if not recorded. version, run: None where the registry, the tracker has none."""

    asked: str
    sha256: str
    version: ModelVersion | None
    run: RunRecord | None
    registered: Registered | None


def find_origin(tracker: Tracker, paths: Paths, asked: str, here: Path, name: str = "") -> Origin:
    """The origin that a reference names. here: the folder of a relative path. Raises ConfigError if nothing has that name."""
    text = asked.strip()
    if text.endswith(".keras"):
        return _of_file(tracker, here / text, text, name)
    if RUN_ID.fullmatch(text.removeprefix("runs:/")):
        return _of_run(tracker, text.removeprefix("runs:/"))
    version = find_model_version(tracker, paths, text, name)
    return _origin(tracker, text, version.tags.get(MODEL_TAG, ""), version)


def _of_file(tracker: Tracker, file: Path, text: str, name: str) -> Origin:
    try:
        digest = sha256_file(file)
    except OSError as error:
        raise ConfigError(f"{text} cannot be read: {error.strerror}. Name a version, a run or a .keras file.") from None
    for model in [name] if name else tracker.model_names():
        if version := tracker.find_version(model, {MODEL_TAG: digest}):
            return _origin(tracker, text, digest, version)
    if runs := tracker.find_runs({MODEL_TAG: digest}):
        return Origin(text, digest, None, tracker.read_run(runs[0].id), None)
    raise ConfigError(f"No registered version and no run has the model {text} (sha256 {digest}). It was made elsewhere, or changed since.")


def _of_run(tracker: Tracker, run_id: str) -> Origin:
    run = tracker.read_run(run_id)
    if run is None:
        raise ConfigError(f"There is no run {run_id}. `pipeline ui` shows the runs; their id is in the address of each page.")
    versions = tracker.versions_of_run(run_id)
    if not versions:
        return Origin(run_id, run.tags.get(MODEL_TAG, ""), None, run, None)
    version = max(versions, key=lambda found: int(found.version))
    return _origin(tracker, run_id, version.tags.get(MODEL_TAG, ""), version, run)


def _origin(tracker: Tracker, asked: str, digest: str, version: ModelVersion, run: RunRecord | None = None) -> Origin:
    if run is None and version.run_id:
        run = tracker.read_run(version.run_id)
    return Origin(asked, digest, version, run, tracker.registered(version.name))
