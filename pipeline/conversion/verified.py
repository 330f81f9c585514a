"""Makes the ONNX file of a model and keeps it only if it answers as the model does."""

from pathlib import Path

import numpy as np

from pipeline.conversion.faults import ExportError
from pipeline.conversion.record import MODEL_FILE, ONNX_FILE, RECORD_FILE, TOLERANCE
from pipeline.files import sha256_file, write_bytes, write_json

MOST_COMPARED, MOST_PIXELS = 512, 6_400_000
"""On so many images, or images of so many pixels together, both must answer alike: 512 of up to 111 px, 127 of 224 px."""


def add_verified_onnx(folder: Path, images: np.ndarray) -> str:
    """Write model.onnx and its record beside model.keras; returns the sha256 of the ONNX file.

    images: uint8 (N, H, W, C), prepared for the model, of which some are answered by both. Raises ExportError if the model cannot be converted, or
    the two do not answer alike; then nothing is written. Raises ImportError if onnx or onnxruntime is missing.
    """
    # Not every machine has these packages
    from pipeline.conversion.identity import identity_of
    from pipeline.conversion.keras_to_onnx import on_cpu, to_onnx
    from pipeline.conversion.onnx_session import OnnxRuntime
    from pipeline.models.predict import load_model, predict

    if not len(images):
        raise ExportError("there are no images to compare its answers on")
    compared = max(1, min(MOST_COMPARED, MOST_PIXELS // (images.shape[1] * images.shape[2])))
    some = np.ascontiguousarray(images[:: -(-len(images) // compared)])
    with on_cpu():  # GPUs round differently
        model = load_model(folder / MODEL_FILE)
        expected = predict(model, some)
    content = to_onnx(model)
    difference = largest_difference(expected, OnnxRuntime(content).probabilities(some))
    write_bytes(folder / ONNX_FILE, content)
    digest = sha256_file(folder / ONNX_FILE)
    said = {"onnx_sha256": digest, "model_sha256": sha256_file(folder / MODEL_FILE), "identity": identity_of(content)}
    write_json(folder / RECORD_FILE, said | {"images": len(some), "largest_difference": difference})
    return digest


def largest_difference(expected: np.ndarray, found: np.ndarray) -> float:
    """Between two probabilities (N, K). Raises ExportError if it is more than TOLERANCE, or a label differs."""
    if expected.shape != found.shape or not np.isfinite(found).all():
        raise ExportError(
            f"the ONNX file gives probabilities of shape {found.shape}, or some that are no numbers; expected {expected.shape}"
        )
    difference = float(np.abs(expected - found).max())
    changed = int((expected.argmax(axis=1) != found.argmax(axis=1)).sum())
    if difference > TOLERANCE or changed:
        raise ExportError(
            f"on {len(expected):,} images the ONNX file gives probabilities that differ by up to {difference:.1e}, and {changed:,} other labels; at most "
            f"{TOLERANCE:.0e} and none are accepted"
        )
    return difference
