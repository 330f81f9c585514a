"""A network as an ONNX graph: from images uint8 (N, H, W, C) of one size to what is wanted of it.

Batch normalisation is part of the convolutions, computed in float64. Padding is TensorFlow's: "same", with the odd pixel after the image.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pipeline.backbone.architecture import FEATURES, MEAN, SCALE, Architecture, Block, enlargement, stage_input
from pipeline.backbone.weights import Weights

OPSET, IR_VERSION = 17, 8


def build_graph(network: Architecture, weights: Weights, shape: tuple[int, int, int], batch_size: int, output: str) -> bytes:
    """An ONNX model of images uint8 (batch_size, H, W, C), `shape` (H, W, C), C 1 or 3, that ends where `output` is known.

    `output`: FEATURES, or `stage_input` of a stage.
    """
    graph = _Graph(weights)
    size = graph.standardise(shape)
    size = graph.convolve("_conv_stem", "_bn0", size, strides=2, grey=shape[-1] == 1, scale=1 / SCALE)
    for i, block in enumerate(network.blocks):
        if output == stage_input(block.stage) and i == network.first_block(block.stage):
            break
        size = graph.block(i, block, size)
    if output == FEATURES:
        graph.convolve("_conv_head", "_bn1", size)
        graph.add("GlobalAveragePool")
        graph.add("Flatten")
    else:
        graph.add("Transpose", perm=[0, 2, 3, 1])
        graph.add("Cast", to=TensorProto.FLOAT16)
    kind = TensorProto.FLOAT if output == FEATURES else TensorProto.FLOAT16
    return graph.finish(network.name, (batch_size, *shape), kind)


class _Graph:
    """An ONNX graph that grows at its end, `self._last`; images inside are float32 (N, C, H, W)."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._last = "images"
        self._lowest, self._highest = (self._constant(np.array(value, np.float32)) for value in (0, 6))

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Apply an operation to the last result, and to constants or earlier results."""
        name = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, [self._last, *inputs], [name], name, **attributes))
        self._last = name
        return name

    def standardise(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        """From uint8 (N, H, W, C) to values from -MEAN, enlarged if they are small: (height, width). SCALE is left to the stem."""
        factor = enlargement(*shape[:2])
        self.add("Transpose", perm=[0, 3, 1, 2])
        self.add("Cast", to=TensorProto.FLOAT)
        self.add("Sub", self._constant(np.array(MEAN, np.float32)))
        if factor > 1:
            scales = self._constant(np.array([1, 1, factor, factor], np.float32))
            self.add("Resize", "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
        return shape[0] * factor, shape[1] * factor

    def block(self, i: int, block: Block, size: tuple[int, int]) -> tuple[int, int]:
        """An inverted residual block: the size after it."""
        before, name = self._last, f"_blocks.{i}"
        if block.expansion > 1:
            self.convolve(f"{name}._expand_conv", f"{name}._bn0", size)
        size = self.convolve(f"{name}._depthwise_conv", f"{name}._bn1", size, strides=block.strides, groups=block.filters_inside)
        self.convolve(f"{name}._project_conv", f"{name}._bn2", size, activate=False)
        if block.residual:
            self.add("Add", before)
        return size

    def convolve(
        self,
        name: str,
        normalization: str,
        size: tuple[int, int],
        *,
        strides: int = 1,
        groups: int = 1,
        activate: bool = True,
        grey: bool = False,
        scale: float = 1.0,
    ) -> tuple[int, int]:
        """Convolution with its normalisation, and ReLU6: the size after it. On grey images it does what it would on them three times."""
        kernel, bias = self._weights.convolution(name, normalization).folded()
        kernel = scale * (kernel.sum(axis=1, keepdims=True) if grey else kernel)
        side = kernel.shape[-1]
        padding = [_padding(length, side, strides) for length in size]
        constants = [self._constant(value.astype(np.float32)) for value in (kernel, bias)]
        pads = [before for before, _ in padding] + [after for _, after in padding]
        self.add("Conv", *constants, kernel_shape=[side, side], strides=[strides, strides], group=groups, pads=pads)
        if activate:
            self.add("Clip", self._lowest, self._highest)
        return -(-size[0] // strides), -(-size[1] // strides)

    def finish(self, name: str, shape: Sequence[int], kind: int) -> bytes:
        """The ONNX model that ends with the last result."""
        images = helper.make_tensor_value_info("images", TensorProto.UINT8, shape)
        result = helper.make_tensor_value_info(self._last, kind, None)
        graph = helper.make_graph(self._nodes, name, [images], [result], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        content: bytes = model.SerializeToString()
        return content

    def _constant(self, value: np.ndarray) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name


def _padding(length: int, side: int, strides: int) -> tuple[int, int]:
    """(before, after) along one axis, so that the result has ceil(length / strides) values."""
    total = max((-(-length // strides) - 1) * strides + side - length, 0)
    return total // 2, total - total // 2
