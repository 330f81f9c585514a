"""Progress is a bar on a terminal, and a line now and then anywhere else."""

import sys

import pytest

from pipeline.progress import Progress


def test_a_log_gets_a_line_with_share_and_time_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 30.0, 30.0, 30.0])
    monkeypatch.setattr("pipeline.progress.time.monotonic", lambda: next(clock))

    with Progress("ingest", 70_000, "images") as shown:
        shown.advance(14_000)

    assert capsys.readouterr().err == "ingest: 14,000/70,000 images, 20%, 2 min left\n"  # 30 s for a fifth: 120 s for the rest


def test_a_log_is_not_flooded(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("ingest", 1000, "images") as shown:
        for _ in range(1000):
            shown.advance(1)

    assert capsys.readouterr().err == ""


def test_a_note_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("train", 10, "steps") as shown:
        shown.note("epoch 1")

    assert capsys.readouterr().err == "train: epoch 1\n"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    with Progress("train", 10, "steps") as shown:
        shown.advance(10)
        shown.note("epoch 1")

    assert "train: 100%" in (written := capsys.readouterr().err)
    assert "train: epoch 1\n" in written
