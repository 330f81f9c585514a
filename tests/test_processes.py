"""Commands that end with their caller, whole; stages that end with their run; one at a time."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from pipeline import output_lines
from pipeline.errors import BusyError, StorageError
from pipeline.processes import POLITELY, one_at_a_time, run, session, stop_session
from tests.dummy_project import has_ended, wait_for


def shell(script: str) -> tuple[int, list[str]]:
    lines: list[str] = []
    return run(["sh", "-c", script], lines.append), lines


@contextlib.contextmanager
def python(script: str) -> Iterator[tuple["subprocess.Popen[str]", IO[str], str]]:
    """A Python that runs the script, its standard output, and the first line of that, once it has printed it."""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout, process.stdout.readline()


def test_both_streams_arrive_line_by_line_with_the_exit_code() -> None:
    assert shell("echo one; echo two >&2; printf three; exit 7") == (7, ["one", "two", "three"])


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert shell(r"printf 'caf\351 gr\303\274n\n'") == (0, ["caf\ufffd grün"])


def test_of_a_progress_bar_the_last_state_is_kept() -> None:
    assert shell(r"printf '10 %%\r50 %%\r'; sleep 0.1; printf '100 %%\ndone\r\n'") == (0, ["100 %", "done"])


@pytest.mark.parametrize(("seconds", "states"), [(0.0, ["50 %", "100 %"]), (1000.0, ["100 %"])])
def test_of_a_progress_bar_one_state_is_passed_on_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch, seconds: float, states: list[str]
) -> None:
    monkeypatch.setattr(output_lines, "PROGRESS_SECONDS", seconds)

    assert list(output_lines._lines(iter([b"10 %\r50 %\r", b"60 %\r100 %\n"]))) == states


def test_lines_come_while_the_command_runs(tmp_path: Path) -> None:
    answer, lines = tmp_path / "answer", []

    def take(line: str) -> None:
        lines.append(line)
        answer.touch()

    run(["sh", "-c", f"echo a; while [ ! -e '{answer}' ]; do sleep 0.02; done; echo b"], take)

    assert lines == ["a", "b"]


@pytest.mark.timeout(120)
def test_a_process_left_in_the_background_is_not_waited_for_but_stopped() -> None:
    lines: list[str] = []

    exit_code = run([sys.executable, "-c", "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"], lines.append)

    assert exit_code == 0
    assert has_ended(int(lines[0]))


def test_an_exception_stops_the_command_and_what_it_started() -> None:
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        if len(pids) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", "echo $$; (trap '' INT; sleep 60) & echo $!; wait"], interrupt)

    assert all(has_ended(pid) for pid in pids)


def test_a_process_that_ignores_every_polite_signal_is_killed() -> None:
    stubborn = (
        "import signal, time; signal.signal(2, signal.SIG_IGN); signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )

    with session([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        stop_session(process, grace_seconds=0.2, signals=POLITELY)

    assert process.returncode == -signal.SIGKILL


def test_a_process_ends_with_the_one_that_it_works_for_and_takes_its_children_along() -> None:
    watched = subprocess.Popen(["sleep", "60"])
    script = f"""if True:
        import subprocess, time
        from pipeline.processes import exit_with
        child = subprocess.Popen(["sleep", "60"])
        exit_with({watched.pid})
        print(child.pid, flush=True)
        time.sleep(60)
    """
    with python(script) as (worker, _, child):
        watched.kill()  # not waited for: a zombie counts as ended
        try:
            assert worker.wait(timeout=10) == 143
        finally:
            watched.wait()

    assert wait_for(lambda: has_ended(int(child)), 10)


def test_the_first_signal_stops_and_an_impatient_second_changes_nothing() -> None:
    script = """if True:
        import time
        from pipeline.processes import Stopped, stop_on_signals
        with stop_on_signals():
            try:
                print("ready", flush=True)
                time.sleep(60)
            except Stopped as stopped:
                print("stopping", flush=True)
                time.sleep(0.5)
                print(stopped, stopped.exit_code)
    """
    with python(script) as (process, output, _):
        process.send_signal(signal.SIGTERM)
        output.readline()
        process.send_signal(signal.SIGINT)

        assert output.read() == "SIGTERM 143\n"
        assert process.wait() == 0


def test_a_stage_runs_once_at_a_time_in_a_workspace(tmp_path: Path) -> None:
    with (
        one_at_a_time("train", tmp_path / "here", tmp_path),
        one_at_a_time("train", tmp_path / "elsewhere", tmp_path),
        one_at_a_time("evaluate", tmp_path / "here", tmp_path),
        pytest.raises(BusyError, match=r"train is still being run by another process in .*here; waited 0.1 s"),
        one_at_a_time("train", tmp_path / "here", tmp_path, timeout_seconds=0.1),
    ):
        pass


def test_a_stage_waits_for_the_one_before_to_be_gone(tmp_path: Path) -> None:
    script = f"""if True:
        import time
        from pathlib import Path
        from pipeline.processes import one_at_a_time
        with one_at_a_time("train", Path("here"), Path({str(tmp_path)!r})):
            print("held", flush=True)
            time.sleep(60)
    """
    with python(script) as (orphan, _, _):
        os.kill(orphan.pid, signal.SIGKILL)

        with one_at_a_time("train", Path("here"), tmp_path, timeout_seconds=20):
            assert orphan.wait(timeout=20) == -signal.SIGKILL


def test_a_folder_for_locks_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "scratch").touch()

    lock = one_at_a_time("train", tmp_path, tmp_path / "scratch")

    with pytest.raises(StorageError, match=r"scratch cannot be used: File exists\. The locks of running stages are kept in"), lock:
        pass


def test_what_goes_wrong_in_a_stage_is_not_taken_for_a_fault_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="of the stage"), one_at_a_time("train", tmp_path, tmp_path / "scratch"):
        raise PermissionError("of the stage")
