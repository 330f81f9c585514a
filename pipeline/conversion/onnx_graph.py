"""An ONNX graph that is built node by node. The same calls give the same bytes. Knows nothing of Keras.

Images inside are float32 (N, C, H, W), as ONNX has them; a Value says its shape as Keras does, (H, W, C).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pipeline.conversion.onnx_names import INPUT, OUTPUT

OPSET, IR_VERSION = 17, 8
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


@dataclass(frozen=True)
class Value:
    """A result in the graph. shape: without the batch, (H, W, C) or (F,)."""

    name: str
    shape: tuple[int, ...]

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3


class Graph:
    """A graph that grows. `input` is the float32 form of its images, uint8 (N, H, W, C)."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self._name, self._shape = name, shape
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        first = self.add("Transpose", [Value(INPUT, shape)], shape, perm=TO_CHANNELS_FIRST)
        self.input = self.add("Cast", [first], shape, to=TensorProto.FLOAT)

    def add(self, kind: str, inputs: Sequence[Value | np.ndarray | np.float32 | None], shape: tuple[int, ...], **attributes: Any) -> Value:
        """The result of an operation. inputs: earlier results, constants, or None for one that is left out."""
        name = f"{kind}_{len(self._nodes)}"
        names = ["" if value is None else value.name if isinstance(value, Value) else self._constant(value) for value in inputs]
        self._nodes.append(helper.make_node(kind, names, [name], name, **attributes))
        return Value(name, shape)

    def channels_last(self, x: Value) -> Value:
        """The same numbers in Keras's order; only operations that this module does not look into may use it."""
        return self.add("Transpose", [x], x.shape, perm=TO_CHANNELS_LAST) if x.is_image else x

    def channels_first(self, x: Value) -> Value:
        """The way back from `channels_last`."""
        return self.add("Transpose", [x], x.shape, perm=TO_CHANNELS_FIRST) if x.is_image else x

    def finish(self, result: Value) -> bytes:
        """The ONNX model from images uint8 (N, H, W, C), N free, to `result`, probabilities float32 (N, K)."""
        self._nodes.append(helper.make_node("Identity", [result.name], [OUTPUT], OUTPUT))
        images = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", *self._shape])
        probabilities = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", *result.shape])
        graph = helper.make_graph(self._nodes, self._name, [images], [probabilities], list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _constant(self, value: np.ndarray | np.float32) -> str:
        """The name of a constant; the same one for the same numbers, as of a network that is applied twice."""
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(np.ascontiguousarray(value), f"constant_{len(self._constants)}")
        return str(self._constants[key].name)


def per_channel(values: Any, x: Value) -> np.ndarray:
    """A constant with one value, or one per channel, in the shape in which it is combined with `x`: float32."""
    array = np.asarray(values, np.float32)
    return array.reshape(-1, 1, 1) if array.size > 1 and x.is_image else array.reshape(-1) if array.size > 1 else array.reshape(())
