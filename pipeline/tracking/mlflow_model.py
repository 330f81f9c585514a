"""The servable model: logged with a run, and later loaded with its own code and files in a separate process."""

import base64
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pyarrow as pa
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array, Map

from pipeline.errors import TrackingError
from pipeline.files import read_json, write_json
from pipeline.packages import version_of
from pipeline.python_path import CODE
from pipeline.tracking import champion_process
from pipeline.tracking.mlflow_client import GuardedClient, guarded
from pipeline.travelling_code import entry_of, pack_code

SERVING_PACKAGES = ("mlflow", "keras", "tensorflow", "numpy", "pandas", "pillow")


def log_served_model(client: GuardedClient, experiment_id: str, run_id: str, files: Sequence[Path], lost: str | None = None) -> str:
    """Log the model made of `files` in the project's experiment and return its MLflow id. It takes encoded images of any size.

    lost: the id of a model logged earlier whose files are missing; they are restored.
    """
    params = {key: str(value) for key, value in client.get_run(run_id).data.params.items()}
    model_id = lost or client.create_logged_model(experiment_id, name="model", source_run_id=run_id, params=params).model_id
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), guarded(client.uri, "log the model"):
        warnings.filterwarnings("ignore", message=".*An input example was not provided")
        beside = Path(folder) / "model"
        beside.mkdir()
        for file in files:
            (beside / file.name).write_bytes(file.read_bytes())
            if file.name == "spec.json":
                _keep_training_images(file.parent.parent / "ingest" / "report.json", beside)
        package = pack_code(CODE / "pipeline", Path(folder))
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
            # Given, because inferring them takes MLflow five seconds. `tensorflow`, since not every machine that may serve has a `tensorflow-cpu`
            pip_requirements=[f"{name}=={version_of(name)}" for name in SERVING_PACKAGES],
        )
    return str(model_id)


def _keep_training_images(report: Path, folder: Path) -> None:
    """Keep sizes and colours of the images beside the model, so that it can tell which image is unlike them; nothing if the report is gone."""
    if report.exists():
        said = read_json(report)
        write_json(folder / "training_images.json", {name: said[name] for name in ("sizes_px", "modes") if name in said})


def _signature() -> ModelSignature:
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
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

    The process does not import this project, whose code would otherwise prepare the images. Raises TrackingError if the model cannot be loaded or
    fails.
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
            raise TrackingError(_last_words(errors) or f"its process ended with code {process.returncode}") from None


def answer_apart(uri: str, model_uri: str, images: Sequence[bytes]) -> list[dict[str, float]]:
    """The probabilities by class name for encoded images, by the code with which MLflow serves a model, in a process of its own.

    As in `predict_apart`, that process does not import this project. Raises TrackingError if the model cannot be loaded or fails.
    """
    rows = [[base64.b64encode(image).decode()] for image in images]
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "asked.json", Path(folder) / "answered.json"
        asked.write_text(json.dumps({"dataframe_split": {"columns": ["image"], "data": rows}}), encoding="utf-8")
        environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "mlflow", "models", "predict", "--model-uri", model_uri, "--env-manager", "local",
             "--content-type", "json", "--input-path", str(asked), "--output-path", str(answered)],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        )  # fmt: skip
        if done.returncode or not answered.is_file():
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise TrackingError(lines[-1] if lines else f"its process ended with code {done.returncode}")
        try:
            said = json.loads(answered.read_text(encoding="utf-8"))["predictions"]
            return [{str(name): float(value) for name, value in row["probabilities"].items()} for row in said]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrackingError(f"its answer is not what this project's models give: {error}") from None


@contextmanager
def _asked(uri: str, model_uri: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """The process that loads the model, and the file with its standard error; it ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        errors = Path(folder) / "errors"
        environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment.pop("PYTHONPATH", None)
        with errors.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", champion_process.__file__, model_uri],
                cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output,
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
