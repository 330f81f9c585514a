"""A Keras model as an ONNX model, layer by layer, in float32. A layer that is not known here is an error, never a guess.

In place of the package tf2onnx: the same model gives the same bytes, and nothing of TensorFlow is traced (docs/decisions.md).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras

from pipeline.conversion.faults import ExportError
from pipeline.conversion.onnx_activations import activate
from pipeline.conversion.onnx_graph import Graph, Value
from pipeline.conversion.onnx_layers import LAYERS

UNCHANGED = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.ActivityRegularization,
    keras.layers.Identity,
)
"""What does something during training only."""
UNCHANGED_BY_NAME = ("StochasticDepth",)


def to_onnx(model: keras.Model) -> bytes:
    """The ONNX model of images uint8 (N, H, W, C) to probabilities float32 (N, K). Raises ExportError for a layer that is not known."""
    if not isinstance(model, keras.Sequential | keras.src.models.Functional):
        raise ExportError(
            f"{model.name} is a {type(model).__name__}: only models made of layers one after the other or as a graph can be converted."
        )
    graph = Graph(model.name, tuple(model.input_shape[1:]))
    return graph.finish(_convert(graph, model, graph.input))


def on_cpu() -> AbstractContextManager[None]:
    """Whatever Keras computes inside is computed on the CPU."""
    device: AbstractContextManager[None] = keras.device("cpu:0")
    return device


def _convert(graph: Graph, model: Any, x: Value) -> Value:
    """The result of a model, or of one nested in another, for `x`."""
    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            x = _operation(graph, layer, x)
        return x
    # What keras.models.clone_model does with its call_function: it takes any objects in place of tensors
    result: Value = model._run_through_graph([x], call_fn=lambda operation, *inputs, **_: _operation(graph, operation, *inputs))
    return result


def _operation(graph: Graph, operation: Any, *inputs: Any) -> Value:
    values = list(inputs[0]) if len(inputs) == 1 and isinstance(inputs[0], list | tuple) else list(inputs)
    if isinstance(operation, keras.Model):
        return _convert(graph, operation, *values)
    if isinstance(operation, UNCHANGED) or type(operation).__name__ in UNCHANGED_BY_NAME:
        found: Value = values[0]
        return found
    convert: Callable[..., Value] | None = LAYERS.get(type(operation).__name__)
    if convert is None:
        raise ExportError(f"The layer {operation.name} is a {type(operation).__name__}, which cannot be converted to ONNX yet.")
    result = convert(graph, operation, *values)
    function = getattr(operation, "activation", None)
    return activate(graph, result, function) if function is not None else result
