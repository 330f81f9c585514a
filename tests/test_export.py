"""`pipeline export`: each format answers as the model does, runs without this project, and is there as a whole or not at all."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.certainty.calibration import Calibration
from pipeline.certainty.scores import SCORES
from pipeline.conversion.faults import ExportError
from pipeline.conversion.record import ONNX_TAG
from pipeline.errors import ConfigError
from pipeline.exporting.agreement import Agreement, agreement, check_agreement
from pipeline.exporting.commands import run_export
from pipeline.exporting.folder import MARK
from pipeline.exporting.processor import cpu_flags, needs_seven_bits
from pipeline.files import read_json, sha256_file, write_bytes, write_json
from pipeline.images.decoding import encode_png
from pipeline.models.network import to_bytes
from pipeline.names import in_markdown
from pipeline.paths import Paths
from pipeline.serving import load
from pipeline.tracking.mlflow_log import MlflowLog
from tests.test_fit import configure, fit, shapes

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

NAME = "shapes"
SPEC = {"height": 8, "width": 8, "channels": 1, "resize": "pad", "class_names": ["rows", "A/b"], "dataset_name": NAME}
WITHOUT = """
import runpy, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "pipeline", "mlflow"):
            raise ImportError(f"{name} is not to be used")

sys.meta_path.insert(0, Blocked())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Paths, MlflowLog]]:
    """A project with the champion 1, and its images."""
    paths = Paths(tmp_path_factory.mktemp("export") / "project")
    images, labels = shapes(400)
    write_bytes(paths.stage("train") / "model.keras", to_bytes(fit(configure(), *shapes()).keep()))
    write_json(paths.stage("preprocess") / "spec.json", SPEC)
    for part in ("train", "test"):
        (paths.stage("preprocess") / part).mkdir()
        np.save(paths.stage("preprocess") / part / "images.npy", images)
        np.save(paths.stage("preprocess") / part / "labels.npy", labels)
    for name in ("params.yaml", "dvc.yaml"):
        write_bytes(paths.root / name, (Path(__file__).parent.parent / name).read_bytes())
    files = [paths.stage("train") / "model.keras", paths.stage("preprocess") / "spec.json"]
    write_json(
        paths.stage("register") / "decision.json",
        {"model_name": NAME, "model_sha256": "", "promoted": True, "champion": None, "reason": ""},
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("MLFLOW_TRACKING_URI", raising=False)
        log = MlflowLog.connect(paths)
        run = log.start_run("run", {"kind": "pipeline"})
        log.log_model(run, files)
        tags = {"model_sha256": sha256_file(files[0]), "spec_sha256": sha256_file(files[1]), ONNX_TAG: run.tags[ONNX_TAG]}
        decision = {"promoted": True, "champion": None, "reason": "accuracy 0.9 is more than guessing"}
        log.register(NAME, run, tags | {"decision": json.dumps(decision), "source": "my_images"})
        log.set_alias(NAME, "champion", "1")
        run.finish()
        yield paths, log


Project = tuple[Paths, MlflowLog]


def export(project: Project, to: Path, kind: str = "onnx", *, int8: bool = False, margin: float = 0.02, model: str = "champion") -> Path:
    assert run_export(Namespace(format=kind, int8=int8, to=str(to), margin=margin, model=model), project[0]) == 0
    return to


def artifacts(project: Project) -> set[str]:
    version = project[1].version(NAME, "1")
    assert version is not None
    run = project[0].mlruns / "artifacts" / version.run_id / "artifacts"
    return {file.relative_to(run).as_posix() for file in run.rglob("*") if file.is_file()}


def pictures(folder: Path) -> list[Path]:
    """Of the model's own size, and larger ones, in grey and in colour."""
    rng = np.random.default_rng(0)
    files = []
    for number, shape in enumerate([(8, 8), (8, 8), (24, 17), (9, 30, 3)]):
        files.append(folder / f"{number}.png")
        write_bytes(files[-1], encode_png(rng.integers(0, 256, shape, dtype=np.uint8)))
    return files


def assert_example_answers_as_the_model(project: Project, folder: Path, command: list[str], work: Path, tolerance: float) -> None:
    files = pictures(work)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    done = subprocess.run(
        [*command, str(folder / "predict.py"), *map(str, files)], cwd=work, env=environment, capture_output=True, text=True, check=True
    )

    answers = load("1", project=project[0].root).predict([str(file) for file in files])
    for line, answer in zip(done.stdout.splitlines(), answers, strict=True):
        label, probability = line.split("\t")[1:]
        assert label == answer.label
        assert abs(float(probability) - answer.probability) < tolerance


def test_the_onnx_example_needs_nothing_of_tensorflow_or_of_this_project(project: Project, tmp_path: Path) -> None:
    folder = export(project, tmp_path / "deploy")

    (tmp_path / "without.py").write_text(WITHOUT, encoding="utf-8")
    command = [sys.executable, "-P", str(tmp_path / "without.py")]
    assert_example_answers_as_the_model(project, folder, command, tmp_path / "work", 1e-3)
    (tmp_path / "cut.png").write_bytes(encode_png(np.zeros((8, 8), np.uint8))[:30])
    done = subprocess.run([*command, str(folder / "predict.py"), str(tmp_path / "cut.png")], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{tmp_path / 'cut.png'}\terror: ")


@pytest.mark.parametrize("score", SCORES)
def test_the_example_says_what_is_sure_as_the_model_does(project: Project, tmp_path: Path, score: str) -> None:
    folder, files = export(project, tmp_path / "deploy"), pictures(tmp_path)
    answers = load("1", project=project[0].root).predict([str(file) for file in files])
    probabilities = np.stack([answer.probabilities for answer in answers])
    least = float(np.sort(SCORES[score](probabilities))[1:3].mean())
    calibration = Calibration(read_json(folder / "spec.json")["class_names"], 1.3, score, max_error=0.1, sure_from=least)
    write_json(folder / "calibration.json", calibration.as_json())

    done = subprocess.run(
        [sys.executable, str(folder / "predict.py"), *map(str, files)], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    said = [line.split("\t")[3] for line in done.stdout.splitlines()]
    assert said == calibration.answers(probabilities).decisions
    assert sorted(said) == ["sure", "sure", "unsure", "unsure"]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "packages"), [("onnx", ["onnxruntime"]), ("litert", ["ai-edge-litert"])])
@pytest.mark.parametrize("int8", [False, True])
def test_the_example_runs_where_only_its_packages_are_installed(
    project: Project, tmp_path: Path, kind: str, packages: list[str], int8: bool
) -> None:
    folder = export(project, tmp_path / "deploy", kind, int8=int8)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", *packages, "numpy", "pillow"], check=True, capture_output=True)

    assert_example_answers_as_the_model(project, folder, [python], tmp_path / "work", 0.1 if int8 else 1e-3)


@pytest.mark.parametrize(("kind", "int8"), [("litert", False), ("savedmodel", False), ("onnx", True), ("litert", True)])
def test_each_format_answers_as_the_model_and_its_record_says_so(project: Project, tmp_path: Path, kind: str, int8: bool) -> None:
    folder = export(project, tmp_path / "deploy", kind, int8=int8)

    said = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    found = said["agreement"]
    assert found["images"] == 400
    assert found["low"] >= -0.02
    assert found["largest_difference"] < (0.2 if int8 else 1e-4)
    assert said["model_sha256"] == sha256_file(project[0].stage("train") / "model.keras")
    assert (said["calibration_images"], said["weight_bits"] in (7, 8)) == ((400, True) if int8 else (0, False))
    assert json.loads((folder / "spec.json").read_text(encoding="utf-8")) == SPEC


def test_the_card_says_what_the_model_is_and_the_export_is_logged_beside_what_was(project: Project, tmp_path: Path) -> None:
    before = artifacts(project)

    folder = export(project, tmp_path / "deploy")

    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"- the gate: {in_markdown('v1: accuracy 0.9 is more than guessing -> promoted')}" in card
    assert "source: `my_images`" in card
    assert "on 400 test images" in card
    place = f"exports/onnx-{sha256_file(folder / 'export.json')[:12]}"
    logged = {f"{place}/{name}" for name in ("README.md", "export.json", "model.onnx", "predict.py", "spec.json")}
    assert logged | before == artifacts(project)
    version = project[1].version(NAME, "1")
    assert version is not None
    assert version.tags["export.onnx"] == place


def test_an_export_made_before_is_logged_again_and_not_made_again(project: Project, tmp_path: Path) -> None:
    folder = export(project, tmp_path / "deploy")
    made = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    (folder / MARK).touch()  # killed just before it was removed

    export(project, folder)

    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == made
    with pytest.raises(ConfigError, match="it is there already, with something else in it"):
        export(project, folder, int8=True)


def killed(folder: Path) -> None:
    """What a killed export leaves."""
    beside = folder.with_name(f".{folder.name}.partial")
    write_bytes(beside / MARK, b"")
    write_bytes(beside / "model.onnx", b"half")


def killed_at_once(folder: Path) -> None:
    """What an export leaves that is killed before it has written anything."""
    folder.with_name(f".{folder.name}.partial").mkdir()


def of_somebody(folder: Path) -> None:
    write_bytes(folder.with_name(f".{folder.name}.partial") / "thesis.txt", b"precious")


def used(folder: Path) -> None:
    write_bytes(folder / "diary.txt", b"precious")


def a_file(folder: Path) -> None:
    write_bytes(folder, b"precious")


@pytest.mark.parametrize("left", [killed, killed_at_once])
def test_what_a_killed_export_has_left_is_replaced(project: Project, tmp_path: Path, left: Callable[[Path], None]) -> None:
    (tmp_path / "deploy").mkdir()
    left(tmp_path / "deploy")

    folder = export(project, tmp_path / "deploy")

    assert {file.name for file in folder.iterdir()} == {"README.md", "export.json", "model.onnx", "predict.py", "spec.json"}
    assert [file.name for file in tmp_path.iterdir()] == ["deploy"]


@pytest.mark.parametrize("fill", [of_somebody, used, a_file])
def test_a_folder_with_something_else_is_refused(project: Project, tmp_path: Path, fill: Callable[[Path], None]) -> None:
    fill(tmp_path / "deploy")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    with pytest.raises(ConfigError, match=r"--to .*deploy: "):
        export(project, tmp_path / "deploy")

    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_an_export_that_lost_its_weights_is_refused_and_nothing_is_left(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pipeline.exporting.commands.write_model", lambda *_, **__: lambda images: np.tile(np.array([1, 0], np.float32), (len(images), 1))
    )

    with pytest.raises(ExportError, match=r"refused, and nothing was written: accuracy 0.5000, the model .* on 400 test images.*--margin"):
        export(project, tmp_path / "deploy")

    assert list(tmp_path.iterdir()) == []


def test_images_of_another_data_set_are_no_measure(project: Project, tmp_path: Path) -> None:
    spec = project[0].stage("preprocess") / "spec.json"
    kept = spec.read_bytes()
    write_json(spec, SPEC | {"class_names": ["A/b", "rows"]})
    try:
        with pytest.raises(ConfigError, match="has other images or classes than shapes version 1 was trained on"):
            export(project, tmp_path / "deploy")
    finally:
        write_bytes(spec, kept)
    with pytest.raises(ConfigError, match="--int8 is for onnx and litert, not for savedmodel"):
        export(project, tmp_path / "deploy", "savedmodel", int8=True)


def probabilities(*first: float) -> np.ndarray:
    return np.array([[p, 1 - p] for p in first], np.float32)


def test_agreement_counts_pairs_and_uses_tangos_interval() -> None:
    """The example of Tango (1998): of 21 images, 1 only the export gets right and 7 only the model."""
    model, found = probabilities(0.4, *[0.6] * 7, *[0.8] * 13), probabilities(0.6, *[0.4] * 7, *[0.8] * 13)

    compared = agreement(np.zeros(21, int), model, found)

    assert (compared.images, compared.model_hits, compared.export_hits, compared.equal_labels) == (21, 20, 14, 13)
    assert compared.difference == pytest.approx(-6 / 21)
    assert (compared.low, compared.high) == pytest.approx((-0.5172, -0.0260), abs=1e-4)
    assert compared.largest_difference == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("found", "margin", "is_refused"),
    [
        (Agreement(100, 90, 90, 100, -0.04, 0.04, 1e-6), 0.01, False),  # the same numbers need no statistics
        (Agreement(100, 90, 90, 100, -0.04, 0.04, 0.01), 0.01, True),  # so few images cannot show it
        (Agreement(100, 90, 90, 100, -0.04, 0.04, 0.01), 0.05, False),
        (Agreement(10000, 9260, 9259, 9980, -0.001, 0.0007, 0.09), 0.01, False),
        (Agreement(10000, 9260, 9000, 9500, -0.03, -0.02, 0.9), 0.01, True),
    ],
)
def test_what_may_lose_more_than_the_margin_is_refused(found: Agreement, margin: float, is_refused: bool) -> None:
    if is_refused:
        with pytest.raises(ExportError, match="This export was refused"):
            check_agreement(found, margin)
    else:
        check_agreement(found, margin)


@pytest.mark.parametrize(
    ("said", "flags", "seven"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", ["avx512_vnni", "avx2", "avx512f"], False),
        ("flags\t\t: fpu avx2\n", ["avx2"], True),
        ("Features\t: fp asimd asimddp\n", ["asimddp", "asimd"], False),
        ("", [], True),
    ],
)
def test_a_processor_without_vnni_gets_weights_of_seven_bits(tmp_path: Path, said: str, flags: list[str], seven: bool) -> None:
    (tmp_path / "cpuinfo").write_text(said, encoding="utf-8")

    assert cpu_flags(tmp_path / "cpuinfo") == flags
    assert needs_seven_bits(flags) is seven
    assert cpu_flags(tmp_path / "gone") == []
