"""Whether new files of the source look unlike what the champion knows: `pipeline drift` is asked, in a process of its own.

In: paths of images. Out: what differs, or why that cannot be told. Reads the images; writes a list of them below .checkpoints, and what `pipeline drift`
keeps there.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.csv_text import csv_text
from pipeline.errors import SourceError
from pipeline.files import write_bytes
from pipeline.paths import Paths
from pipeline.processes import run

NAMES = {"content": "content", "looks": "looks", "kind": "images of a new kind", "mix": "mix of the classes", "outputs": "probabilities"}
"""Of the questions of `pipeline drift`, by their names in its JSON."""
LIMIT_S = 600


def find_differences(images: Sequence[Path], paths: Paths) -> list[str]:
    """In what these images differ from the known ones, as `pipeline drift` judges; [] if in nothing that matters.

    Raises SourceError if it cannot be told, as without a champion or with fewer than `drift.FEWEST` images.
    """
    listed = paths.scratch / "drift" / "new_images.csv"
    write_bytes(listed, csv_text([("path",), *((str(image),) for image in images)]).encode("utf-8", "surrogateescape"))
    lines: list[str] = []
    try:
        status = run(
            [sys.executable, "-P", "-m", "pipeline", "drift", "--json", str(listed)], lines.append, cwd=paths.root, timeout_seconds=LIMIT_S
        )
        if status:
            raise SourceError(next((line for line in reversed(lines) if line.strip()), f"exit code {status}").removeprefix("error: "))
        found = json.loads("\n".join(lines[lines.index("{") :]))
        return [NAMES[alarm] for alarm in found["alarms"]]
    except TimeoutError:
        raise SourceError(f"it took more than {LIMIT_S} s") from None
    except (ValueError, KeyError, TypeError):
        raise SourceError(f"`pipeline drift` answered {' '.join(lines)[:200]!r}") from None
    finally:
        listed.unlink(missing_ok=True)
