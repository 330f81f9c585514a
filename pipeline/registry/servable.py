"""Whether a registered version can serve: its files are there and unchanged, it loads in a fresh process, and it answers as it did when registered."""

import io
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from pipeline.certainty.calibrated_run import CALIBRATION_TAG
from pipeline.conversion.record import ONNX_FILE, ONNX_TAG
from pipeline.errors import ModelError, TrackingError, UnreachableError
from pipeline.familiarity.reference import FAMILIAR_FILE, FAMILIAR_KEY
from pipeline.files import read_json, sha256_file
from pipeline.registry.samples import ChangedSamplesError, Sample, read_samples
from pipeline.registry.versions import known_classes
from pipeline.tracking.lineage import MODEL_TAG
from pipeline.tracking.run_log import ModelVersion, Tracker

SPEC_TAG = "spec_sha256"
MODEL_FILE, SPEC_FILE, CALIBRATION_FILE = "model.keras", "spec.json", "calibration.json"
TOLERANCE = 0.02
"""How far a probability may be from the recorded one: processors and batches round differently, other preprocessing is off by more."""


class CannotServeError(TrackingError):
    """Something is wrong with the version itself; any other TrackingError says that the registry failed, which tells nothing of the version."""


def check_servable(tracker: Tracker, version: ModelVersion) -> str:
    """What was checked, in a few words. Raises CannotServeError, with what to do, if this version cannot serve; TrackingError if the registry fails."""
    print(f"Starting {version.name} version {version.version} as it will be served: half a minute or more", file=sys.stderr, flush=True)
    try:
        return _check(tracker, version)
    except CannotServeError as error:
        raise TrackingError(
            f"{version.name} version {version.version} cannot serve, so no alias was moved: {str(error).rstrip('.')}. "
            "Restore its files from a backup, or choose another version."
        ) from None
    except UnreachableError as error:
        raise UnreachableError(f"{error} No alias was moved. Run the same command again when it answers.") from None


def _check(tracker: Tracker, version: ModelVersion) -> str:
    if not tracker.has_files(version):
        raise CannotServeError("its files are gone")
    with tempfile.TemporaryDirectory() as folder:
        files = tracker.fetch(version, Path(folder))
        check_files(files, version.tags)
        try:
            samples = read_samples(tracker, version)
        except ChangedSamplesError as error:
            raise CannotServeError(str(error)) from None
        if not samples:
            return _check_answer(tracker, version, _blank_image(_the_file(files, SPEC_FILE)))
    return _check_answers(tracker, version, samples)


def check_files(files: Path, tags: Mapping[str, str]) -> None:
    """Raise TrackingError if the files of a model are not those of the tags of its version or run; one of which there is no tag only has to be there.

    A model that was registered without a calibration or an ONNX file has none.
    """
    check_file(files, MODEL_FILE, tags.get(MODEL_TAG))
    check_file(files, SPEC_FILE, tags.get(SPEC_TAG))
    for name, tag in ((CALIBRATION_FILE, CALIBRATION_TAG), (ONNX_FILE, ONNX_TAG)):
        if tag in tags:
            check_file(files, name, tags[tag])
    if CALIBRATION_TAG in tags and (expected := read_json(_the_file(files, CALIBRATION_FILE)).get("fitted_on", {}).get(FAMILIAR_KEY)):
        check_file(files, FAMILIAR_FILE, expected)


def check_file(files: Path, name: str, expected: str | None) -> None:
    """Raise TrackingError if the file `name` of a version's files does not have the sha256 that was registered; None if that is not known."""
    found = sha256_file(_the_file(files, name))
    if expected is not None and found != expected:
        raise CannotServeError(f"its {name} has the sha256 {found[:12]}…, but {expected[:12]}… was registered: the file was changed")


def _the_file(files: Path, name: str) -> Path:
    found = sorted(files.rglob(name))
    if len(found) != 1:
        raise CannotServeError(f"its files have {len(found) or 'no'} {name}, expected one")
    return found[0]


def _answers(tracker: Tracker, version: ModelVersion, images: Sequence[bytes]) -> list[dict[str, float]]:
    try:
        return tracker.answer(version, images)
    except ModelError as error:
        raise CannotServeError(str(error)) from None


def _check_answers(tracker: Tracker, version: ModelVersion, samples: Sequence[Sample]) -> str:
    answers = _answers(tracker, version, [sample.image for sample in samples])
    for number, (sample, answer) in enumerate(zip(samples, answers, strict=True), 1):
        found = answer.get(sample.label, 0.0)
        if abs(found - sample.probability) > TOLERANCE:
            raise CannotServeError(
                f"sample image {number} of {len(samples)} was {sample.label} with probability {sample.probability:.4f} when it was registered; "
                f"now the model, started as it is served, gives {found:.4f}"
            )
    return f"it answers {len(samples)} sample images as recorded"


def _check_answer(tracker: Tracker, version: ModelVersion, image: bytes) -> str:
    print(
        f"note: no sample images are kept with {version.name} version {version.version}: only that it loads and answers was checked",
        file=sys.stderr,
    )
    (answer,) = _answers(tracker, version, [image])
    known = known_classes(version)
    if known and set(answer) != set(known):
        raise CannotServeError(f"it answers with other classes than were registered: {', '.join(sorted(answer)[:5])}")
    return "it loads and answers"


def _blank_image(spec: Path) -> bytes:
    """A grey picture, as PNG."""
    try:
        said = json.loads(spec.read_text(encoding="utf-8"))
        size = (int(said["width"]), int(said["height"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotServeError(f"its {SPEC_FILE} cannot be read: {error}") from None
    encoded = io.BytesIO()
    Image.new("L", size, 128).save(encoded, "PNG")
    return encoded.getvalue()
