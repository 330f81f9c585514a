"""A project with one registered model of a small network, for tests that let it answer."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.conversion.record import ONNX_TAG
from pipeline.files import sha256_file, write_bytes, write_json
from pipeline.paths import Paths
from pipeline.tracking.mlflow_log import MlflowLog
from tests.test_fit import shapes

ROOT = Path(__file__).parent.parent
NAME = "shapes"
SPEC = {"height": 8, "width": 8, "channels": 1, "resize": "pad", "class_names": ["rows", "A/b"], "dataset_name": NAME}
REPORT = {"sizes_px": {"width": [8, 8, 12], "height": [8, 8, 10], "median_longer_side": 8}, "modes": {"L": 40}}


def project_with_champion(root: Path, model: bytes) -> Paths:
    """The project in an empty folder, with version 1 as champion."""
    for file in ("params.yaml", "dvc.yaml"):
        (root / file).write_bytes((ROOT / file).read_bytes())
    paths = Paths(root)
    write_json(paths.stage("preprocess") / "spec.json", SPEC)
    write_json(paths.stage("ingest") / "report.json", REPORT)
    (paths.stage("preprocess") / "train").mkdir()
    np.save(paths.stage("preprocess") / "train" / "images.npy", shapes()[0])
    register(paths, model, "champion")
    return paths


def register(paths: Paths, model: bytes, *aliases: str) -> str:
    """Register a model with aliases, and return its version."""
    write_bytes(paths.stage("train") / "model.keras", model)
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("MLFLOW_TRACKING_URI", raising=False)
        log = MlflowLog.connect(paths)
        run = log.start_run("run", {"kind": "pipeline"})
        files = [paths.stage("train") / "model.keras", paths.stage("preprocess") / "spec.json"]
        log.log_model(run, files)
        tags = {"model_sha256": sha256_file(files[0]), "spec_sha256": sha256_file(files[1]), ONNX_TAG: run.tags[ONNX_TAG]}
        version = log.register(NAME, run, tags)
        for alias in aliases:
            log.set_alias(NAME, alias, version.version)
        run.finish()
    return version.version
