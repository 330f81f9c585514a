"""`make install`: only pip's settings on where packages come from count; what was broken off or moved is begun anew."""

import sys
from pathlib import Path

import pytest

from pipeline.installation import InstallationError, install, pip_environment, reason_to_begin_anew

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


@pytest.mark.parametrize("reason", ["broken off", "moved"])
def test_what_was_broken_off_or_moved_is_begun_anew(
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
    said = {"moved": "It was made for /somewhere/else", "broken off": "An earlier installation was broken off"}
    assert capsys.readouterr().out == f"{said[reason]}: making .venv anew ...\n"


def test_an_error_of_pip_is_no_reason_to_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_fakes(tmp_path, monkeypatch, code=1)

    with pytest.raises(InstallationError, match="ended with an error: see above"):
        install(tmp_path, "cpu")

    assert reason_to_begin_anew(tmp_path / ".venv", (tmp_path / ".checkpoints" / "installing").exists(), tmp_path) == ""
    assert not (tmp_path / ".venv" / "installed-cpu").exists()


def test_an_environment_of_another_project_is_never_emptied_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_fakes(tmp_path, monkeypatch)
    other = tmp_path / "other"
    other.mkdir()
    (other / "installed-cpu").write_text("/somewhere/else\n", encoding="utf-8")
    (tmp_path / ".venv").symlink_to(other)

    with pytest.raises(InstallationError, match=r"is a link to .*other, and it was made for /somewhere/else\. Remove the link"):
        install(tmp_path, "cpu")

    assert [file.name for file in other.iterdir()] == ["installed-cpu"]
