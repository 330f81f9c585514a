"""Where the features of an image are in an ONNX file of this project: what its last dense layer gets. Needs the package onnx."""

import onnx

DENSE = "Gemm"


def features_in(content: bytes) -> str:
    """The name of the value (N, F) that the last dense layer gets; empty if there is none.

    A network that also sees the mirror image has this layer twice, with the same weights. Meant is the one that fewer operations come before: those of
    the mirror image have the flip, too.
    """
    nodes = onnx.load_model_from_string(content).graph.node
    dense = [node for node in nodes if node.op_type == DENSE]
    if not dense:
        return ""
    maker = {name: node for node in nodes for name in node.output}
    same = [node for node in dense if node.input[1] == dense[-1].input[1]]
    return str(min((node.input[0] for node in same), key=lambda name: len(_before(name, maker))))


def _before(name: str, maker: dict[str, onnx.NodeProto]) -> set[str]:
    """The values that a value is computed from, itself included."""
    found, waiting = set(), [name]
    while waiting:
        if (value := waiting.pop()) not in found:
            found.add(value)
            waiting += maker[value].input if value in maker else []
    return found
