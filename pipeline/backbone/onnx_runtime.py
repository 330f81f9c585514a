"""Networks computed by ONNX Runtime. Needs the packages onnx and onnxruntime: import this where their absence is dealt with."""

import joblib
import numpy as np
import onnxruntime

from pipeline.backbone.architecture import Architecture
from pipeline.backbone.graph import build_graph
from pipeline.backbone.runtime import BATCH_SIZE, Compute
from pipeline.backbone.weights import Weights


class OnnxRuntime:
    """A Runtime of one thread per batch, and as many batches at a time as there are cores."""

    name = f"onnxruntime-{onnxruntime.__version__}"

    def __init__(self) -> None:
        self.threads = int(joblib.cpu_count())

    def compile(self, network: Architecture, weights: Weights, shape: tuple[int, int, int], output: str) -> Compute:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = build_graph(network, weights, shape, BATCH_SIZE, output)
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

        def compute(images: np.ndarray) -> np.ndarray:
            result: np.ndarray = session.run(None, {"images": images})[0]
            return result

        return compute
