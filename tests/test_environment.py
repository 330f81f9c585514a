"""What the tools read from the environment: set where it says nothing else, before TensorFlow starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.environment import SETTINGS, apply_settings

ROOT = Path(__file__).parent.parent


def test_what_is_set_already_stays_and_the_rest_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")

    apply_settings()

    assert {name: os.environ[name] for name in SETTINGS} == {**SETTINGS, "TF_ENABLE_ONEDNN_OPTS": "0"}


def test_tensorflow_is_told_to_use_its_fast_kernels_by_the_command_line_alone() -> None:
    code = "import os; from pipeline.__main__ import main; print(os.environ.pop('TF_ENABLE_ONEDNN_OPTS', None)); main(['check']); print(os.environ)"
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}

    printed = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"], capture_output=True, text=True, env=kept, cwd=ROOT
    ).stdout

    assert printed.splitlines()[0] == "None"
    assert "'TF_ENABLE_ONEDNN_OPTS': '1'" in printed.splitlines()[-1]
