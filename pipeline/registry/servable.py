"""Whether a registered version can serve: its files are there and unchanged, it loads in a fresh process, and it answers as it did when registered."""

import io
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from pipeline.certainty.calibrated_run import CALIBRATION_TAG
from pipeline.errors import TrackingError
from pipeline.files import sha256_file
from pipeline.registry.samples import Sample, read_samples
from pipeline.registry.versions import known_classes
from pipeline.tracking.lineage import MODEL_TAG
from pipeline.tracking.run_log import ModelVersion, Tracker

SPEC_TAG = "spec_sha256"
MODEL_FILE, SPEC_FILE, CALIBRATION_FILE = "model.keras", "spec.json", "calibration.json"
TOLERANCE = 0.02
"""How far a probability may be from the recorded one: processors and batches round differently, other preprocessing is off by more."""


def check_servable(tracker: Tracker, version: ModelVersion) -> str:
    """What was checked, in a few words. Raises TrackingError, with what to do, if this version cannot serve."""
    try:
        return _check(tracker, version)
    except TrackingError as error:
        raise TrackingError(
            f"{version.name} version {version.version} cannot serve, so no alias was moved: {str(error).rstrip('.')}. "
            "Restore its files from a backup, or choose another version."
        ) from None


def _check(tracker: Tracker, version: ModelVersion) -> str:
    if not tracker.has_files(version):
        raise TrackingError("its files are gone")
    with tempfile.TemporaryDirectory() as folder:
        files = tracker.fetch(version, Path(folder))
        check_files(files, version.tags)
        samples = read_samples(tracker, version)
        if not samples:
            return _check_answer(tracker, version, _blank_image(_the_file(files, SPEC_FILE)))
    return _check_answers(tracker, version, samples)


def check_files(files: Path, tags: Mapping[str, str]) -> None:
    """Raise TrackingError if the files of a model are not those of the tags of its version or run; one of which there is no tag only has to be there.

    A model that was registered without a calibration has none.
    """
    check_file(files, MODEL_FILE, tags.get(MODEL_TAG))
    check_file(files, SPEC_FILE, tags.get(SPEC_TAG))
    if CALIBRATION_TAG in tags:
        check_file(files, CALIBRATION_FILE, tags[CALIBRATION_TAG])


def check_file(files: Path, name: str, expected: str | None) -> None:
    """Raise TrackingError if the file `name` of a version's files does not have the sha256 that was registered; None if that is not known."""
    found = sha256_file(_the_file(files, name))
    if expected is not None and found != expected:
        raise TrackingError(f"its {name} has the sha256 {found[:12]}…, but {expected[:12]}… was registered: the file was changed")


def _the_file(files: Path, name: str) -> Path:
    found = [file for file in sorted(files.rglob(name)) if "code" not in file.relative_to(files).parts]
    if len(found) != 1:
        raise TrackingError(f"its files have {len(found) or 'no'} {name}, expected one")
    return found[0]


def _check_answers(tracker: Tracker, version: ModelVersion, samples: Sequence[Sample]) -> str:
    answers = tracker.answer(version, [sample.image for sample in samples])
    for number, (sample, answer) in enumerate(zip(samples, answers, strict=True), 1):
        found = answer.get(sample.label, 0.0)
        if abs(found - sample.probability) > TOLERANCE:
            raise TrackingError(
                f"sample image {number} of {len(samples)} was {sample.label} with probability {sample.probability:.4f} when it was registered; "
                f"now the model, started as it is served, gives {found:.4f}"
            )
    return f"it answers {len(samples)} sample images as recorded"


def _check_answer(tracker: Tracker, version: ModelVersion, image: bytes) -> str:
    print(
        f"note: no sample images are kept with {version.name} version {version.version}: only that it loads and answers was checked",
        file=sys.stderr,
    )
    (answer,) = tracker.answer(version, [image])
    known = known_classes(version)
    if known and set(answer) != set(known):
        raise TrackingError(f"it answers with other classes than were registered: {', '.join(sorted(answer)[:5])}")
    return "it loads and answers"


def _blank_image(spec: Path) -> bytes:
    """A grey picture, as PNG."""
    try:
        said = json.loads(spec.read_text(encoding="utf-8"))
        size = (int(said["width"]), int(said["height"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrackingError(f"its {SPEC_FILE} cannot be read: {error}") from None
    encoded = io.BytesIO()
    Image.new("L", size, 128).save(encoded, "PNG")
    return encoded.getvalue()
