"""An ONNX model in 8-bit whole numbers, calibrated on images. Needs the packages onnx and onnxruntime.

Weights per channel, activations by their range on the images: Jacob et al. (2018), Quantization and training of neural networks for efficient
integer-arithmetic-only inference, CVPR.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from pipeline.conversion.onnx_names import INPUT

BATCH = 32
IN_8_BITS = ["Conv", "Relu", "Clip", "Add", "MaxPool"]
"""The rest stays in float32: with the classifier and the input in 8 bits, too, EfficientNet-Lite0 kept 43 % of its labels, not 93 %."""


class _Images(CalibrationDataReader):  # type: ignore[misc]  # has no types
    def __init__(self, images: np.ndarray) -> None:
        self._batches: Iterator[np.ndarray] = iter(np.split(images, range(BATCH, len(images), BATCH)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next images, as ONNX Runtime asks for them."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def to_int8(content: bytes, images: np.ndarray, *, seven_bits: bool) -> bytes:
    """The same model with 8-bit weights and activations; its input and output stay.

    images: uint8 (N, H, W, C), training images. seven_bits: weights of 7 bits, for processors without VNNI, whose 16-bit sums would overflow.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, folded, small = (Path(folder) / name for name in ("plain.onnx", "folded.onnx", "small.onnx"))
        plain.write_bytes(content)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # normalisation becomes part of convolutions
        options.optimized_model_filepath = str(folded)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
        quantize_static(
            str(folded), str(small), _Images(np.ascontiguousarray(images)), quant_format=QuantFormat.QDQ, per_channel=True,
            op_types_to_quantize=IN_8_BITS, reduce_range=seven_bits, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        return small.read_bytes()
