"""A year of weekly runs on images that grow: what disk, time and memory of a run come to, with `pipeline clean` every four weeks.

    python -m benchmarks.year --weeks 52 --growth 0.02 FOLDER

In FOLDER, a clone of the project is made, with small drawn images as its source. Each week images are added, everything that has a date is made a week
older, and `pipeline run --publish` runs. A line per week, as a Markdown table, in FOLDER/weeks.md: images, seconds, CPU seconds and the largest resident
memory of any process of the run, and MiB of DVC's cache, of MLflow's store and of .checkpoints. Stopped or killed, it goes on with its week.
"""

import argparse
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import psutil

from pipeline.housekeeping.old_runs import TRASH_TAG
from pipeline.housekeeping.scratch import size_of
from tests.sample_images import CLASSES, draw

WEEK_S = 7 * 86_400
CLEANED_EVERY = 4
KINDS = CLASSES[:3]
SMALL = (
    (r"(?m)^(  source:) \S+", r"\1 ../images"),
    (r"(?m)^(  image_size:) \S+", r"\1 [24, 24]"),
    (r"(?m)^(  name:) auto", r"\1 resnet"),
    (r"(?m)^(  width:) \S+", r"\1 0.125"),
    (r"(?m)^(  epochs:) \S+", r"\1 2"),
    (r"(?m)^(  min_steps:) \S+", r"\1 0"),
    (r"(?m)^(  folds:) \S+", r"\1 2"),
)
ROOT = Path(__file__).parent.parent
HEAD = """\
| week | images | run s | CPU s | memory MiB | DVC cache MiB | mlruns MiB | .checkpoints MiB |
|---|---|---|---|---|---|---|---|
"""


def main(folder: Path, weeks: int, growth: float, per_class: int) -> None:
    """Write the table."""
    root, table = folder / "project", folder / "weeks.md"
    if not table.exists():
        set_up(folder, root)
        table.write_text(HEAD, encoding="utf-8")
    done = len(table.read_text(encoding="utf-8").splitlines()) - len(HEAD.splitlines())
    for week in range(done + 1, weeks + 1):
        count = round(per_class * (1 + growth) ** (week - 1))
        add_images(folder / "images", count)
        once(folder / "aged", week, lambda: age_by_a_week(root))
        seconds, cpu, memory = watched(root, "pipeline", "run", "--publish")
        if week % CLEANED_EVERY == 0:
            run(root, "pipeline", "clean", "--runs-older-than", "90d", "--yes")
        sizes = " | ".join(f"{size_of(root / name) / 2**20:.1f}" for name in (".dvc/cache", "mlruns", ".checkpoints"))
        row = f"| {week} | {count * len(KINDS)} | {seconds:.0f} | {cpu:.0f} | {memory / 2**20:.0f} | {sizes} |"
        with table.open("a", encoding="utf-8") as file:
            print(row, file=file)
        print(row, flush=True)


def once(note: Path, week: int, act: Callable[[], None]) -> None:
    """Do something once in a week, also if that week is begun again."""
    if not note.exists() or note.read_text(encoding="utf-8") != str(week):
        act()
        note.write_text(str(week), encoding="utf-8")


def set_up(folder: Path, root: Path) -> None:
    """A clone of the project with small images as its source, a remote, and its parameters committed."""
    shutil.rmtree(root, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    run(folder, "git", "clone", "--quiet", str(ROOT), str(root))
    run(root, "git", "remote", "remove", "origin")  # nothing is to be published into the repository that this runs from
    for key, value in (("name", "Benchmark"), ("email", "benchmark@example.org")):
        run(root, "git", "config", f"user.{key}", value)
    text = (root / "params.yaml").read_text(encoding="utf-8")
    for pattern, value in SMALL:
        text = re.sub(pattern, value, text)
    (root / "params.yaml").write_text(text, encoding="utf-8")
    run(root, "dvc", "remote", "add", "--default", "store", "../store")
    run(root, "git", "commit", "--quiet", "--all", "--message", "Small images")


def add_images(folder: Path, per_class: int) -> None:
    """Draw the images that are missing; those that are there stay as they are."""
    for number, kind in enumerate(KINDS):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for i in range(per_class):
            file = folder / kind / f"{i:05d}.jpg"
            if not file.exists():
                draw(kind, np.random.default_rng([number, i])).save(file, quality=90)


def age_by_a_week(root: Path) -> None:
    """Make MLflow's runs and the files in .checkpoints a week older."""
    for path in (root / ".checkpoints").rglob("*"):
        if path.is_file():
            os.utime(path, (path.stat().st_atime - WEEK_S, path.stat().st_mtime - WEEK_S))
    database = root / "mlruns" / "mlflow.db"
    if not database.is_file():
        return
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        for column in ("start_time", "end_time", "deleted_time"):
            connection.execute(f"update runs set {column} = {column} - ? where {column} is not null", (WEEK_S * 1000,))  # noqa: S608
        for run_id, date in connection.execute("select run_uuid, value from tags where key = ?", (TRASH_TAG,)).fetchall():
            earlier = (datetime.fromisoformat(date) - timedelta(weeks=1)).isoformat()
            connection.execute("update tags set value = ? where run_uuid = ? and key = ?", (earlier, run_id, TRASH_TAG))


def watched(root: Path, *command: str) -> tuple[float, float, int]:
    """(seconds, CPU seconds of it and what it has waited for, most bytes resident in one process) of a command that ends well."""
    started, cpu, most = time.monotonic(), _cpu_of_children(), 0
    with root.with_name("run.log").open("wb") as log:
        process = subprocess.Popen(_command(command), cwd=root, env=_environment(), stdout=log, stderr=log)
        while process.poll() is None:
            for one in _family(process.pid):
                try:
                    most = max(most, one.memory_info().rss)
                except psutil.Error:
                    continue
            time.sleep(0.2)
    if process.returncode:
        sys.exit(root.with_name("run.log").read_text(encoding="utf-8", errors="replace"))
    return time.monotonic() - started, _cpu_of_children() - cpu, most


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _family(pid: int) -> list[psutil.Process]:
    try:
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def run(folder: Path, *command: str) -> None:
    """Run a command that must end well."""
    done = subprocess.run(_command(command), cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def _command(command: tuple[str, ...]) -> list[str]:
    own = Path(sys.executable).with_name(command[0])
    return [str(own) if own.exists() else command[0], *command[1:]]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PREFECT_", "DVC_", "PYTHONPATH"))}


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path, metavar="FOLDER")
    options.add_argument("--weeks", type=int, default=52)
    options.add_argument("--growth", type=float, default=0.02, help="share of images that each week adds")
    options.add_argument("--per-class", type=int, default=40, help="images of each of three classes in the first week")
    chosen = options.parse_args()
    main(chosen.folder, chosen.weeks, chosen.growth, chosen.per_class)
