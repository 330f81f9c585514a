"""What the tools read from the environment: made usable before they start, whoever starts them."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.environment import SETTINGS, apply_settings, drop_blanks
from pipeline.environment import main as write_into_this_environment


def test_what_is_set_already_stays_and_the_rest_is_set() -> None:
    environ = {"TF_ENABLE_ONEDNN_OPTS": "0", "HOME": "/home/me", "USER": "me"}

    apply_settings(environ)

    assert environ == {**SETTINGS, "TF_ENABLE_ONEDNN_OPTS": "0", "HOME": "/home/me", "USER": "me"}


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_an_empty_variable_of_the_tools_counts_as_not_set(blank: str) -> None:
    tools = ("MLFLOW_TRACKING_URI MLFLOW_EXPERIMENT_NAME PREFECT_API_URL PREFECT_HOME DVC_EXP_NAME TZ HOME XDG_CACHE_HOME http_proxy HTTPS_PROXY "
             "all_proxy NO_PROXY SSL_CERT_FILE REQUESTS_CA_BUNDLE AWS_PROFILE TMPDIR PIP_USER")  # fmt: skip

    assert without_blanks(dict.fromkeys(tools.split(), blank)) == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"MLFLOW_TRACKING_URI": " http://127.0.0.1:5999 ", "TZ": "UTC\n"}, {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5999", "TZ": "UTC"}),
        ({"CUDA_VISIBLE_DEVICES": "", "MY_SETTING": " x "}, {"CUDA_VISIBLE_DEVICES": "", "MY_SETTING": " x "}),
        ({"http_proxy": "", "HTTP_PROXY": "http://proxy:3128", "HTTPS_PROXY": "http://proxy:3128"}, {"HTTPS_PROXY": "http://proxy:3128"}),
    ],
    ids=["blanks around a value", "empty on purpose", "an empty http_proxy switches the other spelling off"],
)
def test_blanks_go_where_they_mean_nothing(before: dict[str, str], after: dict[str, str]) -> None:
    assert without_blanks(before) == after


def without_blanks(environ: dict[str, str]) -> dict[str, str]:
    drop_blanks(environ)
    return environ


def test_a_user_id_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999)
    with pytest.raises(KeyError):
        pwd.getpwuid(3_999_999)
    environ = {"HOME": "/"}

    apply_settings(environ)

    assert (environ["USER"], environ["LOGNAME"], environ["HOME"]) == ("uid-3999999", "uid-3999999", "/")


def test_a_user_and_a_home_that_are_not_set_are_those_of_the_system() -> None:
    environ: dict[str, str] = {}

    apply_settings(environ)

    assert environ["LOGNAME"] == pwd.getpwuid(os.getuid()).pw_name
    assert environ["HOME"] == pwd.getpwuid(os.getuid()).pw_dir


def test_every_python_of_the_environment_starts_with_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))

    write_into_this_environment()

    code = (
        f"import os, site; site.addsitedir({str(tmp_path)!r}); print(os.environ.get('MLFLOW_TRACKING_URI'), os.environ['DVC_NO_ANALYTICS'])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, env={"MLFLOW_TRACKING_URI": " ", "HOME": "/"}, check=True
    )
    assert done.stdout == "None 1\n"
    (tmp_path / "image_classifier_environment.py").write_text("raise OSError", encoding="utf-8")
    broken = [sys.executable, "-S", "-c", f"import site; site.addsitedir({str(tmp_path)!r}); print('started')"]
    assert subprocess.run(broken, capture_output=True, text=True).stdout == "started\n"
