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

    def __init__(self, model: Path | bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        source = model if isinstance(model, bytes) else str(model)
        self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """float32 (N, K) of images, uint8 (N, H, W, C); reads them batch by batch, so they may be a memory map."""
        size = max(1, min(MOST_IMAGES, BATCH_BYTES // max(1, int(np.prod(images.shape[1:])))))
        starts = range(0, len(images), size)

        def compute(start: int) -> np.ndarray:
            result: np.ndarray = self._session.run(None, {INPUT: np.ascontiguousarray(images[start : start + size])})[0]
            return result

        if len(starts) < 2:
            return compute(0) if starts else np.empty((0, self._session.get_outputs()[0].shape[-1]), np.float32)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) as threads:
            return np.concatenate(list(threads.map(compute, starts)))
