"""A run on a terminal: short lines, a bar while a stage works, each failure once. A pseudo terminal stands for the real one."""

import contextlib
import logging
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.progress import ProgressRecord
from pipeline.retraining.screen import PROGRESS_LOG, Screen
from tests.dummy_project import BIN, create_project, environment, write_graph

WITH_BAR = """\
import sys, time
from pipeline.progress import Progress
with Progress("train", 40, "steps") as progress:
    for step in range(40):
        time.sleep(0.05)
        progress.advance(1)
    progress.note("epoch 1/1: loss 0.5")
open("data/train/out", "w").write("model")
"""


def stage_says(screen: Screen, text: str, stage: str = "train") -> None:
    record = logging.LogRecord("prefect.task_runs", logging.INFO, __file__, 1, text, None, None)
    record.task_run_name = stage
    screen.handle(record)


def moves(screen: Screen, done: int, *, is_over: bool = False) -> None:
    line = ProgressRecord("train", done, 40, 0, "steps", is_over).line()
    screen.handle(logging.LogRecord(PROGRESS_LOG, logging.INFO, __file__, 1, line, None, None))


def on_terminal(project: Path, columns: int, **more: str) -> tuple[int, str]:
    """(exit code, what a terminal shows of a run) with standard error on a pseudo terminal; standard output is the end of it."""
    ours, theirs = pty.openpty()
    env = environment(project, COLUMNS=str(columns), **more)
    process = subprocess.Popen([str(BIN / "pipeline"), "run"], cwd=project, env=env, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO once nobody writes to it
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)
    return process.wait(timeout=120), shown.decode()


def test_a_stages_name_stands_once_before_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()

    for text in ("Running stage 'train':", "> python -m pipeline stage train", "train: epoch 1/3: loss 0.5"):
        stage_says(screen, text)

    lines = [line.rpartition("\r")[2] for line in capsys.readouterr().err.split("\n")]
    assert lines == ["train           epoch 1/3: loss 0.5", "train           running …"]


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("Unchanged('nothing that the stage depends on has changed', type=COMPLETED)", "unchanged"),
        ("Restored('DVC restored the outputs', type=COMPLETED)", "restored"),
        ("Ran('DVC ran the stage', type=COMPLETED)", "done, 0.0 s"),
        ("Failed('train: no GPU here')", "failed, 0.0 s"),
    ],
)
def test_a_stages_end_is_one_word_and_its_time(capsys: pytest.CaptureFixture[str], state: str, shown: str) -> None:
    screen = Screen()

    stage_says(screen, f"Finished in state {state}")

    assert capsys.readouterr().err == f"train           {shown}\n"


def test_a_failure_is_left_to_the_commands_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()

    for text in ("error: train.device: no GPU here", "ERROR: failed to reproduce 'train': failed to run: x, exited with 2"):
        stage_says(screen, text)

    assert capsys.readouterr().err == ""


def test_a_long_line_is_broken_between_words_and_indented(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    screen = Screen()

    stage_says(screen, "train: epoch 1/3: loss 0.5000, accuracy 0.8812, 187 images/s")

    assert capsys.readouterr().err == ("train           epoch 1/3: loss 0.5000, accuracy\n                0.8812, 187 images/s\n")


def test_records_move_a_bar_that_goes_away(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()

    moves(screen, 10)
    moves(screen, 30)
    moves(screen, 40, is_over=True)

    shown = capsys.readouterr().err
    assert " 25%|" in shown
    assert " 75%|" in shown
    assert "30/40 steps, 00:0" in shown
    assert shown.endswith("\r")


@pytest.mark.parametrize("columns", [100, 80])
def test_a_run_on_a_terminal_has_short_lines_a_bar_and_no_escape_codes(tmp_path: Path, columns: int) -> None:
    project = create_project(tmp_path / "flowers")
    (project / "with_bar.py").write_text(WITH_BAR, encoding="utf-8")
    write_graph(
        project,
        train=f"mkdir -p data/train; PYTHONPATH={shlex.quote(str(Path(__file__).parent.parent))} {shlex.quote(sys.executable)} with_bar.py;:",
    )

    code, shown = on_terminal(project, columns, NO_COLOR="1")

    lines = [line.rpartition("\r")[2] for line in shown.replace("\r\n", "\n").splitlines()]
    assert code == 0
    assert "train           epoch 1/1: loss 0.5" in lines
    assert any(re.fullmatch(r"train           done, \d+\.\d s", line) for line in lines)
    assert re.search(r"train            +\d+%\|.*\| \d+/40 steps, ", shown)
    assert "\x1b" not in shown
    assert "Task run" not in shown
    assert "::progress" not in shown
    assert max(map(len, lines)) < columns
