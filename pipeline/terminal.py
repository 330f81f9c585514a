"""The standard streams of a command: open, able to show any letter, and quiet once nobody reads. Knows nothing of the project."""

import contextlib
import os
import select
import sys
import tempfile
from collections.abc import Iterator, Sequence

CLOSED_PIPE = 141  # 128 + SIGPIPE, as of a command that the signal ends


def prepare_streams() -> None:
    """Open what the caller has closed (`>&-`): the next file opened would get that number, and receive printed output."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 (stays open as long as the process)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def restart_in_utf8(command: Sequence[str]) -> None:
    """Restart this command in UTF-8 mode if file names are read in another encoding; the terminal keeps its own."""
    if sys.getfilesystemencoding().lower() == "utf-8" or sys.flags.utf8_mode:
        return
    os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:backslashreplace")
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *command])  # noqa: S606 (this very command)


def nobody_reads() -> bool:
    """Whether the reader of the output has gone, as `head` does."""
    for number in (1, 2):
        poll = select.poll()
        poll.register(number, 0)
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            return True
    return False


def stop_printing() -> None:
    """Discard what is not printed yet, so that Python does not complain about it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)


@contextlib.contextmanager
def greetings_kept_back() -> Iterator[None]:
    """Hide what TensorFlow's C++ code prints as it is loaded, which no setting can turn off. Shown if loading fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    with tempfile.TemporaryFile() as greetings:
        os.dup2(greetings.fileno(), 2)
        try:
            yield
        except BaseException:
            greetings.seek(0)
            os.write(kept, greetings.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
