"""The output of Prefect's server, of its runner and its runs: everything goes to a file, everything but tracebacks of a runner to the terminal."""

import os
import re
from datetime import datetime
from pathlib import Path
from typing import IO

from pipeline.network import masked

_ENTRY = re.compile(r"\d\d:\d\d:\d\d\.\d{3} \| ")
_TRACEBACK = re.compile(r"\s*[+|]?\s*(Exception Group )?Traceback \(most recent call last\)")
STARTED = "---- started "
"""Begins the line before what a start has written."""
MOST_BYTES = 2**21


def open_log(path: Path) -> IO[bytes]:
    """The file, to add to: what earlier starts wrote stays. Once it is large, it becomes the file `….earlier`, whose place it takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        os.replace(path, path.with_name(f"{path.name}.earlier"))  # noqa: PTH105
    output = path.open("ab")
    output.write(f"{STARTED}{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}\n".encode())
    output.flush()
    return output


def since_the_last_start(log: str) -> str:
    """The part of a log that the last process has written."""
    return log.rpartition(STARTED)[2].partition("\n")[2] if STARTED in log else log


class RunnerLog:
    """A file that a process writes, shown on standard output as it grows, from what it has now on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shown = path.stat().st_size if path.is_file() else 0
        self._rest = ""
        self._in_traceback = False

    def text(self) -> str:
        """All that was written so far."""
        return self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""

    def show(self) -> None:
        """Print the new lines that are complete."""
        for line in self._new_lines():
            if self._is_for_people(line):
                print(masked(line), flush=True)

    def show_rest(self) -> None:
        """Print everything new, including an unfinished last line."""
        self.show()
        if self._rest and self._is_for_people(self._rest):
            print(masked(self._rest), flush=True)
        self._rest = ""

    def _new_lines(self) -> list[str]:
        if not self.path.is_file():
            return []
        with self.path.open("rb") as file:
            file.seek(self._shown)
            new = file.read()
        *whole, rest = new.split(b"\n")
        self._shown += len(new) - len(rest)
        self._rest = rest.decode("utf-8", errors="replace")
        return [line.decode("utf-8", errors="replace").rstrip("\r") for line in whole]

    def _is_for_people(self, line: str) -> bool:
        """False within a traceback, which lasts until the next entry of the log; the entry before it says what happened."""
        if _ENTRY.match(line):
            self._in_traceback = False
        elif _TRACEBACK.match(line):
            self._in_traceback = True
        return not self._in_traceback
