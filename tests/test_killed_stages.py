"""Whenever `ingest` or `preprocess` is killed, the same command ends with the same bytes."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sample_images import write_class_folders

ROOT = Path(__file__).parent.parent
WRITES_BEFORE_A_KILL = (1, 3, 5)


def make_project(root: Path, source: Path) -> Path:
    params = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("source: data/fashion-mnist", f"source: {source}")
    params = params.replace("horizontal_flip: true", "horizontal_flip: false")  # half of the time
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


def sizes(root: Path) -> set[tuple[Path, int]]:
    """All files of a project that is being written to."""
    found = set()
    for folder, _, names in os.walk(root):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found.add((path := Path(folder, name), path.stat().st_size))
    return found


def kill_after(process: "subprocess.Popen[bytes]", root: Path, writes: int) -> bool:
    """Kill a stage once its files have changed so many times; whether it was still at work."""
    before = sizes(root)
    while process.poll() is None and writes:
        time.sleep(0.005)
        now = sizes(root)
        writes -= now != before
        before = now
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() != 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project `before` each stage, and with all of them done."""
    folder = tmp_path_factory.mktemp("undisturbed")
    root = make_project(folder / "done", write_class_folders(folder / "flowers", per_class=400))
    for stage in ("ingest", "preprocess"):
        shutil.copytree(root, folder / stage)
        assert start(root, stage).wait() == 0
    return folder


@pytest.mark.parametrize("stage", ["ingest", "preprocess"])
def test_a_stage_that_is_killed_again_and_again_ends_with_the_same_bytes(stage: str, undisturbed: Path, tmp_path: Path) -> None:
    root = shutil.copytree(undisturbed / stage, tmp_path / "project")
    killed = [kill_after(start(root, stage), root, writes) for writes in WRITES_BEFORE_A_KILL]

    assert start(root, stage).wait() == 0

    wanted = {path: content for path, content in outputs(undisturbed / "done").items() if stage == "preprocess" or "preprocess" not in path}
    assert sum(killed) >= 2
    assert outputs(root) == wanted
