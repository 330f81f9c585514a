"""A dummy project one of whose stages can be struck in the middle, with half of its output written."""

import contextlib
from pathlib import Path

import psutil

from pipeline.paths import STAGES
from tests.dummy_project import GRAPH, copy_project, started_by, wait_for, write_graph

STAGE = """\
# Writes half of its output; the stage that is to be hit then waits to be killed, once, or for a minute
import os, pathlib, sys, time
name, *deps = sys.argv[1:]
text = "".join(pathlib.Path(dep).read_text() for dep in deps) + name
out = pathlib.Path("data", name, "out")
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(text[: len(text) // 2])
hit = pathlib.Path("hit")
if hit.exists() and hit.read_text() == name:
    hit.unlink()
    pathlib.Path("struck").write_text(str(os.getpid()))
    for _ in range(300):
        if pathlib.Path("go on").exists():
            break
        time.sleep(0.2)
out.write_text(text)
"""


def prepare(template: Path, root: Path) -> Path:
    copy_project(template, root)
    (root / "stage.py").write_text(STAGE, encoding="utf-8")
    write_graph(root, **{name: f"python stage.py {name} {' '.join(deps)}" for name, deps in GRAPH.items()})
    return root


def outputs(root: Path) -> dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in ("dvc.lock", *(f"data/{stage}/out" for stage in STAGES))}


def kill_all(root: Path) -> None:
    """As a power cut does, for all that works in the project."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd() == str(root):
                process.kill()
    assert wait_for(lambda: started_by(root) == [], 30)
