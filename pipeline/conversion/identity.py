"""What tells one ONNX model from another: a digest of its operations and numbers, whatever they are called and in which order they are stored."""

import hashlib

import onnx
from onnx import numpy_helper


def identity_of(content: bytes) -> str:
    """sha256 over the graph of an ONNX file: its inputs, its operations with attributes, what goes into each, and all weights.

    Two files that differ in names, in the order of what they list, or in who wrote them have the same identity.
    """
    graph = onnx.load_model_from_string(content).graph
    known = {value.name: f"input {i} {value.type.tensor_type.elem_type} {_shape(value)}" for i, value in enumerate(graph.input)}
    known |= {tensor.name: _digest(_described(tensor)) for tensor in graph.initializer}
    for node in graph.node:  # ONNX demands that a node comes after what goes into it
        attributes = sorted(f"{found.name}={_attribute(found)}" for found in node.attribute)
        inputs = [known[name] if name else "" for name in node.input]
        said = _digest("\n".join([node.domain, node.op_type, *attributes, *inputs]))
        known |= {name: f"{said} {i}" for i, name in enumerate(node.output)}
    return _digest("\n".join(known[value.name] for value in graph.output))


def _attribute(found: onnx.AttributeProto) -> str:
    value = onnx.helper.get_attribute_value(found)
    return _described(value) if isinstance(value, onnx.TensorProto) else repr(value)


def _described(tensor: onnx.TensorProto) -> str:
    array = numpy_helper.to_array(tensor)
    return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [side.dim_value for side in value.type.tensor_type.shape.dim]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
