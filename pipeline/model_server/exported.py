"""The model in the folder of an ONNX export, which answers without TensorFlow, MLflow and the project."""

import json
from pathlib import Path

from pipeline.conversion.onnx_session import OnnxRuntime
from pipeline.conversion.record import ONNX_FILE, features_name
from pipeline.errors import ConfigError
from pipeline.familiarity.reference import FAMILIAR_FILE
from pipeline.serving.answering import Answering
from pipeline.serving.served_model import SPEC_FILE, load

RECORD = "export.json"


def open_export(folder: Path) -> Answering:
    """The model that `pipeline export onnx` has written into a folder. Raises ConfigError if it is not there, or not as written."""
    for name in (RECORD, SPEC_FILE, ONNX_FILE):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder} has no {name}: it is no folder of `pipeline export onnx`.")
    try:
        name, _, version = str(json.loads((folder / RECORD).read_text(encoding="utf-8"))["version"]).rpartition("/")
        features = features_name(folder, RECORD) if (folder / FAMILIAR_FILE).is_file() else ""
        served = load(folder, OnnxRuntime(folder / ONNX_FILE, features))
    except Exception as error:  # ONNX Runtime and files that somebody has edited raise nearly any exception
        raise ConfigError(f"{folder} is not as `pipeline export onnx` has written it: {(str(error).splitlines() or [''])[0]}.") from error
    return Answering(served, name, version, f"{name} version {version}" if name else f"the model ({version})")
