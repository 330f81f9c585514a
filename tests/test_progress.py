"""Progress is a bar on a terminal, a line now and then in a log, and records for a run that draws the bar."""

import sys

import pytest

from pipeline.progress import WANTS_RECORDS, Progress, ProgressRecord, read_record


def set_clock(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    clock = iter(seconds)
    monkeypatch.setattr("pipeline.progress.time.monotonic", lambda: next(clock))


def test_a_log_gets_a_line_with_share_and_time_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    set_clock(monkeypatch, 0.0, 30.0, 30.0, 30.0)

    with Progress("ingest", 70_000, "images") as shown:
        shown.advance(14_000)

    assert capsys.readouterr().err == "ingest: 14,000/70,000 images, 20%, 2 min left\n"  # 30 s for a fifth: 120 s for the rest


def test_a_log_is_not_flooded_and_a_note_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("train", 1000, "steps") as shown:
        for _ in range(1000):
            shown.advance(1)
        shown.note("epoch 1")

    assert capsys.readouterr().err == "train: epoch 1\n"


def test_a_note_in_a_log_has_the_time_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    set_clock(monkeypatch, 0.0, 10.0, 10.0, 10.0)

    with Progress("train", 10, "steps") as shown:
        shown.skip(4)
        shown.advance(2)
        shown.note("epoch 1")

    assert capsys.readouterr().err == "train: epoch 1 (20 s left)\n"  # 10 s for two steps, four are left


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    with Progress("train", 10, "steps") as shown:
        shown.skip(5)
        shown.advance(5)
        shown.note("epoch 1")

    assert "train: 100%" in (written := capsys.readouterr().err)
    assert "train: epoch 1\n" in written


def test_a_run_with_a_terminal_gets_records_instead(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(WANTS_RECORDS, "1")
    set_clock(monkeypatch, 0.0, 1.0, 1.0, 1.2)

    with Progress("train", 10, "steps") as shown:
        shown.skip(2)
        shown.advance(3)
        shown.note("epoch 1")
        shown.advance(1)

    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "train: epoch 1"
    assert [read_record(lines[0]), read_record(lines[2])] == [
        ProgressRecord("train", 5, 10, 2, "steps"),
        ProgressRecord("train", 6, 10, 2, "steps", is_over=True),
    ]


@pytest.mark.parametrize("line", ["train: epoch 1", "::progress ", "::progress {}", '::progress ["a"]', "::progress 1"])
def test_another_line_is_no_record(line: str) -> None:
    assert read_record(line) is None
