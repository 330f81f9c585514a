"""One stage by DVC's own command: a lock that another command holds, a stage that crashes, a lock file that cannot be read."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from pipeline.errors import BusyError, ConfigError, StageError
from pipeline.paths import Paths
from pipeline.workspace import dvc_repro
from pipeline.workspace.dvc_lock import check_lock
from pipeline.workspace.dvc_repro import reproduce
from tests.dummy_project import BIN, copy_project, environment, wait_for, write_graph


def hold_dvc(project: Path) -> "subprocess.Popen[bytes]":
    """A `dvc repro` of another terminal, in the middle of a stage."""
    write_graph(project, ingest="touch held; sleep 60")
    env = {**environment(project), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    command = [str(BIN / "dvc"), "repro", "--single-item", "ingest"]
    holder = subprocess.Popen(command, cwd=project, env=env, stdout=subprocess.DEVNULL, start_new_session=True)
    assert wait_for((project / "held").exists, 60)
    return holder


def test_a_busy_lock_is_waited_for_and_its_holder_named_also_one_that_is_dead(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder whose parent takes no note of its end is no reason to wait until the time is over: DVC takes it for alive."""
    monkeypatch.setattr(dvc_repro, "ZOMBIE_SECONDS", 0.1)
    holder = hold_dvc(project)
    log: list[str] = []
    try:
        with pytest.raises(BusyError, match=rf"held by PID {holder.pid} \(.*dvc repro --single-item ingest\); waited 0.5 s"):
            reproduce("ingest", Paths(project), log.append, lock_timeout_seconds=0.5)
        os.killpg(holder.pid, signal.SIGKILL)
        assert wait_for(lambda: psutil.Process(holder.pid).status() == psutil.STATUS_ZOMBIE)
        with pytest.raises(BusyError, match=r"has ended, but its parent has not reaped it"):
            reproduce("ingest", Paths(project), print, lock_timeout_seconds=60)
    finally:
        holder.kill()
        holder.wait()

    assert [line.split(":")[0] for line in log] == ["DVC is busy"]


def test_a_lock_is_taken_once_its_holder_has_gone(project: Path) -> None:
    holder = hold_dvc(project)
    log: list[str] = []

    def release(line: str) -> None:
        log.append(line)
        if line.startswith("DVC is busy"):
            os.killpg(holder.pid, signal.SIGKILL)
            holder.wait()

    write_graph(project)

    assert reproduce("ingest", Paths(project), release, lock_timeout_seconds=60) == "Ran"
    assert "ingest works" in log


def test_a_lock_whose_holder_has_just_gone_is_tried_again_whatever_the_timeout(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([(["ERROR: Unable to acquire lock. Most likely another DVC process is running"], 255), ([], 0)])
    monkeypatch.setattr(dvc_repro, "_repro", lambda *_: next(answers))

    assert reproduce("ingest", Paths(project), print, lock_timeout_seconds=0) == "Unchanged"


def test_a_stage_that_crashes_is_told_by_its_last_line(project: Path) -> None:
    write_graph(project, ingest="python -c '1/0'")

    with pytest.raises(StageError, match=r"^ingest: exited with 1: ZeroDivisionError: division by zero$"):
        reproduce("ingest", Paths(project), print, lock_timeout_seconds=60)


@pytest.fixture(scope="module")
def reproduced(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose dvc.lock has a copy, kept as the last command began."""
    root = copy_project(template, tmp_path_factory.mktemp("reproduced") / "project")
    for stage in ("ingest", "preprocess", "preprocess"):
        reproduce(stage, Paths(root), lambda line: None, lock_timeout_seconds=60)
    return root


def test_a_lock_file_that_a_kill_has_cut_off_is_put_back(reproduced: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = Paths(reproduced)
    whole = paths.dvc_lock.read_bytes()
    paths.dvc_lock.write_bytes(whole[: len(whole) // 2] + b"\n  x")

    check_lock(paths)

    assert paths.dvc_lock.read_bytes() == whole
    assert "half written when a run was killed" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"%b  : [ broken\n", b"<<<<<<< HEAD\nschema: '2.0'\n"], ids=["edited", "unfinished merge"])
def test_a_lock_file_that_a_person_has_to_look_at_is_left_alone(reproduced: Path, content: bytes) -> None:
    paths = Paths(reproduced)
    whole = paths.dvc_lock.read_bytes()
    broken = content.replace(b"%b", whole)
    paths.dvc_lock.write_bytes(broken)

    with pytest.raises(ConfigError, match=r"dvc\.lock cannot be read"):
        check_lock(paths)

    assert paths.dvc_lock.read_bytes() == broken
    paths.dvc_lock.write_bytes(whole)
