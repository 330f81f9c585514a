"""Files of a git merge that nobody has finished: which lines still hold git's marks, and how to finish each file."""

import re
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.paths import STAGES, Paths

MARK = re.compile(rb"(<{7}|>{7}|\|{7})(\s|$)|={7}\r?$")
EITHER_SIDE = "It is written anew by the next run, so that either side will do: `git checkout --ours -- {name}`, then `git add {name}`"
BOTH_SIDES = "Keep the lines of both sides, delete the marks (<<<<<<<, =======, >>>>>>>), then `git add {name}`"
CLASSES = (
    "Keep all classes of both sides, each once, those of the model that is in use first (a class's place is its number in the model); "
    "delete the marks (<<<<<<<, =======, >>>>>>>), mind the commas, then `git add {name}`"
)
BY_HAND = "Decide what is to stand there, delete the marks (<<<<<<<, =======, >>>>>>>), then `git add {name}`"


def refuse_merge_conflicts(paths: Paths) -> None:
    """Raise ConfigError with a line for each file that a run reads or writes and in which git's marks stand."""
    tracked = sorted([*paths.root.glob("[!.]*.dvc"), *paths.root.glob("data/[!.]*.dvc")])
    advice = {
        **dict.fromkeys(
            (
                paths.params,
                paths.root / "dvc.yaml",
                *(paths.root / name for name in ("pyproject.toml", "prefect.yaml", "Makefile")),
                paths.root / ".dvc" / "config",
                *tracked,
            ),
            BY_HAND,
        ),
        paths.ledger: BOTH_SIDES,
        paths.known_images: BOTH_SIDES,
        paths.classes: CLASSES,
        paths.dvc_lock: EITHER_SIDE,
        **{paths.stage(name) / file: EITHER_SIDE for name in STAGES for file in ("metrics.json", "decision.json")},
    }
    found = [(file, line) for file in advice if (line := _first_mark(file)) is not None]
    if found:
        raise ConfigError(
            "\n".join(
                f"{paths.relative(file)}:{line}: an unfinished merge: two versions stand there one after the other. "
                f"{advice[file].format(name=paths.relative(file))}."
                for file, line in found
            )
        )


def _first_mark(file: Path) -> int | None:
    """The number of the first line that is one of git's marks."""
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError:  # not there; or not to be read, which whoever needs it says
        return None
    return next((number for number, line in enumerate(lines, 1) if line[:1] in b"<>|=" and MARK.match(line)), None)
