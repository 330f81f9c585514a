"""What scheduled runs print: the log without its tracebacks, which stay in the file."""

from pathlib import Path

import pytest

from pipeline.retraining.runner_log import RunnerLog

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
