"""Keras's activation functions as nodes of an ONNX graph. The formulas are those of the documentation of keras.activations."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.conversion.faults import ExportError
from pipeline.conversion.onnx_graph import Graph, Value

PLAIN = {"selu": "Selu", "softplus": "Softplus", "softsign": "Softsign", "tanh": "Tanh", "sigmoid": "Sigmoid", "exponential": "Exp"}
"""These are one operation of ONNX with the same constants."""


def activate(graph: Graph, x: Value, function: Any) -> Value:
    """The function of every value. Raises ExportError for one that is not known here."""
    name = getattr(function, "__name__", type(function).__name__)
    if name in PLAIN:
        return graph.add(PLAIN[name], [x], x.shape)
    if name not in OTHERS:
        raise ExportError(f"The activation {name} cannot be converted to ONNX yet.")
    return OTHERS[name](graph, x)


def rectify(graph: Graph, x: Value, *, highest: float | None = None, slope: float = 0.0, threshold: float = 0.0) -> Value:
    """ReLU with Keras's options. Raises ExportError for those that no network of the project has."""
    if threshold:
        raise ExportError(f"ReLU with a threshold of {threshold} cannot be converted to ONNX yet.")
    if slope:
        if highest is not None:
            raise ExportError("ReLU with a slope and a highest value cannot be converted to ONNX yet.")
        return graph.add("LeakyRelu", [x], x.shape, alpha=float(slope))
    if highest is None:
        return graph.add("Relu", [x], x.shape)
    return graph.add("Clip", [x, np.float32(0), np.float32(highest)], x.shape)


def softmax(graph: Graph, x: Value, axis: int = -1) -> Value:
    """Over the last axis. Raises ExportError for another one."""
    if axis not in (-1, len(x.shape)):
        raise ExportError(f"Softmax over axis {axis} cannot be converted to ONNX yet.")
    return graph.add("Softmax", [x], x.shape, axis=1 if x.is_image else -1)


def elu(graph: Graph, x: Value, alpha: float = 1.0) -> Value:
    """The exponential linear unit."""
    return graph.add("Elu", [x], x.shape, alpha=float(alpha))


def _gelu(graph: Graph, x: Value) -> Value:
    """x / 2 (1 + erf(x / sqrt 2)): Keras's, unless it is asked for the approximation."""
    scaled = graph.add("Mul", [x, np.float32(1 / math.sqrt(2))], x.shape)
    raised = graph.add("Add", [graph.add("Erf", [scaled], x.shape), np.float32(1)], x.shape)
    return graph.add("Mul", [graph.add("Mul", [x, raised], x.shape), np.float32(0.5)], x.shape)


def _hard_sigmoid(graph: Graph, x: Value) -> Value:
    return graph.add("HardSigmoid", [x], x.shape, alpha=1 / 6, beta=0.5)


def _weighed(graph: Graph, x: Value, weights: Value) -> Value:
    return graph.add("Mul", [x, weights], x.shape)


OTHERS: dict[str, Callable[[Graph, Value], Value]] = {
    "linear": lambda graph, x: x,
    "relu": rectify,
    "relu6": lambda graph, x: rectify(graph, x, highest=6),
    "leaky_relu": lambda graph, x: rectify(graph, x, slope=0.2),
    "elu": elu,
    "gelu": _gelu,
    "softmax": softmax,
    "silu": lambda graph, x: _weighed(graph, x, graph.add("Sigmoid", [x], x.shape)),
    "mish": lambda graph, x: _weighed(graph, x, graph.add("Tanh", [graph.add("Softplus", [x], x.shape)], x.shape)),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda graph, x: _weighed(graph, x, _hard_sigmoid(graph, x)),
}
