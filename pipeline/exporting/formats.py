"""The formats of an export: how each is made, computed here, and run where it goes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.conversion.faults import ExportError

EXAMPLE = Path(__file__).with_name("example.txt")


@dataclass(frozen=True)
class Format:
    """file: the model's file or folder in the export. needs: the package that runs it. imports, opens: lines of the example."""

    file: str
    needs: str
    imports: str
    opens: str

    def example(self) -> str:
        """A program that labels images with this runtime alone."""
        text = EXAMPLE.read_text(encoding="utf-8")
        return text.replace("@NEEDS@", self.needs).replace("@IMPORT@", self.imports).replace("@OPEN@", self.opens)


FORMATS = {
    "onnx": Format(
        "model.onnx",
        "onnxruntime",
        "import onnxruntime",
        'session = onnxruntime.InferenceSession(here / "model.onnx", providers=["CPUExecutionProvider"])\n\n\n'
        'def answer(images):\n    return session.run(None, {"images": images})[0]\n\n',
    ),
    "litert": Format(
        "model.tflite",
        "ai-edge-litert",
        "from ai_edge_litert.interpreter import Interpreter",
        'interpreter = Interpreter(str(here / "model.tflite"))\ninterpreter.allocate_tensors()\n'
        "(given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()\n\n\n"
        'def answer(images):\n    interpreter.set_tensor(given["index"], images)\n    interpreter.invoke()\n'
        '    return interpreter.get_tensor(result["index"])\n\n',
    ),
    "savedmodel": Format(
        "saved_model",
        "tensorflow",
        "import tensorflow as tf",
        'model = tf.saved_model.load(str(here / "saved_model"))\n\n\ndef answer(images):\n    return model.serve(images).numpy()\n\n',
    ),
}
WITH_INT8 = ("onnx", "litert")
Answer = Callable[[np.ndarray], np.ndarray]


def write_model(name: str, keras_file: Path, target: Path, calibration: np.ndarray | None, *, seven_bits: bool) -> Answer:
    """Write a model in a format as `target`; returns what computes it here: images uint8 (N, H, W, C) to probabilities float32 (N, K).

    calibration: training images, uint8 (N, H, W, C), for 8-bit whole numbers; None for float32. seven_bits: of ONNX's weights. Raises ExportError if
    the model cannot be converted, or a package is missing.
    """
    from pipeline.conversion.tensorflow_formats import (  # TensorFlow takes seconds to import, and a wrong option should not
        litert_probabilities,
        load_in_float32,
        saved_model_probabilities,
        write_litert,
        write_saved_model,
    )

    model = load_in_float32(keras_file)
    if name == "onnx":
        return _write_onnx(model, target, calibration, seven_bits)
    try:
        if name == "litert":
            write_litert(model, target, calibration)
            return lambda images: litert_probabilities(target, images)
        write_saved_model(model, target)
        return lambda images: saved_model_probabilities(target, images)
    except Exception as error:  # TensorFlow's converters raise nearly any exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"TensorFlow cannot convert this model to {name}: {reason}") from error


def _write_onnx(model: object, target: Path, calibration: np.ndarray | None, seven_bits: bool) -> Answer:
    try:
        from pipeline.conversion.int8 import to_int8
        from pipeline.conversion.keras_to_onnx import to_onnx
        from pipeline.conversion.onnx_session import OnnxRuntime
    except ImportError as error:
        raise ExportError(f"Exporting to ONNX needs the packages onnx and onnxruntime: {error}. `make install` installs them.") from None
    content = to_onnx(model)
    target.write_bytes(content if calibration is None else to_int8(content, calibration, seven_bits=seven_bits))
    return OnnxRuntime(target).probabilities
