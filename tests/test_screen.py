"""A run on a terminal: short lines, a bar while a stage works, each failure once."""

import logging

import pytest

from pipeline.progress import ProgressRecord
from pipeline.retraining.screen import PROGRESS_LOG, Screen


def stage_says(screen: Screen, text: str, stage: str = "train") -> None:
    record = logging.LogRecord("prefect.task_runs", logging.INFO, __file__, 1, text, None, None)
    record.task_run_name = stage
    screen.handle(record)


def moves(screen: Screen, done: int, *, is_over: bool = False) -> None:
    line = ProgressRecord("train", done, 40, 0, "steps", is_over).line()
    screen.handle(logging.LogRecord(PROGRESS_LOG, logging.INFO, __file__, 1, line, None, None))


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
