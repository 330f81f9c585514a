"""DVC's own errors, explained: which file is wrong, and what to do.

In: the lines that a command of DVC's printed, without those of a stage. Out: one line, or None for an error that speaks for itself. Pure text.
"""

import re
from collections.abc import Callable, Sequence

LOCK_REMEDY = (
    "Restore it from git: `git checkout HEAD -- dvc.lock`, or delete it if none is committed. "
    "Stages that it does not list are restored from DVC's cache, or run again"
)
OWN_WORDS = re.compile(r"ERROR: (?:failed to reproduce '[^']*': )?(.*)")

_BROKEN = re.compile(r"'(?:\./)?([^']+)' (is invalid|validation failed)")
_PLACE = re.compile(r".*\bin line (\d+), column \d+")
_MARKERS = re.compile(r"\s*\d+\s+(│ )?\s*(<{7}|={7}|>{7})")


def failure(command: str, lines: Sequence[str]) -> str:
    """Why a command such as `dvc push` failed, in one line: the project's own, or else the last of DVC's words."""
    said = [found[1] for line in lines if (found := OWN_WORDS.match(line))]
    return f"{command}: {explain(lines, command) or (said[-1] if said else 'it failed and said nothing')}"


def explain(lines: Sequence[str], command: str = "dvc repro") -> str | None:
    """The project's own line for a failure of DVC's."""
    if broken := next((found for line in lines if (found := _BROKEN.match(line))), None):
        return _broken_file(broken[1], lines)
    said = next((found[1].strip() for line in reversed(lines) if (found := OWN_WORDS.match(line))), "")
    for pattern, told in FAULTS:
        if found := re.search(pattern, said):
            return told(found) if callable(told) else re.sub(r"\{(\d)\}", lambda number: found[int(number[1])], told)
    if said.startswith("unexpected error"):
        return f"DVC failed: {said.partition(' - ')[2].rstrip('.') or said}. `{command} --verbose` has the details."
    return None


def _broken_file(name: str, lines: Sequence[str]) -> str:
    line = next((found[1] for text in lines if (found := _PLACE.match(text))), "")
    place = f"{name}:{line}" if line else name
    merged = any(map(_MARKERS.match, lines))
    fault = "has unresolved conflict markers (<<<<<<<)" if merged else f"cannot be read{_detail(lines)}"
    return f"{place} {fault}. {_remedy(name)}."


def _detail(lines: Sequence[str]) -> str:
    """What the parser expected, in DVC's words, which follow a blank line."""
    after = [text.strip() for text in lines if text.strip()]
    words = next(
        (
            text
            for text in after
            if re.match(r"expected|required|extra keys|not a valid|Could not|Did not|Mapping|found", text, re.IGNORECASE)
        ),
        "",
    )
    return f": {words.partition(', in line')[0].rstrip('.')}" if words else ""


def _remedy(name: str) -> str:
    return LOCK_REMEDY if name.endswith(".lock") else f"Fix it, or restore it from git: `git checkout HEAD -- {name}`"


def _unreadable(found: re.Match[str]) -> str:
    reason = re.sub(r"^(is )?(YAML file structure is corrupted: )?", "", found[2]).strip()
    return f"{found[1]} cannot be read: {reason.rstrip('.')}. {_remedy(found[1])}."


def _missing(found: re.Match[str]) -> str:
    return f"{found[1]} does not exist, and the stage depends on it. Restore it, or run `dvc repro` to create the outputs of other stages."


def _stage_missing(found: re.Match[str]) -> str:
    fault = f"has no stage {found[1]}" if found[1] else "does not exist"
    return f"dvc.yaml {fault}. {_remedy('dvc.yaml')}."


def _configuration(found: re.Match[str]) -> str:
    return f"DVC's configuration cannot be read: {_once(found[1])}. Correct .dvc/config or .dvc/config.local."


FAULTS: tuple[tuple[str, Callable[[re.Match[str]], str] | str], ...] = (
    (r"^unable to read: '([^']+)', (.*)", _unreadable),
    (r"^configuration error - (?:config file error: )?(.*)", _configuration),
    (r"^(?:'?dvc\.yaml'? does not exist|Stage '([^']+)' not found inside 'dvc\.yaml')", _stage_missing),
    (r"^\[Errno 2\] No such file or directory: '([^']+)'", _missing),
    (r"^missing data 'source': (.+)", _missing),
    (
        r"^unexpected error - \[Errno 2\] No such file or directory: '([^']+)'",
        "DVC needs {1}, which does not exist and cannot be created.",
    ),
    (
        r"No space left on device|database or disk is full|Disk quota exceeded",
        "The disk is full. Free some space, then run the same command again.",
    ),
    (
        r"Permission denied: '([^']+)'",
        "{1} cannot be written: permission denied. Check its owner with `ls -ld`, and change owner or mode.",
    ),
    (r"Read-only file system: '([^']+)'", "{1} cannot be written: its file system is read-only."),
    (r"Unable to read RWLock-file '([^']+)'", "DVC's list of locks {1} is damaged. While no DVC command runs, delete it."),
    (
        r"file is not a database|database disk image is malformed",
        "DVC's index of files is damaged. While no DVC command runs, delete it: the folder /var/tmp/dvc, or the one that "
        "DVC_SITE_CACHE_DIR or core.site_cache_dir names.",
    ),
    (
        r"^\W?(\S+) is corrupted",
        "DVC's cache has a damaged file: {1}. Delete it from .dvc/cache and run again, or fetch it with `dvc pull`.",
    ),
    (
        r"'([^']+)' is outside of git repository '([^']+)'",
        "{1} lies outside of the project {2}, as a folder above it is a link. Put the folder itself into the project.",
    ),
    (
        r"is not a git repository",
        "there is no git repository here, in which DVC keeps its history. Clone the project, or run `git init` in it.",
    ),
    (
        r"dubious ownership|not owned by (the )?current user",
        "git does not read this repository, as it belongs to another user. If you trust it, run "
        '`git config --global --add safe.directory "$PWD"`.',
    ),
    (
        r"not inside of a DVC repository",
        "DVC is not set up here, as the folder .dvc is missing. Take it from git, `git checkout HEAD -- .dvc`, or run `dvc init`.",
    ),
    (
        r"getpwuid\(\): uid not found: (\d+)",
        "user {1} has no name on this machine, but DVC needs one. Set one with `export LOGNAME=uid-{1}`.",
    ),
    (r"could not determine the home directory", "HOME is not set, but DVC needs it. Set it to a writable folder."),
)


def _once(text: str) -> str:
    """DVC's words without their repetition: `A: A` is A."""
    half = text[: len(text) // 2 - 1]
    return (half if text == f"{half}: {half}" else text).rstrip(".")
