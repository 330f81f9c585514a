"""`make install`: only pip's settings on where packages come from count; an interrupted, moved or unsuitable environment is created again."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pipeline.installation import PYTHONS, InstallationError, install, pip_environment, reason_to_recreate, tensorflow_package

ROOT = Path(__file__).parent.parent

INDEX = "PIP_INDEX_URL".removeprefix("PIP_").replace("_", "-").lower()  # the setting of pip.conf
FAKE_PYTHON = """\
#!/bin/sh
# A Python of a virtual environment, and the one that makes it: writes down what it is asked for, installs nothing.
echo "$@" >> "{log}"
case "$*" in
  "-I -m pip config list") echo "global.{index}='https://mirror.example'" ;;
  "-I -m venv"*) for last; do :; done; rm -rf "$last"; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
  "-I -m pip install"*) echo "$PIP_INDEX_URL $PIP_USER $PIP_CONFIG_FILE" >> "{log}"; exit {code} ;;
esac
"""


def create_fakes(root: Path, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> Path:
    """The log of what the fake Pythons are asked for."""
    log = root / "log"
    base = root / "python"
    base.write_text(FAKE_PYTHON.format(log=log, code=code, index=INDEX), encoding="utf-8")
    base.chmod(0o755)
    monkeypatch.setattr(sys, "_base_executable", str(base))
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.chdir(root)
    return log


def test_what_chooses_the_index_is_kept_and_what_chooses_the_place_is_not() -> None:
    settings = "\n".join(
        [
            f":env:.{INDEX}='https://env.example'",
            ":env:.user='1'",
            f"global.{INDEX}='https://global.example'",
            "global.cert='/etc/ca.pem'",
            "global.target='/somewhere/else'",
            "global.timeout='60'",
            "global.only-binary=':all:'",
            "global.ignore-installed='true'",
            "install.no-binary=':all:'",
            "install.find-links='\\n/wheels\\n/more'",
            "download.proxy='http://only-for-downloads:3128'",
        ]
    )
    environ = {"PIP_INDEX_URL": "https://env.example", "PIP_TARGET": "/x", "PYTHONPATH": "/y", "PATH": "/bin"}

    assert pip_environment(settings, environ) == {
        "PATH": "/bin",
        "PIP_INDEX_URL": "https://env.example",
        "PIP_CERT": "/etc/ca.pem",
        "PIP_TIMEOUT": "60",
        "PIP_FIND_LINKS": "/wheels\n/more",
        "PIP_CONFIG_FILE": "/dev/null",
    }


def test_a_fresh_installation_makes_the_environment_and_records_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = create_fakes(tmp_path, monkeypatch)

    install(tmp_path, "cpu")

    lines = log.read_text(encoding="utf-8").splitlines()
    assert f"-I -m venv {tmp_path}/.venv" in lines
    assert "-I -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r locks/cpu.txt" in lines
    assert "https://mirror.example  /dev/null" in lines  # no PIP_USER
    assert lines[-1] == "-m pipeline.environment"
    assert (tmp_path / ".venv" / "installed-cpu").read_text(encoding="utf-8") == f"{tmp_path}\n"
    assert not (tmp_path / ".checkpoints" / "installing").exists()


def test_a_second_installation_goes_on_with_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = create_fakes(tmp_path, monkeypatch)
    install(tmp_path, "cpu")
    log.unlink()

    install(tmp_path, "cpu")

    assert "-m venv" not in log.read_text(encoding="utf-8")


@pytest.mark.parametrize("reason", ["interrupted", "moved"])
def test_an_interrupted_or_moved_environment_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    log = create_fakes(tmp_path, monkeypatch)
    install(tmp_path, "cpu")
    if reason == "moved":
        (tmp_path / ".venv" / "installed-cpu").write_text("/somewhere/else\n", encoding="utf-8")
    else:
        (tmp_path / ".checkpoints" / "installing").touch()

    install(tmp_path, "cpu")

    assert f"-I -m venv --clear {tmp_path}/.venv" in log.read_text(encoding="utf-8")
    said = {"moved": "It was created for /somewhere/else", "interrupted": "An earlier installation was interrupted"}
    assert capsys.readouterr().out == f"{said[reason]}: creating .venv again ...\n"


def test_an_error_of_pip_is_no_reason_to_recreate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_fakes(tmp_path, monkeypatch, code=1)

    with pytest.raises(InstallationError, match="ended with an error: see above"):
        install(tmp_path, "cpu")

    assert reason_to_recreate(tmp_path / ".venv", (tmp_path / ".checkpoints" / "installing").exists(), tmp_path, "cpu") == ""
    assert not (tmp_path / ".venv" / "installed-cpu").exists()


def test_an_environment_of_another_project_is_never_emptied_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_fakes(tmp_path, monkeypatch)
    other = tmp_path / "other"
    other.mkdir()
    (other / "installed-cpu").write_text("/somewhere/else\n", encoding="utf-8")
    (tmp_path / ".venv").symlink_to(other)

    with pytest.raises(InstallationError, match=r"is a link to .*other, and it was created for /somewhere/else\. Remove the link"):
        install(tmp_path, "cpu")

    assert [file.name for file in other.iterdir()] == ["installed-cpu"]


def install_package(venv: Path, name: str, version: str = "2.21.0") -> None:
    """Only what says that it is there."""
    folder = venv / "lib" / "python3.12" / "site-packages" / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n", encoding="utf-8")


@pytest.mark.parametrize("extra", ["cpu", "gpu"])
@pytest.mark.parametrize("packages", [["tensorflow"], ["tensorflow-cpu"], ["tensorflow", "tensorflow-cpu"], ["tensorflow-datasets"]])
def test_only_the_tensorflow_of_the_lock_file_is_kept(tmp_path: Path, extra: str, packages: list[str]) -> None:
    venv, wanted = tmp_path / ".venv", tensorflow_package(extra)
    for name in packages:
        install_package(venv, name)
    others = {"tensorflow", "tensorflow-cpu"} & set(packages) - {wanted}

    reason = reason_to_recreate(venv, False, tmp_path, extra)

    assert reason == (f"it has {others.pop()} instead of {wanted}, which writes the same files" if others else "")


@pytest.mark.parametrize("line", ["version = {}.7", "version_info = {}.7", "version = {}"])
def test_an_environment_of_another_python_is_created_again(tmp_path: Path, line: str) -> None:
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    config = tmp_path / ".venv" / "pyvenv.cfg"
    config.parent.mkdir()

    reasons = []
    for python in (this, "3.9"):
        config.write_text(f"home = /usr/bin\n{line.format(python)}\n", encoding="utf-8")
        reasons.append(reason_to_recreate(config.parent, False, tmp_path, "cpu"))

    assert reasons == ["", f"it has Python 3.9, not {this}"]


def test_an_installation_for_another_extra_takes_the_place_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_fakes(tmp_path, monkeypatch)
    install(tmp_path, "cpu")

    install(tmp_path, "gpu")

    assert [record.name for record in (tmp_path / ".venv").glob("installed-*")] == ["installed-gpu"]


@pytest.fixture
def makefile(tmp_path: Path) -> Path:
    """The folder of a project that has the Makefile and what it looks at."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("locks/cpu.txt", "locks/gpu.txt", "pyproject.toml", "pipeline/environment.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    return tmp_path


def would_run(root: Path, *arguments: str) -> str:
    """What `make install` would run, by its own word."""
    environ = {name: value for name, value in os.environ.items() if name not in ("EXTRA", "PYTHON", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    command = ["make", "--dry-run", "install", *arguments]
    return subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("record", "lock"), [(None, "cpu"), ("installed-cpu", "cpu"), ("installed-gpu", "gpu")])
def test_make_goes_on_with_the_extra_that_is_installed(makefile: Path, record: str | None, lock: str) -> None:
    if record:
        (makefile / ".venv" / record).write_text("/where/it/was/before\n", encoding="utf-8")

    assert f"-m pipeline.installation {lock}" in would_run(makefile)


@pytest.mark.parametrize(("asked", "installs"), [("3 12", False), ("3 13", True)])
def test_make_installs_again_for_a_python_of_another_version_than_the_installed_one(makefile: Path, asked: str, installs: bool) -> None:
    for file, version in ((makefile / ".venv" / "bin" / "python", "3 12"), (makefile / "python", asked)):
        file.write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
        file.chmod(0o755)
    (makefile / ".venv" / "installed-cpu").write_text(f"{makefile}\n", encoding="utf-8")

    assert "pipeline.installation" not in would_run(makefile)
    assert ("pipeline.installation" in would_run(makefile, "PYTHON=./python")) is installs


MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("darwin", "x86_64")]


@pytest.mark.parametrize(("system", "machine"), MACHINES)
@pytest.mark.parametrize("extra", ["cpu", "gpu"])
def test_a_lock_file_has_one_tensorflow_for_each_machine(extra: str, system: str, machine: str) -> None:
    lines = (ROOT / "locks" / f"{extra}.txt").read_text(encoding="utf-8").splitlines()
    locked = [Requirement(line.rstrip(" \\")) for line in lines if re.match(r"tensorflow(-cpu)?\b", line)]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"][extra]
    environment = {"sys_platform": system, "platform_machine": machine}

    for requirements in (locked, map(Requirement, declared)):
        names = [one.name for one in requirements if not one.marker or one.marker.evaluate(environment)]
        assert names == [tensorflow_package(extra, system, machine)]


def test_the_pythons_are_the_same_wherever_they_stand() -> None:
    (first, last), after = PYTHONS, (PYTHONS[1][0], PYTHONS[1][1] + 1)
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert SpecifierSet(said) == SpecifierSet(f">={first[0]}.{first[1]},<{after[0]}.{after[1]}")
    assert f"not {first} <= sys.version_info[:2] <= {last}" in makefile
    assert all(f" python3.{minor} " in makefile for minor in range(first[1], after[1]))


@pytest.mark.parametrize("extra", ["cpu", "gpu"])
def test_the_lock_files_name_no_index(extra: str) -> None:
    assert "://" not in (ROOT / "locks" / f"{extra}.txt").read_text(encoding="utf-8")
