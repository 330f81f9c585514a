"""The model in the folder of an ONNX export, which answers without TensorFlow, MLflow and the project."""

import json
from pathlib import Path
from typing import Any

from pipeline.certainty.calibration import CALIBRATION_FILE, Calibration
from pipeline.conversion.onnx_session import OnnxRuntime
from pipeline.errors import ConfigError
from pipeline.images.decoding import ImageSpec
from pipeline.serving.answering import Answering
from pipeline.serving.notes import TrainingImages
from pipeline.serving.preparing import Preparation
from pipeline.serving.served_model import SPEC_FILE, TRAINING_FILE, ServedModel

RECORD, MODEL = "export.json", "model.onnx"


def open_export(folder: Path) -> Answering:
    """The model that `pipeline export onnx` has written into a folder. Raises ConfigError if it is not there."""
    for name in (RECORD, SPEC_FILE, MODEL):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder} has no {name}: it is no folder of `pipeline export onnx`.")
    record, spec = (_read(folder / name) for name in (RECORD, SPEC_FILE))
    calibration, training = (_read(folder / name) if (folder / name).is_file() else None for name in (CALIBRATION_FILE, TRAINING_FILE))
    names = spec["class_names"]
    served = ServedModel(
        OnnxRuntime(folder / MODEL),
        Preparation(ImageSpec.read(spec), TrainingImages.read(training or {})),
        Calibration.read(calibration, names) if calibration else Calibration(names),
    )
    name, _, version = str(record["version"]).rpartition("/")
    return Answering(served, name, version, f"{name} version {version}" if name else f"the model ({version})")


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file} is not JSON: {error}.") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{file} is not what `pipeline export onnx` writes.")
    return content
