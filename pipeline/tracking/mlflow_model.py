"""The servable model: logged with a run, and later loaded with its own code and files in a separate process."""

import base64
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import mlflow
import numpy as np
import pyarrow as pa
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType, Array, Map

from pipeline.conversion.faults import ExportError
from pipeline.conversion.verified import add_verified_onnx
from pipeline.errors import ModelError, TrackingError
from pipeline.files import read_json, write_json
from pipeline.network import masked
from pipeline.packages import version_of
from pipeline.python_path import CODE
from pipeline.terminal import greetings_kept_back
from pipeline.tracking import champion_process
from pipeline.tracking.mlflow_client import GuardedClient, failure_of_model, guarded
from pipeline.travelling_code import entry_of, pack_code

DATA = "data"
"""The folder of a logged model that has the files it is made of; its code is in another one."""
RUNTIME = "PIPELINE_RUNTIME"
"""As in serving/runtime.py. The gate compares models computed by TensorFlow, as `evaluate` computes them."""
SERVING_PACKAGES = ("mlflow", "keras", "tensorflow", "numpy", "pandas", "pillow")
"""`tensorflow`, as not every machine that may serve has a `tensorflow-cpu`."""


def log_served_model(
    client: GuardedClient, experiment_id: str, run_id: str, files: Sequence[Path], lost: str | None = None, *, to_serve: bool = True
) -> tuple[str, str]:
    """Log the model made of `files` in the project's experiment. It takes encoded images of any size.

    Returns its MLflow id, and the sha256 of the verified ONNX file that was logged with it, empty if there is none; only a model `to_serve` gets one.

    lost: the id of a model logged earlier whose files are missing; they are restored. Raises TrackingError if the store has not kept all files.
    """
    params = {key: str(value) for key, value in client.get_run(run_id).data.params.items()}
    model_id = lost or client.create_logged_model(experiment_id, name="model", source_run_id=run_id, params=params).model_id
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder) / "model"
        beside.mkdir()
        for file in files:
            (beside / file.name).write_bytes(file.read_bytes())
            if file.name == "spec.json":
                _keep_training_images(file.parent.parent / "ingest" / "report.json", beside)
        onnx_sha256 = _add_onnx(beside, files) if to_serve else ""
        packages = (*SERVING_PACKAGES, *(("onnxruntime",) if onnx_sha256 else ()))
        package = pack_code(CODE / "pipeline", Path(folder))
        with warnings.catch_warnings(), guarded(client.uri, "log the model"):
            warnings.filterwarnings("ignore", message=".*An input example was not provided")
            Model.log(
                None,
                model_id=model_id,
                flavor=mlflow.pyfunc,
                run_id=None if lost else run_id,  # the run already has it as an output
                loader_module=entry_of(package),
                data_path=str(beside),
                # The code that decodes and resizes is stored with the model
                code_paths=[str(Path(folder) / package)],
                signature=_signature(),
                pip_requirements=[f"{name}=={version_of(name)}" for name in packages],  # inferring them takes MLflow five seconds
            )
        packed = Path(folder)
        expected = {f"code/{file.relative_to(packed).as_posix()}": file.stat().st_size for file in (packed / package).rglob("*.py")}
        expected |= {f"{DATA}/model/{file.name}": file.stat().st_size for file in beside.iterdir()}
        _check_kept(client, str(model_id), expected)
    return str(model_id), onnx_sha256


def _add_onnx(folder: Path, files: Sequence[Path]) -> str:
    """Add a verified ONNX file to the model's files; returns its sha256. Empty, with a note, if there is none: then TensorFlow computes the model."""
    images = next((file.parent / "train" / "images.npy" for file in files if file.name == "spec.json"), None)
    if images is None or not images.is_file():
        return ""
    try:
        with greetings_kept_back():
            return add_verified_onnx(folder, np.load(images, mmap_mode="r"))
    except (ExportError, ImportError) as error:
        print(f"note: the model is logged without an ONNX file, so TensorFlow computes it where it is served: {error}", file=sys.stderr)
        return ""


def _keep_training_images(report: Path, folder: Path) -> None:
    """Keep sizes and colours of the images beside the model, so that it can tell which image is unlike them; nothing if the report is gone."""
    if report.exists():
        said = read_json(report)
        write_json(folder / "training_images.json", {name: said[name] for name in ("sizes_px", "modes") if name in said})


def _check_kept(client: GuardedClient, model_id: str, expected: Mapping[str, int]) -> None:
    """Raise TrackingError if files of a logged model are missing or have another size: a proxy may answer an upload with a page of its own."""
    kept: dict[str, int] = {}
    folders: list[str | None] = [None]
    while folders:
        for item in client.list_logged_model_artifacts(model_id, folders.pop()):
            if item.is_dir:
                folders.append(item.path)
            else:
                kept[str(item.path)] = int(item.file_size or 0)
    lost = sorted(name for name, size in expected.items() if kept.get(name) != size)
    if lost or "MLmodel" not in kept:
        raise TrackingError(
            f"MLflow at {masked(client.uri)} accepted the files of the model, but has not kept {', '.join(lost[:3] or ['MLmodel'])}"
            f"{f' and {len(lost) - 3:,} more' if len(lost) > 3 else ''}. Check its artifact store, and any proxy before it, and run again."
        )


def _signature() -> ModelSignature:
    return ModelSignature(
        # Not binary: MLflow would decode base64 itself, some inputs of it and not others, and drop letters that it does not know
        inputs=Schema([ColSpec(AnyType(), "image")]),  # type: ignore[no-untyped-call]
        outputs=Schema(
            [
                ColSpec(DataType.string, "label"),
                ColSpec(DataType.double, "probability"),
                ColSpec(DataType.string, "decision"),
                ColSpec(Array(DataType.string), "one_of"),
                ColSpec(Map(DataType.double), "probabilities"),
                ColSpec(DataType.string, "note"),
            ]
        ),
    )


def predict_apart(uri: str, model_uri: str, batches: Iterable[Sequence[bytes]]) -> Iterator[list[str]]:
    """The labels that a logged model predicts for batches of encoded images, with its own code and files.

    The process does not import this project, whose code would otherwise prepare the images. Raises ModelError if the model cannot be loaded or
    fails, another TrackingError if the store fails.
    """
    with _asked(uri, model_uri) as (process, errors):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with pa.ipc.new_stream(process.stdin, champion_process.SCHEMA) as stream:
                for batch in batches:
                    stream.write_batch(pa.record_batch([pa.array(list(batch), pa.binary())], schema=champion_process.SCHEMA))
                    process.stdin.flush()
                    answer = process.stdout.readline()
                    if not answer:
                        raise BrokenPipeError
                    yield json.loads(answer)
        except (OSError, ValueError, pa.ArrowInvalid):
            process.wait(timeout=60)
            raise failure_of_model(_last_words(errors) or f"its process ended with code {process.returncode}", uri) from None


def answer_apart(uri: str, model_uri: str, images: Sequence[bytes], runtime: str = "") -> list[dict[str, float]]:
    """The probabilities by class name for encoded images, by the code with which MLflow serves a model, in a process of its own.

    runtime: "tensorflow" or "onnxruntime"; the one with which it is served if not given. As in `predict_apart`, that process does not import this
    project. Raises ModelError if the model cannot be loaded or fails, another TrackingError if the store fails.
    """
    rows = [[base64.b64encode(image).decode()] for image in images]
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "asked.json", Path(folder) / "answered.json"
        asked.write_text(json.dumps({"dataframe_split": {"columns": ["image"], "data": rows}}), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-P", "-m", "mlflow", "models", "predict", "--model-uri", model_uri, "--env-manager", "local",
             "--content-type", "json", "--input-path", str(asked), "--output-path", str(answered)],
            cwd=folder, env=_environment(uri, runtime), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        )  # fmt: skip
        if done.returncode or not answered.is_file():
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise failure_of_model(lines[-1] if lines else f"its process ended with code {done.returncode}", uri)
        try:
            said = json.loads(answered.read_text(encoding="utf-8"))["predictions"]
            return [{str(name): float(value) for name, value in row["probabilities"].items()} for row in said]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"its answer is not what this project's models give: {error}") from None


def _environment(uri: str, runtime: str) -> dict[str, str]:
    """Of a process that loads a model and does not find this project."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "TF_CPP_MIN_LOG_LEVEL": "3"} | ({RUNTIME: runtime} if runtime else {})
    environment.pop("PYTHONPATH", None)
    return environment


@contextmanager
def _asked(uri: str, model_uri: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """The process that loads the model, and the file with its standard error; it ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        errors = Path(folder) / "errors"
        with errors.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", champion_process.__file__, model_uri],
                cwd=folder, env=_environment(uri, "tensorflow"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output,
            )  # fmt: skip
        try:
            yield process, errors
        finally:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with _broken_pipe_ignored():
                        stream.close()
            process.kill()
            process.wait()


@contextmanager
def _broken_pipe_ignored() -> Iterator[None]:
    try:
        yield
    except OSError:
        return


def _last_words(errors: Path) -> str:
    """The last line of the process's standard error."""
    lines = [line.strip() for line in errors.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
