"""The output of Prefect's runner and its runs: everything goes to a file, everything but tracebacks to the terminal."""

import re
from pathlib import Path

from pipeline.network import masked

_ENTRY = re.compile(r"\d\d:\d\d:\d\d\.\d{3} \| ")
_TRACEBACK = re.compile(r"\s*[+|]?\s*(Exception Group )?Traceback \(most recent call last\)")


class RunnerLog:
    """A file that a process writes, shown on standard output as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shown = 0
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
