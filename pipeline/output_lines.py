"""The output of a running command, line by line as it comes."""

import codecs
import os
import selectors
import time
from collections.abc import Callable, Iterator
from subprocess import Popen

PROGRESS_SECONDS = 5.0
POLL_SECONDS = 0.25
LAST_WORDS_SECONDS = 1.0


def lines_of(process: "Popen[bytes]", on_poll: Callable[[], None]) -> Iterator[str]:
    """The lines of a command's standard output, which is a pipe. `on_poll` is called several times a second; what it raises ends the reading.

    Bytes that are not UTF-8 are replaced; of a progress bar that overwrites its line, one state per 5 s is passed on, and the last one.
    """
    return _lines(_chunks(process, on_poll))


def _chunks(process: "Popen[bytes]", on_poll: Callable[[], None]) -> Iterator[bytes]:
    """The output as it comes, until it is closed, or until a second after the command's end if something holds it open."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    silent_seconds = 0.0
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while silent_seconds < LAST_WORDS_SECONDS:
            on_poll()
            if not selector.select(POLL_SECONDS):
                silent_seconds += POLL_SECONDS if process.poll() is not None else 0.0
                continue
            chunk = os.read(descriptor, 65536)
            if not chunk:
                return
            yield chunk


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Lines of text; a state that a carriage return overwrites is passed on at most once in 5 s."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = ""
    shown = time.monotonic()
    for chunk in chunks:
        text = (text + decoder.decode(chunk)).replace("\r\n", "\n")
        *lines, text = text.split("\n")
        yield from (_last_state(line) for line in lines)
        if "\r" in text.rstrip("\r") and time.monotonic() - shown > PROGRESS_SECONDS:
            shown = time.monotonic()
            yield _last_state(text.rpartition("\r")[0])
        text = text.rpartition("\r")[2] if not text.endswith("\r") else text
    if text:
        yield _last_state(text)


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]
