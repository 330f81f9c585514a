"""An ONNX file at work: from images to probabilities, by ONNX Runtime. Travels with the registered model. Import it where its absence is dealt with."""

from pathlib import Path

import numpy as np
import onnxruntime

from pipeline.conversion.onnx_names import INPUT

MOST_IMAGES = 256
BATCH_BYTES = 4 * 2**20
"""Of images at a time: results inside a network take many times as much."""
ERRORS_ONLY = 3


class OnnxRuntime:
    """An ONNX file or its content, computed on all cores of the CPU."""

    def __init__(self, model: Path | bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        source = model if isinstance(model, bytes) else str(model)
        self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """float32 (N, K) of images, uint8 (N, H, W, C); reads them batch by batch, so they may be a memory map."""
        size = max(1, min(MOST_IMAGES, BATCH_BYTES // max(1, int(np.prod(images.shape[1:])))))
        parts = [
            self._session.run(None, {INPUT: np.ascontiguousarray(images[start : start + size])})[0] for start in range(0, len(images), size)
        ]
        return np.concatenate(parts) if parts else np.empty((0, self._session.get_outputs()[0].shape[-1]), np.float32)
