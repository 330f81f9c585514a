"""A small DVC project with the six stage names, whose stages are shell commands: what runs the graph is tested without fitting anything."""

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from PIL import Image
from ruamel.yaml import YAML

from pipeline.environment import SETTINGS

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
GRAPH = {
    "ingest": ["source/image"],
    "preprocess": ["data/ingest/out"],
    "train": ["data/preprocess/out"],
    "cross_validate": ["data/preprocess/out"],
    "evaluate": ["data/train/out", "data/cross_validate/out"],
    "register": ["data/evaluate/out"],
}
SLOW_STAGE = """\
# Runs a stage of 60 s through the real command line; it says `working` once a signal can reach it.
import os, pathlib, sys, time, types
import pipeline.__main__ as command_line

def run(config, paths, tracker):
    pathlib.Path("stage.pid").write_text(str(os.getpid()))
    print("working", flush=True)
    for _ in range(600):
        time.sleep(0.1)
    return {}

module = types.ModuleType("pipeline.stages.train")
module.run = run
sys.modules["pipeline.stages.train"] = module
command_line._tracker = lambda *_: None
sys.exit(command_line.main(["stage", "train"]))
"""


def create_project(root: Path) -> Path:
    """A committed project in `root`, in which nothing has run yet; only `train` reads a parameter, `seed`."""
    (root / "source").mkdir(parents=True)
    (root / "source" / "image").write_text("pixels\n", encoding="utf-8")
    for i in range(4):
        picture = root / "source" / ("cat", "dog")[i % 2] / f"{i}.png"
        picture.parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), 10 * i).save(picture)
    (root / "slow_stage.py").write_text(SLOW_STAGE, encoding="utf-8")
    (root / "data").mkdir()
    for name in ("splits.csv", "classes.json", "verdicts.csv"):
        shutil.copy(ROOT / "data" / name, root / "data")
    params = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("source: data/fashion-mnist", "source: source")
    (root / "params.yaml").write_text(params, encoding="utf-8")
    write_graph(root)
    for command in (["git", "init", "-q"], [str(BIN / "dvc"), "init", "-q"]):
        subprocess.run(command, cwd=root, check=True, env=environment(root))
    return root


def write_graph(root: Path, **commands: str) -> None:
    """dvc.yaml, with other commands for the stages named."""
    stages = {
        name: {
            "cmd": commands.get(name, f"mkdir -p data/{name}; cat {' '.join(deps)} > data/{name}/out; echo {name} works"),
            "deps": deps,
            "outs": [f"data/{name}/out"],
            **({"params": ["seed"]} if name == "train" else {}),
        }
        for name, deps in GRAPH.items()
    }
    YAML().dump({"stages": stages}, root / "dvc.yaml")


def environment(root: Path, **more: str) -> dict[str, str]:
    """Without the activated environment, Prefect's home inside the project, and no server unless `more` names one."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "MLFLOW_", "DVC_", "PIPELINE_", "VIRTUAL_ENV"))
    }
    path = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if part != str(BIN))
    home = {"PREFECT_HOME": str(root / ".prefect"), "COLUMNS": "200"}
    return {**kept, **SETTINGS, **home, "PATH": path, **more}


def start_pipeline(root: Path, *arguments: str, **more: str) -> "subprocess.Popen[str]":
    """The command line in the project, its output piped, leading a process group as it does in a terminal."""
    return subprocess.Popen(
        [str(BIN / "pipeline"), *arguments],
        cwd=root,
        env=environment(root, **more),
        text=True,
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def run_pipeline(root: Path, *arguments: str, **more: str) -> tuple[int, str]:
    """(exit code, output) of the command line in the project."""
    process = start_pipeline(root, *arguments, **more)
    output, _ = process.communicate(timeout=240)
    return process.returncode, output


def call_pipeline(root: Path, *arguments: str, **more: str) -> tuple[int, str]:
    """As `run_pipeline`, within this process: it takes a tenth of the time, and does where the process itself is not what is tested."""
    from pipeline.__main__ import main

    output = io.StringIO()
    with within(root, **more), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            code = main(list(arguments))
        except SystemExit as ended:  # argparse's
            code = int(ended.code or 0)
    return code, output.getvalue()


@contextlib.contextmanager
def within(root: Path, **more: str) -> Iterator[None]:
    """The project's folder and environment are those of this process."""
    kept, here = dict(os.environ), Path.cwd()
    project = environment(root, **more)
    os.environ.clear()
    os.environ.update(project)
    os.chdir(root)
    try:
        _refresh_prefect()
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(kept)
        _refresh_prefect()


def _refresh_prefect() -> None:
    """Have Prefect, if it has been imported, read its settings again."""
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        with warnings.catch_warnings(action="ignore"):  # of a home that cannot be made
            refresh_global_settings_context()
            refresh_global_settings_context()  # finds the profiles by the home that the first one has read


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def has_ended(pid: int) -> bool:
    """Also for a zombie, which only its parent's wait is missing to."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started_by(root: Path) -> list[str]:
    """The living processes that work in the project, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == root:
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found


def copy_project(template: Path, root: Path) -> Path:
    return Path(shutil.copytree(template, root, symlinks=True))
