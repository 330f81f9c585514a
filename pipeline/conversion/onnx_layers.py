"""Keras's layers as nodes of an ONNX graph: one function per layer, in LAYERS by the name of its class.

Each takes the graph, the layer and its inputs, and gives the result before the layer's own activation. Padding is TensorFlow's: "same", with the odd
pixel after the image.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.conversion.faults import ExportError
from pipeline.conversion.onnx_activations import elu, rectify, softmax
from pipeline.conversion.onnx_graph import Graph, Value, per_channel

OIHW = (3, 2, 0, 1)
"""From Keras's kernel (height, width, in, out) to ONNX's (out, in, height, width)."""


def _window(layer: Any, x: Value, size: Sequence[int]) -> tuple[tuple[int, int], dict[str, Any]]:
    """(height, width) of what a window of `size` gives, and ONNX's attributes for it."""
    strides, dilation = tuple(layer.strides), tuple(getattr(layer, "dilation_rate", (1, 1)))
    spans = [(side - 1) * step + 1 for side, step in zip(size, dilation, strict=True)]
    if layer.padding == "valid":
        sides = [(length - span) // step + 1 for length, span, step in zip(x.shape[:2], spans, strides, strict=True)]
        pads = [0, 0, 0, 0]
    else:
        sides = [-(-length // step) for length, step in zip(x.shape[:2], strides, strict=True)]
        totals = [
            max((side - 1) * step + span - length, 0) for side, step, span, length in zip(sides, strides, spans, x.shape[:2], strict=True)
        ]
        pads = [total // 2 for total in totals] + [total - total // 2 for total in totals]
    attributes = {"kernel_shape": list(size), "strides": list(strides), "pads": pads}
    return (sides[0], sides[1]), attributes | ({"dilations": list(dilation)} if dilation != (1, 1) else {})


def _bias(layer: Any, count: int) -> np.ndarray:
    return np.asarray(layer.bias) if getattr(layer, "use_bias", False) else np.zeros(count, np.float32)


def _convolution(graph: Graph, layer: Any, x: Value) -> Value:
    kernel = np.asarray(layer.kernel).transpose(OIHW)
    size, attributes = _window(layer, x, layer.kernel_size)
    return graph.add("Conv", [x, kernel, _bias(layer, len(kernel))], (*size, len(kernel)), group=layer.groups, **attributes)


def _depthwise(graph: Graph, layer: Any, x: Value, kernel: Any = None, bias: np.ndarray | None = None) -> Value:
    kernel = np.asarray(layer.kernel if kernel is None else kernel)
    height, width, channels, multiplier = kernel.shape
    kernel = kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    size, attributes = _window(layer, x, layer.kernel_size)
    bias = _bias(layer, len(kernel)) if bias is None else bias
    return graph.add("Conv", [x, kernel, bias], (*size, len(kernel)), group=channels, **attributes)


def _separable(graph: Graph, layer: Any, x: Value) -> Value:
    wide = _depthwise(graph, layer, x, layer.depthwise_kernel, np.zeros(int(np.prod(layer.depthwise_kernel.shape[2:])), np.float32))
    kernel = np.asarray(layer.pointwise_kernel).transpose(OIHW)
    return graph.add("Conv", [wide, kernel, _bias(layer, len(kernel))], (*wide.shape[:2], len(kernel)), kernel_shape=[1, 1])


def _dense(graph: Graph, layer: Any, x: Value) -> Value:
    kernel = np.asarray(layer.kernel)
    bias = _bias(layer, kernel.shape[1])
    if x.is_image:  # of each pixel
        return graph.add("Conv", [x, kernel.T[..., None, None], bias], (*x.shape[:2], len(bias)), kernel_shape=[1, 1])
    return graph.add("Gemm", [x, kernel, bias], (len(bias),))


def _batch_normalization(graph: Graph, layer: Any, x: Value) -> Value:
    _check_last_axis(layer, layer.axis, x)
    mean, variance = (np.asarray(statistic) for statistic in (layer.moving_mean, layer.moving_variance))
    scale = np.asarray(layer.gamma) if layer.scale else np.ones_like(mean)
    offset = np.asarray(layer.beta) if layer.center else np.zeros_like(mean)
    return graph.add("BatchNormalization", [x, scale, offset, mean, variance], x.shape, epsilon=float(layer.epsilon))


def _layer_normalization(graph: Graph, layer: Any, x: Value) -> Value:
    (axis,) = layer.axis if isinstance(layer.axis, list | tuple) else (layer.axis,)
    _check_last_axis(layer, axis, x)
    count = x.shape[-1]
    scale = np.asarray(layer.gamma) if layer.scale else np.ones(count, np.float32)
    offset = np.asarray(layer.beta) if layer.center else np.zeros(count, np.float32)
    last = graph.add("LayerNormalization", [graph.channels_last(x), scale, offset], x.shape, axis=-1, epsilon=float(layer.epsilon))
    return graph.channels_first(last)


def _check_last_axis(layer: Any, axis: int, x: Value) -> None:
    if axis not in (-1, len(x.shape)):
        raise ExportError(f"The layer {layer.name} normalises over axis {axis}: only the last one can be converted to ONNX yet.")


def _rescaling(graph: Graph, layer: Any, x: Value) -> Value:
    scaled = graph.add("Mul", [x, per_channel(layer.scale, x)], x.shape)
    return graph.add("Add", [scaled, per_channel(layer.offset, x)], x.shape)


def _normalization(graph: Graph, layer: Any, x: Value) -> Value:
    centred = graph.add("Sub", [x, per_channel(layer.mean, x)], x.shape)
    deviation = np.maximum(np.sqrt(np.asarray(layer.variance)), 1e-7)  # Keras's epsilon
    return graph.add("Div", [centred, per_channel(deviation, x)], x.shape)


def _layer_scale(graph: Graph, layer: Any, x: Value) -> Value:
    return graph.add("Mul", [x, per_channel(layer.gamma, x)], x.shape)


def _pooling(kind: str, **attributes: Any) -> Callable[..., Value]:
    def convert(graph: Graph, layer: Any, x: Value) -> Value:
        size, window = _window(layer, x, layer.pool_size)
        return graph.add(kind, [x], (*size, x.shape[-1]), **window, **attributes)

    return convert


def _global_pooling(kind: str) -> Callable[..., Value]:
    def convert(graph: Graph, layer: Any, x: Value) -> Value:
        pooled = graph.add(kind, [x], (1, 1, x.shape[-1]))
        return pooled if layer.keepdims else graph.add("Flatten", [pooled], x.shape[-1:])

    return convert


def _upsampling(graph: Graph, layer: Any, x: Value) -> Value:
    modes = {"nearest": {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, "bilinear": {"mode": "linear"}}
    if layer.interpolation not in modes:
        raise ExportError(f"The layer {layer.name} enlarges by {layer.interpolation}, which cannot be converted to ONNX yet.")
    height, width = layer.size
    scales = np.array([1, 1, height, width], np.float32)
    shape = (x.shape[0] * height, x.shape[1] * width, x.shape[2])
    return graph.add("Resize", [x, None, scales], shape, **modes[layer.interpolation])


def _padding(graph: Graph, layer: Any, x: Value) -> Value:
    (top, bottom), (left, right) = layer.padding
    shape = (x.shape[0] + top + bottom, x.shape[1] + left + right, x.shape[2])
    return graph.add("Pad", [x, np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)], shape)


def _cropping(graph: Graph, layer: Any, x: Value) -> Value:
    (top, bottom), (left, right) = layer.cropping
    ends = (x.shape[0] - bottom, x.shape[1] - right)
    bounds = [np.array(values, np.int64) for values in ((top, left), ends, (2, 3))]
    return graph.add("Slice", [x, *bounds], (ends[0] - top, ends[1] - left, x.shape[2]))


def _flip(graph: Graph, operation: Any, x: Value) -> Value:
    axis = operation.axis if operation.axis >= 0 else operation.axis + len(x.shape) + 1
    place = {1: 2, 2: 3, 3: 1}[axis] if x.is_image else axis
    bounds = [np.array([value], np.int64) for value in (-1, np.iinfo(np.int64).min + 1, place, -1)]
    return graph.add("Slice", [x, *bounds], x.shape)


def _reshape(graph: Graph, layer: Any, x: Value) -> Value:
    count, target = int(np.prod(x.shape)), list(getattr(layer, "target_shape", (-1,)))
    known = int(np.prod([side for side in target if side != -1]))
    shape = tuple(count // known if side == -1 else int(side) for side in target)
    if len(shape) not in (1, 3):
        raise ExportError(f"The layer {layer.name} gives the shape {shape}, which cannot be converted to ONNX yet.")
    return graph.channels_first(graph.add("Reshape", [graph.channels_last(x), np.array([0, *shape], np.int64)], shape))


def _combined(kind: str) -> Callable[..., Value]:
    """An operation on two or more results, or on a result and a number."""

    def convert(graph: Graph, layer: Any, first: Any, *others: Any) -> Value:
        result = first
        for other in others:
            result = graph.add(kind, [_operand(result), _operand(other)], _joint_shape(layer, result, other))
        assert isinstance(result, Value)
        return result

    return convert


def _operand(value: Any) -> Value | np.ndarray:
    return value if isinstance(value, Value) else np.asarray(value, np.float32).reshape(())


def _joint_shape(layer: Any, *values: Any) -> tuple[int, ...]:
    shapes = [value.shape for value in values if isinstance(value, Value)]
    if len({len(shape) for shape in shapes}) > 1:
        raise ExportError(
            f"The layer {layer.name} combines shapes {' and '.join(map(str, shapes))}, which cannot be converted to ONNX yet."
        )
    return tuple(max(sides) for sides in zip(*shapes, strict=True))


def _average(graph: Graph, layer: Any, *values: Value) -> Value:
    return graph.add("Mul", [_combined("Add")(graph, layer, *values), np.float32(1 / len(values))], values[0].shape)


def _scaled_sum(graph: Graph, layer: Any, first: Value, second: Value) -> Value:
    """InceptionResNet's residual: the first plus the second, scaled."""
    return graph.add("Add", [first, graph.add("Mul", [second, np.float32(layer.scale)], second.shape)], first.shape)


def _concatenate(graph: Graph, layer: Any, *values: Value) -> Value:
    _check_last_axis(layer, layer.axis, values[0])
    shape = (*values[0].shape[:-1], sum(value.shape[-1] for value in values))
    return graph.add("Concat", values, shape, axis=1)


LAYERS: dict[str, Callable[..., Value]] = {
    "Activation": lambda graph, layer, x: x,
    "Add": _combined("Add"),
    "Average": _average,
    "AveragePooling2D": _pooling("AveragePool", count_include_pad=0),
    "BatchNormalization": _batch_normalization,
    "Concatenate": _concatenate,
    "Conv2D": _convolution,
    "Cropping2D": _cropping,
    "CustomScaleLayer": _scaled_sum,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "ELU": lambda graph, layer, x: elu(graph, x, layer.alpha),
    "Flatten": _reshape,
    "Flip": _flip,
    "GlobalAveragePooling2D": _global_pooling("GlobalAveragePool"),
    "GlobalMaxPooling2D": _global_pooling("GlobalMaxPool"),
    "InputLayer": lambda graph, layer, x: x,
    "LayerNormalization": _layer_normalization,
    "LayerScale": _layer_scale,
    "LeakyReLU": lambda graph, layer, x: rectify(graph, x, slope=layer.negative_slope),
    "Maximum": _combined("Max"),
    "MaxPooling2D": _pooling("MaxPool"),
    "Multiply": _combined("Mul"),
    "Normalization": _normalization,
    "ReLU": lambda graph, layer, x: rectify(
        graph, x, highest=layer.max_value, slope=float(layer.negative_slope), threshold=float(layer.threshold)
    ),
    "Reshape": _reshape,
    "Rescaling": _rescaling,
    "SeparableConv2D": _separable,
    "Softmax": lambda graph, layer, x: softmax(graph, x, layer.axis),
    "Subtract": _combined("Sub"),
    "UpSampling2D": _upsampling,
    "ZeroPadding2D": _padding,
}
