"""One line to a person when a run has retrained, failed, or works again: to a command or a webhook, each set by a variable. Off by default.

A notification that cannot be sent never changes how a run ends.
"""

import http.client
import json
import os
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

from pipeline.errors import ConfigError, PipelineError
from pipeline.files import write_bytes
from pipeline.network import masked
from pipeline.paths import Paths
from pipeline.unattended.project_name import project_name
from pipeline.workspace.surroundings import Finding

COMMAND, WEBHOOK = "PIPELINE_NOTIFY_COMMAND", "PIPELINE_NOTIFY_URL"
OUTCOME = "PIPELINE_OUTCOME"
LAST = "last-outcome"
SECONDS = 30

Outcome = Literal["failed", "retrained", "nothing"]


def check_notify() -> None:
    """Raise ConfigError for a command that is not there, or an address that is none."""
    if address := _set(WEBHOOK):
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{WEBHOOK} is no address of a webhook: expected http:// or https://, found {masked(address)}.")
    if text := _set(COMMAND):
        try:
            program = shlex.split(text)[0]
        except (ValueError, IndexError):
            raise ConfigError(f"{COMMAND} is no command: {text!r}. Check its quotes.") from None
        if not shutil.which(program):
            raise ConfigError(f"{COMMAND}: there is no program {program!r}. Write its whole path.")


def look_at_notify() -> Finding:
    """For `pipeline check`: which of the two are set; nothing found if none is."""
    try:
        check_notify()
    except ConfigError as error:
        return Finding("notify", "a run would stop", str(error))
    return Finding("notify", ", ".join(name for name in (COMMAND, WEBHOOK) if _set(name)))


def notify(paths: Paths, outcome: Outcome, said: str, link: str, log: Callable[[str], None]) -> None:
    """Send the line, unless nothing was done and nothing had failed before. What goes wrong is logged."""
    if not (_set(COMMAND) or _set(WEBHOOK)):
        return
    last = paths.scratch / LAST
    had_failed = last.is_file() and last.read_text(encoding="utf-8", errors="replace").strip() == "failed"
    if outcome == "nothing" and not had_failed:
        return
    line = message(paths, outcome, said, link, had_failed=had_failed)
    for send in (_to_command, _to_webhook):
        try:
            send(line, outcome, project_name(paths.root))
        except (OSError, ValueError, http.client.HTTPException, subprocess.SubprocessError, PipelineError) as error:
            log(f"The notification was not sent: {masked(str(error))}")
    write_bytes(last, f"{outcome}\n".encode())


def message(paths: Paths, outcome: Outcome, said: str, link: str, *, had_failed: bool) -> str:
    """`flowers: works again, retrained. Champion: accuracy 0.9 … http://…`, in one line without passwords."""
    head = {"failed": "FAILED", "retrained": "retrained", "nothing": "nothing to do"}[outcome]
    if had_failed and outcome != "failed":
        head = f"works again, {head}"
    sentence = " ".join(said.split()).rstrip(".")
    return masked(f"{paths.root.name}: {head}. {sentence}.{f' {link}' if link else ''}")


def _set(name: str) -> str:
    return os.environ.get(name, "").strip()


def _to_command(line: str, outcome: str, _: str) -> None:
    """Run the command without a shell: the line on its standard input, the outcome in a variable."""
    if not (text := _set(COMMAND)):
        return
    done = subprocess.run(
        shlex.split(text),
        input=f"{line}\n",
        text=True,
        errors="replace",
        env={**os.environ, OUTCOME: outcome},
        timeout=SECONDS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        told = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConfigError(f"{COMMAND} ended with exit code {done.returncode}: {told}")


def _to_webhook(line: str, outcome: str, project: str) -> None:
    """Post JSON whose `text` is what chat programs show."""
    if not (address := _set(WEBHOOK)):
        return
    body = json.dumps({"text": line, "outcome": outcome, "project": project}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 (checked before the run)
    with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
        pass
