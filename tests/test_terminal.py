"""A command can print on any terminal, into a pipe that nobody reads, and with its streams closed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.dummy_project import BIN, copy_project, environment, run_pipeline

PIPELINE = str(BIN / "pipeline")
WITHOUT_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose images lie in a folder with a letter beyond ASCII."""
    root = copy_project(template, tmp_path_factory.mktemp("terminal") / "project")
    params = root / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("source: source", "source: Blüten"), encoding="utf-8")
    shutil.copytree(root / "source", root / "Blüten")
    return root


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({"LC_ALL": "de_DE.ISO-8859-1", "PYTHONIOENCODING": "ascii"}, "Bl\\xfcten"),
        (WITHOUT_UTF8, "Bl\\xfcten"),
        ({"PYTHONIOENCODING": "latin-1"}, "Bl\ufffdten"),  # as this test reads UTF-8
    ],
    ids=["ASCII", "no UTF-8 at all", "Latin 1"],
)
def test_a_terminal_without_these_letters_gets_plain_ones_and_files_keep_their_names(
    project: Path, variables: dict[str, str], shown: str
) -> None:
    if variables == WITHOUT_UTF8 and not str(BIN).isascii():  # Python reads no .pth file that names such a folder
        pytest.skip(f"Python itself, told to do without UTF-8, does not find the packages in {BIN.parent}")

    code, output = run_pipeline(project, "check", **variables)

    assert code == 0, output
    assert output.startswith("ok project ")
    assert f"valid, images in {shown}" in output


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(project: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run([PIPELINE, "check"], cwd=project, env=environment(project), stdout=writing, stderr=subprocess.PIPE, text=True)

    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(project: Path, closed: str) -> None:
    command = f"'{PIPELINE}' check {closed}"

    done = subprocess.run(command, shell=True, cwd=project, env=environment(project), capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
