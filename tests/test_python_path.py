"""Another package on PYTHONPATH is named before it is imported; another `pipeline` is never taken for ours."""

import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

import pytest

from image_classifier_pipeline import code_of
from pipeline.python_path import foreign_module, missing_package
from tests.dummy_project import BIN, ROOT, environment, run_pipeline


def test_other_modules_on_pythonpath_and_in_the_folder_do_not_get_in_the_way(project: Path) -> None:
    for file in ("notes/pipeline.py", "notes/logging_of_mine.py", "package/pipeline/__init__.py"):
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text("raise SystemExit('the wrong one')", encoding="utf-8")

    for path in ({"PYTHONPATH": f"{project}/notes:{project}/package"}, {"PYTHONPATH": f"{project}/package"}, {}):
        code, output = run_pipeline(project / "notes", "--version", **path)

        assert (code, output) == (0, "pipeline 0.1.0\n"), path


@pytest.mark.parametrize(
    ("command", "package"), [(["pipeline", "check"], "pydantic"), (["python", "-m", "pipeline", "stage", "train"], "numpy")]
)
def test_another_package_on_pythonpath_is_named_in_one_line(project: Path, tmp_path: Path, command: list[str], package: str) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise ImportError('broken')", encoding="utf-8")
    env = environment(project, PYTHONPATH=str(tmp_path))

    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=project, env=env, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (
        2,
        f"error: PYTHONPATH has another {package}, which would be used instead of the installed one: {tmp_path}/{package}/__init__.py. "
        "Run `unset PYTHONPATH`, or remove that folder from it.\n",
    )


@pytest.mark.parametrize(("file", "found"), [("dvc/__init__.py", "dvc"), ("ruamel/yaml.py", "ruamel.yaml"), ("mine.py", "")])
def test_a_package_counts_as_another_where_the_pipeline_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, found: str
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")

    assert foreign_module().partition(", which")[0] == (f"PYTHONPATH has another {found}" if found else "")


def test_a_python_without_the_packages_is_told_what_to_run() -> None:
    done = subprocess.run([sys.executable, "-S", "-m", "pipeline", "check"], cwd=ROOT, env={}, capture_output=True, text=True)

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

    assert missing_package().startswith(f"TensorFlow is broken for {sys.executable}: ")


def test_the_command_runs_the_code_of_the_project_that_one_is_in(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in ("dvc.yaml", "params.yaml", "pipeline/__main__.py", "docs/page.md"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()

    assert code_of(copy / "docs") == copy
    assert code_of(tmp_path) == ROOT
