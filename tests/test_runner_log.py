"""What scheduled runs print: the log without its tracebacks, which stay in the file."""

from pathlib import Path

import pytest

from pipeline.retraining.prefect_server import cause_in
from pipeline.retraining.runner_log import MOST_BYTES, RunnerLog, open_log, since_the_last_start

LOG = """\
21:00:00.000 | ERROR   | prefect.runner - Failed to reach http://me:secret@host/api
Traceback (most recent call last):
  File "client.py", line 1, in send
httpx.ConnectError: All connection attempts failed

During handling of the above exception, another exception occurred:
  + Exception Group Traceback (most recent call last):
  | httpx.ConnectError
21:00:10.000 | INFO    | Task run 'train' - train: epoch 1
"""


def test_tracebacks_and_passwords_stay_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = RunnerLog(tmp_path / "log")
    log.path.write_text(LOG, encoding="utf-8")

    log.show()

    assert capsys.readouterr().out == (
        "21:00:00.000 | ERROR   | prefect.runner - Failed to reach http://…@host/api\n"
        "21:00:10.000 | INFO    | Task run 'train' - train: epoch 1\n"
    )
    assert "Traceback" in log.text()


def test_a_line_is_shown_once_and_when_it_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = RunnerLog(tmp_path / "log")

    log.path.write_bytes(b"one\nzw")
    log.show()
    log.path.write_bytes("one\nzwölf\nlast".encode())
    log.show()
    log.show_rest()

    assert capsys.readouterr().out == "one\nzwölf\nlast\n"


def test_a_new_start_adds_to_the_log_and_shows_only_what_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kept" / "log"
    with open_log(path) as output:
        output.write(b"ValueError: of last week\n")
    with open_log(path) as output:
        log = RunnerLog(path)
        output.write(b"of today\n")
    log.show()

    assert capsys.readouterr().out == "of today\n"
    assert "of last week" in path.read_text(encoding="utf-8")
    assert since_the_last_start(log.text()) == "of today\n"
    assert cause_in(log.text()) == "of today"


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * (MOST_BYTES + 1))

    open_log(tmp_path / "log").close()

    assert (tmp_path / "log.earlier").stat().st_size == MOST_BYTES + 1
    assert (tmp_path / "log").read_text(encoding="utf-8").startswith("---- started 20")
