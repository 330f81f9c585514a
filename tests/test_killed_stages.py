"""Whenever `ingest` or `preprocess` is killed: the same command again ends with the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sample_images import write_class_folders

ROOT = Path(__file__).parent.parent
KILLS = 4


def make_project(root: Path, source: Path) -> Path:
    params = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("source: data/fashion-mnist", f"source: {source}")
    (root / "data").mkdir(parents=True)
    (root / "params.yaml").write_text(params, encoding="utf-8")
    shutil.copy(ROOT / "dvc.yaml", root)
    return root


def start(root: Path, stage: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "pipeline", "stage", stage]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def outputs(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted((root / "data").rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, float]]:
    """(the source, a project in which both stages have run, the seconds that each took)."""
    folder = tmp_path_factory.mktemp("undisturbed")
    source = write_class_folders(folder / "flowers", per_class=900)
    root = make_project(folder / "project", source)
    seconds = {}
    for stage in ("ingest", "preprocess"):
        started = time.monotonic()
        assert start(root, stage).wait() == 0
        seconds[stage] = time.monotonic() - started
    return source, root, seconds


@pytest.mark.parametrize("stage", ["ingest", "preprocess"])
def test_a_stage_that_is_killed_again_and_again_ends_with_the_same_bytes(
    stage: str, undisturbed: tuple[Path, Path, dict[str, float]], tmp_path: Path
) -> None:
    source, expected, seconds = undisturbed
    root = make_project(tmp_path / "project", source)
    if stage == "preprocess":
        assert start(root, "ingest").wait() == 0
    generator = random.Random(7)
    killed = 0
    for _ in range(KILLS):
        process = start(root, stage)
        time.sleep(generator.uniform(0.2, seconds[stage]))
        os.killpg(process.pid, signal.SIGKILL)
        killed += process.wait() != 0

    assert start(root, stage).wait() == 0

    wanted = {path: content for path, content in outputs(expected).items() if stage == "preprocess" or "preprocess" not in path}
    assert killed >= 2
    assert outputs(root) == wanted
