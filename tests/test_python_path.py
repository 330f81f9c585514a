"""Another package on PYTHONPATH is named before it is imported; another `pipeline` is never taken for ours."""

import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

import pytest

from image_classifier_pipeline import code_of
from pipeline.python_path import missing_package
from tests.dummy_project import create_project, environment, run_pipeline


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("python path") / "project")


@pytest.mark.parametrize("file", ["pipeline.py", "pipeline/__init__.py", "logging_of_mine.py"])
def test_other_modules_on_pythonpath_do_not_get_in_the_way(project: Path, tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("raise SystemExit('the wrong one')", encoding="utf-8")

    code, output = run_pipeline(project, "check", PYTHONPATH=str(tmp_path))

    assert code == 0, output


def test_a_module_called_pipeline_in_the_folder_does_not_get_in_the_way(project: Path) -> None:
    folder = project / "notes"
    folder.mkdir()
    (folder / "pipeline.py").write_text("raise SystemExit('the wrong one')", encoding="utf-8")

    code, output = run_pipeline(folder, "check")

    assert code == 0, output


@pytest.mark.parametrize("command", [["pipeline", "check"], ["python", "-m", "pipeline", "stage", "train"]])
@pytest.mark.parametrize("package", ["numpy", "pydantic", "dvc"])
def test_another_package_on_pythonpath_is_named_in_one_line(project: Path, tmp_path: Path, command: list[str], package: str) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise ImportError('broken')", encoding="utf-8")
    program = [str(Path(sys.executable).with_name(command[0])), *command[1:]]

    done = subprocess.run(program, cwd=project, env=environment(project, PYTHONPATH=str(tmp_path)), capture_output=True, text=True)

    assert done.returncode == 2
    assert done.stderr == (
        f"error: PYTHONPATH has another {package}, which takes the place of the installed one: {tmp_path}/{package}/__init__.py. "
        "Run `unset PYTHONPATH`, or take it out.\n"
    )


def test_a_python_without_the_packages_is_told_what_to_run(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent

    done = subprocess.run([sys.executable, "-S", "-m", "pipeline", "check"], cwd=root, env={}, capture_output=True, text=True)

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: pydantic is not installed for {sys.executable}. Run `make install`")


def test_a_python_with_all_but_tensorflow_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_package() == ""

    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as Python has what cannot be imported

    assert missing_package() == (
        f"TensorFlow is not installed for {sys.executable}. Run `make install`, then `.venv/bin/pipeline`; or `pip install '.[cpu]'` with this "
        "Python, '.[gpu]' for an NVIDIA GPU."
    )


def test_a_tensorflow_that_another_one_has_left_in_pieces_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorflow" / "python").mkdir(parents=True)
    rest = ModuleType("tensorflow")
    rest.__spec__ = PathFinder.find_spec("tensorflow", [str(tmp_path)])
    monkeypatch.setitem(sys.modules, "tensorflow", rest)

    assert missing_package().startswith(f"TensorFlow is in pieces for {sys.executable}: ")


def test_the_command_runs_the_code_of_the_project_that_one_is_in(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in ("dvc.yaml", "params.yaml", "pipeline/__main__.py", "docs/page.md"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()

    assert code_of(copy / "docs") == copy
    assert code_of(tmp_path) == Path(__file__).parent.parent
