"""A verified ONNX file beside its model: what it was made from, and how close it answers. Travels with the registered model; loads no runtime."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import ModelError

MODEL_FILE, ONNX_FILE, RECORD_FILE = "model.keras", "model.onnx", "onnx.json"
ONNX_TAG = "onnx_sha256"
TOLERANCE = 1e-5
"""How far a probability of the ONNX file may be from that of the model."""


def verified_onnx(folder: Path) -> Path | None:
    """The verified ONNX file in a folder with a model; None if there is none.

    Raises ModelError if it is not the one that was verified, or not of this model: it is never passed over in silence.
    """
    file, record = folder / ONNX_FILE, folder / RECORD_FILE
    if not file.exists() and not record.exists():
        return None
    try:
        said = json.loads(record.read_text(encoding="utf-8"))
        expected = {ONNX_FILE: str(said["onnx_sha256"]), MODEL_FILE: str(said["model_sha256"])}
        changed = [name for name, digest in expected.items() if _sha256(folder / name) != digest]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{ONNX_FILE} or what was recorded of it in {RECORD_FILE} cannot be read: {error}") from None
    if changed:
        raise ModelError(f"{changed[0]} is not the one that {RECORD_FILE} was written for: the file was changed")
    return file


def features_name(folder: Path, record: str = RECORD_FILE) -> str:
    """How the features of an image are called in the ONNX file of a folder; empty if its record does not say so, as in earlier versions."""
    return str(json.loads((folder / record).read_text(encoding="utf-8")).get("features", ""))


def check_answers(served: Sequence[Mapping[str, float]], plain: Sequence[Mapping[str, float]]) -> None:
    """Raise ModelError if an ONNX file does not answer as its model does. Both: for each image the probabilities by class name."""
    for number, (one, other) in enumerate(zip(served, plain, strict=True), 1):
        far = max((abs(value - other.get(name, -1.0)) for name, value in one.items()), default=0.0)
        if far > TOLERANCE or max(one, key=one.__getitem__) != max(other, key=other.__getitem__):
            raise ModelError(
                f"on image {number} of {len(served)} its {ONNX_FILE}, with which it is served, and its {MODEL_FILE}, computed by TensorFlow, differ by "
                f"{far:.1e}, where at most {TOLERANCE:.0e} is accepted, or in the label"
            )


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
