"""Makes the ONNX file of a model and keeps it only if it answers as the model does."""

from pathlib import Path

import numpy as np

from pipeline.conversion.faults import ExportError
from pipeline.conversion.record import MODEL_FILE, ONNX_FILE, RECORD_FILE, TOLERANCE
from pipeline.files import sha256_file, write_bytes, write_json

FEATURE_TOLERANCE = 1e-3
"""How far a feature may be from that of the model, as a share of the largest."""
MOST_COMPARED, MOST_PIXELS = 512, 6_400_000
"""On so many images, or images of so many pixels together, both must answer alike: 512 of up to 111 px, 127 of 224 px."""


def add_verified_onnx(folder: Path, images: np.ndarray) -> str:
    """Write model.onnx and its record beside model.keras; returns the sha256 of the ONNX file.

    images: uint8 (N, H, W, C), prepared for the model, of which some are answered by both. Raises ExportError if the model cannot be converted, or
    the two do not answer alike; then nothing is written. Raises ImportError if onnx or onnxruntime is missing.
    """
    # Not every machine has these packages
    from pipeline.conversion.identity import identity_of
    from pipeline.conversion.keras_features import predict_with_features, with_features
    from pipeline.conversion.keras_to_onnx import on_cpu, to_onnx
    from pipeline.conversion.onnx_features import features_in
    from pipeline.conversion.onnx_session import OnnxRuntime
    from pipeline.models.predict import load_model, predict

    if not len(images):
        raise ExportError("there are no images to compare its answers on")
    compared = max(1, min(MOST_COMPARED, MOST_PIXELS // (images.shape[1] * images.shape[2])))
    some = np.ascontiguousarray(images[:: -(-len(images) // compared)])
    with on_cpu():  # GPUs round differently
        model = load_model(folder / MODEL_FILE)
        both = with_features(model)
        expected, seen = predict_with_features(both, some) if both else (predict(model, some), None)
    content = to_onnx(model)
    features = features_in(content) if seen is not None else ""
    found = OnnxRuntime(content, features)
    difference = largest_difference(expected, found.probabilities(some))
    if seen is not None:
        check_features(seen, found.with_features(some)[1])
    write_bytes(folder / ONNX_FILE, content)
    digest = sha256_file(folder / ONNX_FILE)
    said = {"features": features, "onnx_sha256": digest, "model_sha256": sha256_file(folder / MODEL_FILE), "identity": identity_of(content)}
    write_json(folder / RECORD_FILE, said | {"images": len(some), "largest_difference": difference})
    return digest


def check_features(expected: np.ndarray, found: np.ndarray) -> None:
    """Raise ExportError unless features float32 (N, F) are the same but for what is rounded."""
    most = FEATURE_TOLERANCE * float(np.abs(expected).max())
    if expected.shape != found.shape or not np.allclose(expected, found, rtol=FEATURE_TOLERANCE, atol=most):
        raise ExportError(f"the ONNX file gives other features {found.shape} than the model {expected.shape}")


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
