"""A command can print on any terminal, into a pipe that nobody reads, and with its streams closed."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.dummy_project import BIN, create_project, environment, run_pipeline

PIPELINE = str(BIN / "pipeline")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("terminal") / "project")


def skip_where_python_finds_no_packages(variables: Mapping[str, str]) -> None:
    """Without UTF-8 Python reads no .pth file that names a folder beyond ASCII, and so finds nothing of an environment there."""
    if variables.get("PYTHONUTF8") == "0" and not str(BIN).isascii():
        pytest.skip(f"Python itself, told to do without UTF-8, does not find the packages in {BIN.parent}")


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "de_DE.ISO-8859-1", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=lambda variables: " ".join(f"{name}={value}" for name, value in variables.items()),
)
def test_a_terminal_without_these_letters_gets_plain_ones(project: Path, variables: dict[str, str]) -> None:
    skip_where_python_finds_no_packages(variables)
    code, output = run_pipeline(project, "check", **variables)

    assert code == 0
    assert output.startswith("ok project ")


def test_names_of_files_are_utf8_whatever_the_terminal_shows(project: Path) -> None:
    skip_where_python_finds_no_packages({"PYTHONUTF8": "0"})
    params = project / "params.yaml"
    text = params.read_text(encoding="utf-8")
    (project / "Blüten").mkdir()
    params.write_text(text.replace("source: source", "source: Blüten"), encoding="utf-8")

    code, output = run_pipeline(project, "check", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")

    params.write_text(text, encoding="utf-8")
    assert code == 0
    assert "valid, images in Bl\\xfcten" in output


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(project: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run([PIPELINE, "check"], cwd=project, env=environment(project), stdout=writing, stderr=subprocess.PIPE, text=True)

    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(project: Path, closed: str) -> None:
    done = subprocess.run(f"'{PIPELINE}' check {closed}", shell=True, cwd=project, env=environment(project), capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
