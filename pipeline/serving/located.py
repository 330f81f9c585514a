"""Which model is meant, and its files: a registered version, an alias, a run, or a `.keras` file."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.certainty.calibration import CALIBRATION_FILE
from pipeline.conversion.record import MODEL_FILE, ONNX_FILE, ONNX_TAG, RECORD_FILE
from pipeline.errors import ConfigError, TrackingError
from pipeline.familiarity.reference import FAMILIAR_FILE
from pipeline.files import read_json, sha256_file
from pipeline.paths import Paths
from pipeline.registry.reference import RUN_ID, parts_of
from pipeline.registry.servable import check_files
from pipeline.serving.own_registry import LOGGED_AS, look_up
from pipeline.serving.served_model import SPEC_FILE
from pipeline.tracking.lineage import MODEL_TAG

MODEL_ID_TAG = "model_id"
SHOWN_DIGITS = 12


@dataclass(frozen=True)
class Located:
    """A model's files in a folder of its own. name: of the registered model, empty if it has none. version: its number, else what tells it apart."""

    folder: Path
    name: str
    version: str

    @property
    def shown(self) -> str:
        """The model in a message."""
        return f"{self.name} version {self.version}" if self.name else f"the model ({self.version})"

    @property
    def files(self) -> Path:
        """The folder with model.keras and spec.json, without the code that lies with them."""
        return next(file.parent for file in sorted(self.folder.rglob(MODEL_FILE)) if "code" not in file.relative_to(self.folder).parts)


def locate(reference: str, paths: Paths, folder: Path) -> Located:
    """The model that a reference names, its files copied into the empty folder `folder`.

    Raises ConfigError if there is no such model, TrackingError if the registry cannot be read or the files are not those that were registered.
    """
    text = reference.strip()
    if text.endswith(".keras") and (spec := _spec_of(Path(text), paths)):
        return _of_file(Path(text), spec, paths, folder)
    if known := look_up(text, paths):
        located = Located(Path(shutil.copytree(known.files, folder / "model")), known.name, known.version)
        check(located, known.tags)
        return located
    from pipeline.pedigree.origin import find_origin  # MLflow takes a second to import, and a file needs none
    from pipeline.tracking.mlflow_log import MlflowLog

    tracker = MlflowLog.connect(paths)
    origin = find_origin(tracker, paths, text, Path.cwd())
    if version := origin.version:
        located = Located(tracker.fetch_all(version, folder), version.name, version.version)
        check(located, version.tags)
        return located
    assert origin.run is not None
    model_id = origin.run.tags.get(MODEL_ID_TAG)
    if not model_id:
        raise ConfigError(f"The run {origin.run.id} has logged no model: it was stopped before, or only evaluated one. Choose another run.")
    located = Located(tracker.fetch_logged(model_id, folder), "", f"run {origin.run.id[:SHOWN_DIGITS]}")
    tags = {name: text for name, text in origin.run.tags.items() if name in (MODEL_TAG, ONNX_TAG)}  # it may have been evaluated since
    check(located, tags)
    return located


def follows(reference: str) -> bool:
    """Whether another version may have this reference later: that of an alias, not of a version, a run or a file."""
    text = reference.strip().removeprefix("models:/")
    is_run = RUN_ID.fullmatch(text.removeprefix("runs:/"))
    return not (is_run or text.endswith(".keras")) and bool(parts_of(text)[2])


def named_version(reference: str, paths: Paths) -> str:
    """The number of the registered version that a reference names now. Raises ConfigError if there is none, TrackingError if it cannot be asked."""
    if known := look_up(reference, paths):
        return known.version
    from pipeline.pedigree.references import find_model_version  # MLflow takes a second to import
    from pipeline.tracking.mlflow_log import MlflowLog

    return find_model_version(MlflowLog.connect(paths), paths, reference).version


def check(located: Located, tags: Mapping[str, str]) -> None:
    """Raise TrackingError if files are not those that the tags of a version or a run were written for."""
    try:
        check_files(located.folder, tags)
    except TrackingError as error:
        raise TrackingError(
            f"{located.shown} cannot be used: {error}. Restore its files from a backup, or choose another version."
        ) from None


def _spec_of(file: Path, paths: Paths) -> Path | None:
    """The spec.json that belongs to a .keras file: beside it, or of this project's own stage; None if only the registry may know."""
    if not file.is_file():
        raise ConfigError(f"--model {file}: there is no such file. Name a version, an alias, a run or a .keras file.")
    beside = file.with_name(SPEC_FILE)
    if beside.is_file():
        return beside
    own = paths.stage("preprocess") / SPEC_FILE
    return own if file.resolve() == (paths.stage("train") / MODEL_FILE).resolve() and own.is_file() else None


def _of_file(file: Path, spec: Path, paths: Paths, folder: Path) -> Located:
    """A file with its spec. One that lies in the files of a logged model comes with the code of that model."""
    version = f"sha256 {sha256_file(file)[:SHOWN_DIGITS]}"
    logged = file.resolve().parent.parent.parent
    if (logged / LOGGED_AS).is_file():
        return Located(Path(shutil.copytree(logged, folder / "model")), "", version)
    beside = [file.with_name(name) for name in ((ONNX_FILE, RECORD_FILE) if file.name == MODEL_FILE else ())]
    for source in (file, spec, *filter(Path.is_file, beside), *_known_beside(file, paths)):
        shutil.copy(source, folder / (MODEL_FILE if source == file else source.name))
    return Located(folder, "", version)


def _known_beside(file: Path, paths: Paths) -> list[Path]:
    """What else is known of a file: beside it, or for this project's own model the calibration. Raises ConfigError if one beside is of another model."""
    training, calibration = (file.parent / name for name in ("training_images.json", CALIBRATION_FILE))
    own = paths.stage("evaluate") / CALIBRATION_FILE
    known = [training] if training.is_file() else []
    if calibration.is_file():
        if not _is_of(calibration, file):
            raise ConfigError(
                f"--model {file}: {calibration.name} beside it is of another model. Copy the one of this model there, or delete it."
            )
        return [*known, calibration, *_if_there(calibration.with_name(FAMILIAR_FILE))]
    is_own = file.resolve() == (paths.stage("train") / MODEL_FILE).resolve()
    return [*known, own, *_if_there(own.with_name(FAMILIAR_FILE))] if is_own and own.is_file() and _is_of(own, file) else known


def _if_there(file: Path) -> list[Path]:
    return [file] if file.is_file() else []


def _is_of(calibration: Path, file: Path) -> bool:
    """Whether a calibration was made for the model in this file."""
    return bool(read_json(calibration).get("fitted_on", {}).get("model_sha256") == sha256_file(file))
