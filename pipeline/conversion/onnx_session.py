"""An ONNX file at work: from images to probabilities, by ONNX Runtime. Travels with the registered model. Import it where its absence is dealt with."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

from pipeline.conversion.onnx_names import INPUT

MOST_IMAGES = 32
BATCH_BYTES = 2 * 2**20
"""Of images at a time: results inside a network take many times as much."""
ERRORS_ONLY = 3


class OnnxRuntime:
    """An ONNX file or its content. Each batch is computed by one thread, and as many at a time as there are cores: threads that share a batch wait for
    each other, and on a busy machine mostly do so.
    """

    def __init__(self, model: Path | bytes, features: str = "") -> None:
        """features: the name of the value inside the network that `with_features` gives, too."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        source = model if isinstance(model, bytes) else str(model)
        if features:
            source = (model if isinstance(model, bytes) else model.read_bytes()) + _one_more_output(features)
        self.has_features = bool(features)
        self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """float32 (N, K) of images, uint8 (N, H, W, C); reads them batch by batch, so they may be a memory map."""
        return self._outputs(images)[0]

    def with_features(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(probabilities float32 (N, K), features float32 (N, F)) of images, uint8 (N, H, W, C), in one pass."""
        probabilities, features = self._outputs(images)
        return probabilities, features

    def _outputs(self, images: np.ndarray) -> list[np.ndarray]:
        size = max(1, min(MOST_IMAGES, BATCH_BYTES // max(1, int(np.prod(images.shape[1:])))))
        starts = range(0, len(images), size)

        def compute(start: int) -> list[np.ndarray]:
            result: list[np.ndarray] = self._session.run(None, {INPUT: np.ascontiguousarray(images[start : start + size])})
            return result

        if not starts:
            return [np.empty((0, output.shape[-1] if output.shape else 0), np.float32) for output in self._session.get_outputs()]
        if len(starts) == 1:
            return compute(0)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) as threads:
            return [np.concatenate(parts) for parts in zip(*threads.map(compute, starts), strict=True)]


def _one_more_output(name: str) -> bytes:
    """What appended to an ONNX file makes one of its values an output, too: ModelProto.graph (field 7) with a GraphProto.output (12) of this name (1).

    Protocol Buffers merges messages that are written one after the other, by its specification ("Last one wins"). So the file itself stays as it was
    verified, and no package but ONNX Runtime is needed.
    """
    return _field(7, _field(12, _field(1, name.encode())))


def _field(number: int, content: bytes) -> bytes:
    """A field of Protocol Buffers: its number with wire type 2, the length as a base-128 number, the content."""
    length, left = [], len(content)
    while left > 127:
        length.append(left & 127 | 128)
        left >>= 7
    return bytes([number << 3 | 2, *length, left]) + content
