"""`pipeline export`: a model in another format, with its card and an example, measured against the model itself, and logged with its version."""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.certainty.calibration import CALIBRATION_FILE
from pipeline.conversion.faults import ExportError
from pipeline.conversion.record import MODEL_FILE
from pipeline.errors import ConfigError
from pipeline.exporting.agreement import Agreement, agreement, check_agreement
from pipeline.exporting.card import Exported, model_card
from pipeline.exporting.folder import RECORD, filled_beside, is_made
from pipeline.exporting.formats import FORMATS, WITH_INT8, Answer, write_model
from pipeline.exporting.images import Images, read_images
from pipeline.exporting.processor import cpu_flags, needs_seven_bits
from pipeline.familiarity.reference import FAMILIAR_FILE
from pipeline.files import read_json, sha256_file, write_bytes, write_json
from pipeline.packages import version_of
from pipeline.paths import Paths
from pipeline.progress import Progress
from pipeline.serving.located import Located, locate
from pipeline.serving.served_model import SPEC_FILE, TRAINING_FILE
from pipeline.terminal import greetings_kept_back

AT_A_TIME = 256
PACKAGES = {"onnx": ("onnx", "onnxruntime"), "litert": ("tensorflow", "keras"), "savedmodel": ("tensorflow", "keras")}


def run_export(options: argparse.Namespace, paths: Paths) -> int:
    """Write the folder and log it. Raises ExportError, and leaves nothing, if the export does not answer as the model does."""
    if options.int8 and options.format not in WITH_INT8:
        raise ConfigError(f"--int8 is for {' and '.join(WITH_INT8)}, not for {options.format}.")
    with tempfile.TemporaryDirectory() as temporary, greetings_kept_back():
        located = locate(options.model, paths, Path(temporary))
        files = located.files
        target = Path(options.to or _usual_name(located, options))
        asked = {"format": options.format, "int8": options.int8, "model_sha256": sha256_file(files / MODEL_FILE)}
        if is_made(target, asked):
            print(f"note: {target} is this export, made before", file=sys.stderr)
        else:
            images = read_images(paths, files / SPEC_FILE, located.shown)
            found = _make(target, files, located, images, options, asked, paths)
            print(f"{options.format}{' int8' if options.int8 else ''}: {found.in_words()}".replace("; ", "\n"))
    said = _log(target, located, options, paths)
    print(f"{target}: model, class names, card, example. {said}")
    return 0


def _usual_name(located: Located, options: argparse.Namespace) -> str:
    name = f"{located.name}-{located.version}" if located.name else located.version.replace(" ", "-")
    return f"exports/{name}-{_kind(options)}"


def _kind(options: argparse.Namespace) -> str:
    return f"{options.format}-int8" if options.int8 else str(options.format)


def _make(
    target: Path, files: Path, located: Located, images: Images, options: argparse.Namespace, asked: Mapping[str, Any], paths: Paths
) -> Agreement:
    """Fill the folder, unless the export is not what the model is."""
    how, flags = FORMATS[options.format], cpu_flags()
    seven_bits = bool(options.int8 and options.format == "onnx" and needs_seven_bits(flags))
    with filled_beside(target) as beside:
        calibration = images.training if options.int8 else None
        answer = write_model(options.format, files / MODEL_FILE, beside / how.file, calibration, seven_bits=seven_bits)
        found = _compared(_by_keras(files / MODEL_FILE), answer, images)
        check_agreement(found, options.margin)
        features = "" if options.int8 else _features(beside / how.file)  # those in whole numbers are farther from the training images
        made = {
            **asked,
            "version": f"{located.name}/{located.version}" if located.name else located.version,
            "identity": _identity(beside / how.file),
            "features": features,
            "margin": options.margin,
            "agreement": asdict(found),
            "calibration_images": len(images.training) if options.int8 else 0,
            "weight_bits": 7 if seven_bits else 8 if options.int8 else 32,
            "cpu_flags": flags,
            "packages": {name: version_of(name) for name in PACKAGES[options.format]},
        }
        spec = read_json(files / SPEC_FILE)
        exported = Exported(located.shown, located.version, _tags(located, paths), spec, made)
        write_json(beside / RECORD, made)
        known = (CALIBRATION_FILE, TRAINING_FILE, *([FAMILIAR_FILE] if features else []))
        for name in (SPEC_FILE, *(name for name in known if (files / name).is_file())):
            write_bytes(beside / name, (files / name).read_bytes())
        write_bytes(beside / "predict.py", how.example().encode())
        write_bytes(beside / "README.md", model_card(exported, how, found).encode())
    return found


def _compared(model: Answer, export: Answer, images: Images) -> Agreement:
    """What both say of all test images, with progress."""
    starts = range(0, len(images.test), AT_A_TIME)
    with Progress("compare with the model", 2 * len(images.test), "images") as progress:

        def all_of(answer: Answer) -> np.ndarray:
            parts = []
            for start in starts:
                parts.append(answer(np.asarray(images.test[start : start + AT_A_TIME])))
                progress.advance(len(parts[-1]))
            return np.concatenate(parts)

        return agreement(images.labels, all_of(model), all_of(export))


def _by_keras(file: Path) -> Answer:
    from pipeline.conversion.keras_to_onnx import on_cpu
    from pipeline.models.predict import load_model, predict

    with on_cpu():
        model = load_model(file)

    def answer(images: np.ndarray) -> np.ndarray:
        with on_cpu():
            return predict(model, images)

    return answer


def _identity(model: Path) -> str:
    """Of an ONNX file by its numbers; else a digest of all bytes, with the names of files in a folder."""
    if model.suffix == ".onnx":
        from pipeline.conversion.identity import identity_of

        return identity_of(model.read_bytes())
    digest = hashlib.sha256()
    for file in sorted(model.rglob("*")) if model.is_dir() else [model]:
        if file.is_file():
            digest.update(f"{file.relative_to(model.parent)} {sha256_file(file)}\n".encode())
    return digest.hexdigest()


def _features(model: Path) -> str:
    """How the features of an image are called in an ONNX file; empty in other formats."""
    if model.suffix != ".onnx":
        return ""
    from pipeline.conversion.onnx_features import features_in

    return features_in(model.read_bytes())


def _tags(located: Located, paths: Paths) -> Mapping[str, str]:
    """Of a registered version; none of another model."""
    if not located.name:
        return {}
    from pipeline.tracking.mlflow_log import MlflowLog

    version = MlflowLog.connect(paths).version(located.name, located.version)
    return version.tags if version else {}


def _log(target: Path, located: Located, options: argparse.Namespace, paths: Paths) -> str:
    """Log an export with its version; what was done, in a sentence."""
    if not located.name:
        return "Not logged: the model is no registered version."
    from pipeline.tracking.mlflow_log import MlflowLog

    tracker = MlflowLog.connect(paths)
    version = tracker.version(located.name, located.version)
    if version is None or not version.run_id:
        raise ExportError(f"{target} is complete, but {located.shown} has no run to log it with.")
    digest = sha256_file(target / RECORD)[:12]
    place = tracker.log_export(version, target, f"exports/{_kind(options)}-{digest}")
    tracker.tag_version(version, {f"export.{_kind(options)}": place})
    return f"Logged with {located.shown}: {place}"
