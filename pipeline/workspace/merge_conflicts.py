"""Unresolved merge conflicts: which files and lines still have git's conflict markers, and how to resolve each."""

import re
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.paths import STAGES, Paths

MARK = re.compile(rb"(<{7}|>{7}|\|{7})(\s|$)|={7}\r?$")
EITHER_SIDE = "The next run rewrites it, so either side will do: `git checkout --ours -- {name}`, then `git add {name}`"
BOTH_SIDES = "Keep the lines of both sides, delete the conflict markers (<<<<<<<, =======, >>>>>>>), then `git add {name}`"
CLASSES = (
    "Keep all classes of both sides, each once, those of the model in use first (a class's position is its index in the model); "
    "delete the conflict markers (<<<<<<<, =======, >>>>>>>), check the commas, then `git add {name}`"
)
BY_HAND = "Decide what to keep, delete the conflict markers (<<<<<<<, =======, >>>>>>>), then `git add {name}`"


def refuse_merge_conflicts(paths: Paths) -> None:
    """Raise ConfigError with a line for each file that a run reads or writes and that has conflict markers."""
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
        paths.verdicts: BOTH_SIDES,
        paths.classes: CLASSES,
        paths.dvc_lock: EITHER_SIDE,
        **{paths.stage(name) / file: EITHER_SIDE for name in STAGES for file in ("metrics.json", "decision.json")},
    }
    found = [(file, line) for file in advice if (line := _first_mark(file)) is not None]
    if found:
        raise ConfigError(
            "\n".join(
                f"{paths.relative(file)}:{line}: an unfinished merge. {advice[file].format(name=paths.relative(file))}."
                for file, line in found
            )
        )


def _first_mark(file: Path) -> int | None:
    """The number of the first line that is a conflict marker."""
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError:  # missing or unreadable: reported by the code that needs it
        return None
    return next((number for number, line in enumerate(lines, 1) if line[:1] in b"<>|=" and MARK.match(line)), None)
