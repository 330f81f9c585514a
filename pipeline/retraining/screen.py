"""What `pipeline run` shows while it runs: on a terminal short lines and a bar for the stage, anywhere else Prefect's log as it is.

Each failure is shown once, by the line that the command ends with; Prefect's states and logs have it, too. No colours, so that there is nothing
for NO_COLOR to turn off.
"""

import contextlib
import logging
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import NoReturn

from tqdm import tqdm

from pipeline.progress import WANTS_RECORDS, ProgressRecord, read_record

PROGRESS_LOG = "pipeline.progress"
RUN_LOGS = ("prefect.flow_runs", "prefect.task_runs")
STAGE_WIDTH = 14  # of the longest stage's name
BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{unit}, {remaining} left"

_FINISHED = re.compile(r"Finished in state (\w+)\((?:'(.*)'|\"(.*)\")?", re.DOTALL)
_DVC_SAYS = re.compile(r"Running stage '|> |Stage '.*' (didn't change, skipping|is cached - skipping run)|$")
_FAILURE = re.compile(r"error: |ERROR: |Finished in state Failed\b|Task run failed with state")


@contextlib.contextmanager
def shown_to_people() -> Iterator[None]:
    """Show the logs of Prefect's flow and task runs in the form that suits standard error: a terminal, or anything else."""
    console = [
        handler for handler in logging.getLogger().handlers if isinstance(handler, logging.StreamHandler) or hasattr(handler, "console")
    ]
    if not sys.stderr.isatty():
        for handler in console:
            handler.addFilter(_is_no_repetition)
        yield
        return
    screen = Screen()
    for handler in console:
        handler.addFilter(_is_of_no_run)
    for name in (*RUN_LOGS, PROGRESS_LOG):
        logging.getLogger(name).addHandler(screen)
    logging.getLogger(PROGRESS_LOG).propagate = False
    logging.getLogger(PROGRESS_LOG).setLevel(logging.INFO)
    os.environ[WANTS_RECORDS] = "1"
    try:
        yield
    finally:
        screen.close()


class Screen(logging.Handler):
    """Log records as short lines on a terminal: `train          epoch 3/7: loss 0.5`, and a bar beneath them."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm[NoReturn] | None = None
        self._label = self._stage = ""
        self._started: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._show(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._take_bar_away()
        super().close()

    def _show(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.name == PROGRESS_LOG:
            if progress := read_record(text):
                self._draw(progress)
        elif record.name.startswith("prefect.task_runs"):
            self._show_stage(str(getattr(record, "task_run_name", "")), text)
        elif text.startswith("View at "):
            self._print("Prefect UI", text.removeprefix("View at "))

    def _show_stage(self, stage: str, text: str) -> None:
        started = self._started.setdefault(stage, time.monotonic())
        if finished := _FINISHED.match(text):
            self._take_bar_away()
            self._print(stage, _ended(finished[1], time.monotonic() - started))
            return
        if text.startswith("Running stage '"):
            self._show_running(stage)
        for line in text.splitlines():
            if not _DVC_SAYS.match(line) and not _FAILURE.match(line):
                self._print(stage, line.removeprefix(f"{stage}: "))

    def _print(self, stage: str, text: str) -> None:
        columns = shutil.get_terminal_size().columns
        indent = " " * (STAGE_WIDTH + 2)
        lines = textwrap.wrap(
            text,
            max(columns - 1, 40),
            initial_indent=f"{stage:<{STAGE_WIDTH}}  ",
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        tqdm.write("\n".join(lines), file=sys.stderr)

    def _draw(self, progress: ProgressRecord) -> None:
        if progress.is_over or progress.label != self._label:
            self._take_bar_away()
        if progress.is_over:
            if self._stage:
                self._show_running(self._stage)
            return
        size = shutil.get_terminal_size()  # tqdm's own measure shows nothing where a terminal does not know its size
        if self._bar is None:
            self._label = progress.label
            self._bar = tqdm(
                total=progress.total, initial=progress.skipped, desc=f"{progress.label:<{STAGE_WIDTH}} ", unit=f" {progress.unit}",
                bar_format=BAR, leave=False, file=sys.stderr, mininterval=0, ncols=size.columns - 1, nrows=size.lines,
            )  # fmt: skip
        self._bar.ncols = size.columns - 1
        self._bar.update(progress.done - self._bar.n)

    def _show_running(self, stage: str) -> None:
        """A line that stays at the bottom until there is a bar or the stage has ended."""
        self._take_bar_away()
        self._stage = stage
        size = shutil.get_terminal_size()
        self._bar = tqdm(
            desc=f"{stage:<{STAGE_WIDTH}}  running …", total=1, bar_format="{desc}", leave=False, file=sys.stderr, ncols=size.columns - 1,
            nrows=size.lines,
        )  # fmt: skip

    def _take_bar_away(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar, self._label = None, ""


def _ended(state: str, seconds: float) -> str:
    if state in ("Unchanged", "Restored"):
        return state.lower()
    minutes, rest = divmod(round(seconds), 60)
    return f"{'done' if state == 'Ran' else state.lower()}, {f'{minutes} min {rest} s' if minutes else f'{seconds:.1f} s'}"


def _is_of_no_run(record: logging.LogRecord) -> bool:
    return not record.name.startswith(RUN_LOGS)


def _is_no_repetition(record: logging.LogRecord) -> bool:
    """False for messages that the command's last line repeats."""
    return not (record.name.startswith(RUN_LOGS) and _FAILURE.match(record.getMessage()))
