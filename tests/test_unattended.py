"""What a run needs that nobody watches: it waits until files have settled, is the only one, tries again what may pass."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from pipeline.errors import BusyError, PassingError, PipelineError, SourceError, UnreachableError
from pipeline.paths import Paths
from pipeline.processes import lock_file
from pipeline.unattended.again import Retries, with_retries
from pipeline.unattended.only_run import RUN, is_running, only_run
from pipeline.unattended.settled import Settled
from tests.dummy_project import ROOT, wait_for

HOLD = """\
import sys, time
from pathlib import Path
from pipeline.paths import Paths
from pipeline.unattended.only_run import only_run
with only_run(Paths(Path.cwd()), {"name": "monday", "flow_run_id": "7"}, 0, print):
    print("in", flush=True)
    time.sleep(60)
"""


def test_a_source_is_read_once_nothing_has_been_written_there_for_a_while() -> None:
    settled = Settled(300)

    looks = [
        settled.look("old", is_known=True, now=0),
        settled.look("a", is_known=False, now=10),
        settled.look("b", is_known=False, now=200),  # still being written
        settled.look("b", is_known=False, now=499),
        settled.look("b", is_known=False, now=500),
        settled.look("b", is_known=False, now=530),  # asked for already
        settled.look("b", is_known=False, now=500 + 86_400),  # that run failed: once a day
        settled.look("b", is_known=True, now=500 + 86_430),
    ]

    assert looks == [False, False, False, False, True, False, True, False]


def test_a_run_that_could_not_be_started_is_asked_for_again() -> None:
    settled = Settled(0)

    assert settled.look("a", is_known=False, now=0)
    assert not settled.look("a", is_known=False, now=1)
    settled.take_back()
    assert settled.look("a", is_known=False, now=2)


class Failing:
    """Fails with one error after the other, then answers."""

    def __init__(self, *errors: PipelineError) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_what_may_pass_is_tried_again_after_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("pipeline.unattended.again.time.sleep", pauses.append)
    said: list[str] = []

    answer = with_retries(Failing(UnreachableError("down."), BusyError("held."), PassingError("train: down.")), Retries(3, 30), said.append)

    assert answer == "done"
    assert pauses == [30, 60, 120]
    assert said[0] == "down. This may pass: trying again in 30 s (1 of 3)"
    assert Retries(9, 30).pause_seconds(8) == 600


def test_the_last_try_says_why_and_what_cannot_pass_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.unattended.again.time.sleep", lambda _: None)
    bad = Failing(SourceError("bad data"), SourceError("not again"))

    with pytest.raises(UnreachableError, match="third"):
        with_retries(Failing(*map(UnreachableError, ("first", "second", "third", "fourth"))), Retries(2), print)
    with pytest.raises(SourceError, match="bad data"):
        with_retries(bad, Retries(2), print)
    assert len(bad.errors) == 1


def test_who_only_looks_whether_there_is_a_run_makes_no_other_one_fail(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    lock = FileLock(lock_file(RUN, paths.root, paths.scratch), thread_local=False)
    lock.acquire()
    looking = threading.Timer(0.3, lock.release)
    looking.start()

    with only_run(paths, {"name": "monday"}, 0, print) as killed:
        assert killed is None
    looking.join()


def test_a_second_run_waits_then_names_the_first_and_a_killed_one_leaves_its_note(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    holder = subprocess.Popen([sys.executable, "-c", HOLD], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "in\n"
    said: list[str] = []

    started = time.monotonic()
    with (
        pytest.raises(BusyError, match=rf"^the run monday \(PID {holder.pid}, since \d{{4}}-.*\) is at work in .*; waited 1\.5 s\."),
        only_run(paths, {"name": "tuesday"}, 1.5, said.append),
    ):
        pass
    assert time.monotonic() - started >= 1.5
    assert is_running(paths)
    assert said[0].startswith(f"waiting for the run monday (PID {holder.pid}, ")

    holder.kill()
    holder.communicate()
    assert wait_for(lambda: not is_running(paths), 10)
    with only_run(paths, {"name": "tuesday"}, 0.5, said.append) as killed:
        assert killed is not None
        assert killed["flow_run_id"] == "7"
    with only_run(paths, {"name": "wednesday"}, 0.5, said.append) as killed:
        assert killed is None  # the run of Tuesday was this process, which lives
