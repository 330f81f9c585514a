"""One stage by DVC's own command: a lock that another command holds, and a stage that crashes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.errors import BusyError, ConfigError
from pipeline.paths import Paths
from pipeline.workspace.dvc_repro import check_lock, reproduce
from tests.dummy_project import BIN, environment, wait_for, write_graph


def hold_dvc(project: Path) -> "subprocess.Popen[bytes]":
    """A `dvc repro` of another terminal, in the middle of a stage."""
    write_graph(project, ingest="touch held; sleep 60")
    env = {**environment(project), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    command = [str(BIN / "dvc"), "repro", "--single-item", "ingest"]
    holder = subprocess.Popen(command, cwd=project, env=env, stdout=subprocess.DEVNULL, start_new_session=True)
    assert wait_for((project / "held").exists)
    return holder


def stop(holder: "subprocess.Popen[bytes]") -> None:
    os.killpg(holder.pid, signal.SIGKILL)
    holder.wait()


def test_a_busy_lock_is_waited_for_and_its_holder_named(project: Path) -> None:
    holder = hold_dvc(project)
    log: list[str] = []
    try:
        with pytest.raises(BusyError, match=rf"held by PID {holder.pid} \(.*dvc repro --single-item ingest\); waited 2 s"):
            reproduce("ingest", Paths(project), log.append, lock_timeout_seconds=2)
    finally:
        stop(holder)

    assert [line.split(":")[0] for line in log] == ["DVC is busy"]


def test_a_lock_is_taken_once_its_holder_has_gone(project: Path) -> None:
    holder = hold_dvc(project)
    log: list[str] = []

    def release(line: str) -> None:
        log.append(line)
        if line.startswith("DVC is busy"):
            stop(holder)

    write_graph(project)

    assert reproduce("ingest", Paths(project), release, lock_timeout_seconds=60) == "Ran"
    assert "ingest works" in log


def test_a_dead_holder_whose_parent_takes_no_note_is_not_waited_for(project: Path) -> None:
    holder = hold_dvc(project)
    os.killpg(holder.pid, signal.SIGKILL)
    assert wait_for(lambda: psutil.Process(holder.pid).status() == psutil.STATUS_ZOMBIE)
    started = time.monotonic()
    try:
        with pytest.raises(BusyError, match=r"has ended, but its parent has not taken note"):
            reproduce("ingest", Paths(project), print, lock_timeout_seconds=60)
    finally:
        holder.wait()

    assert time.monotonic() - started < 30


def test_a_stage_that_crashes_is_told_by_its_last_line(project: Path) -> None:
    write_graph(project, ingest="python -c '1/0'")

    code = subprocess.run(
        [sys.executable, "-c", "from pipeline.workspace.dvc_repro import *; reproduce('ingest', Paths(Path.cwd()), print, 5)"],
        cwd=project, env=environment(project), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert code.stderr.splitlines()[-1] == "pipeline.errors.StageError: ingest: exited with 1: ZeroDivisionError: division by zero"


def test_a_lock_file_that_a_kill_has_cut_off_is_put_back(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = Paths(project)
    for stage in ("ingest", "preprocess"):
        reproduce(stage, paths, lambda line: None, lock_timeout_seconds=60)
    whole = paths.dvc_lock.read_bytes()
    reproduce("preprocess", paths, lambda line: None, lock_timeout_seconds=60)
    paths.dvc_lock.write_bytes(whole[: len(whole) // 2] + b"\n  x")

    check_lock(paths)

    assert paths.dvc_lock.read_bytes() == whole
    assert "half written when a run was killed" in capsys.readouterr().err


def test_a_lock_file_that_somebody_has_edited_is_left_alone(project: Path) -> None:
    paths = Paths(project)
    reproduce("ingest", paths, lambda line: None, lock_timeout_seconds=60)
    reproduce("ingest", paths, lambda line: None, lock_timeout_seconds=60)
    edited = paths.dvc_lock.read_bytes() + b"  : [ broken\n"
    paths.dvc_lock.write_bytes(edited)

    with pytest.raises(ConfigError, match=r"dvc\.lock cannot be read"):
        check_lock(paths)

    assert paths.dvc_lock.read_bytes() == edited


def test_a_lock_file_of_an_unfinished_merge_is_left_alone(project: Path) -> None:
    paths = Paths(project)
    for _ in range(2):
        reproduce("ingest", paths, lambda line: None, lock_timeout_seconds=60)
    paths.dvc_lock.write_bytes(b"<<<<<<< HEAD\nschema: '2.0'\n")

    with pytest.raises(ConfigError, match=r"dvc\.lock cannot be read"):
        check_lock(paths)

    assert paths.dvc_lock.read_bytes() == b"<<<<<<< HEAD\nschema: '2.0'\n"
